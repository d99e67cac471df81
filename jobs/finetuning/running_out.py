"""Running out of memory while training: noticed, told with its phase, and written down before anything else.

::

    phases = Phases()
    with watching(job.dir, phases, device="cuda"):
        with phases("load"):
            model = ...
        with phases("train"):        # forward, backward, optimizer are read from the traceback: nothing is hooked into a step
            trainer.train()          # (so are its own evaluations and saves)
        # phases.step = 12           after every step

What leaves ``watching`` is a :class:`backend.errors.PanelError` ``finetune_out_of_memory``; ``out-of-memory.json`` lies in the
job's folder. Everything else passes as it is. That the kernel ended the process (SIGKILL) cannot be noticed here:
:mod:`backend.finetune.out_of_memory` tells it from how the job ended.

``TUNEDECK_MEMORY_LIMIT_MIB`` lets the process take only so much more main memory than it has at that moment: how tests and
demonstrations run out of memory on a machine that has plenty.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.errors import PanelError
from backend.finetune import files, oom_lines, out_of_memory

LIMIT = "TUNEDECK_MEMORY_LIMIT_MIB"
REFINED = ("", "train", "rehearse")
"""Phases that the traceback divides further."""


class Phases:
    """Where a training is. ``step``: optimizer steps that are done."""

    def __init__(self) -> None:
        self.step = 0
        self._names = [""]
        self._broke = ""

    @property
    def name(self) -> str:
        """The phase now; while an error passes, the one in which it came up."""
        return self._broke or self._names[-1]

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """``name``: load, train, rehearse, evaluate, save, merge, prove."""
        self._names.append(name)
        self._broke = ""
        try:
            yield
        except BaseException:
            self._broke = self._broke or name
            raise
        finally:
            self._names.pop()


@dataclass(frozen=True)
class Use:
    """The device at one moment, in bytes: of it all, of others on it, of this process. None: nobody tells."""

    total: int | None = None
    free: int | None = None
    others: int | None = None
    allocated: int | None = None
    reserved: int | None = None
    name: str = ""


@contextlib.contextmanager
def watching(folder: Path, phases: Phases | None = None, *, device: str = "") -> Iterator[Phases]:
    """Everything in a training that takes memory runs within.

    Args:
        folder: of the job.
        device: ``cuda`` or ``cpu``; empty: CUDA where torch is loaded and sees one.

    Raises:
        PanelError: ``finetune_out_of_memory``.
    """
    phases = phases or Phases()
    record = folder / files.OUT_OF_MEMORY
    record.unlink(missing_ok=True)  # of an attempt before this one
    meter = _Gpu() if _on_gpu(device) else _Host()
    before = meter.use()
    with _Limited() as limited:
        try:
            yield phases
        except BaseException as error:
            causes = _causes(error)
            cause = next((one for one in causes if _memory(one)), None)
            if cause is None:
                raise
            then = meter.use()
            limited.lift()  # or there would be no room to write it down
            told = _told(causes, cause, phases, before, then)
            files.write(record, told)
            # The whole traceback, for people who read the log: the job's own last word is one sentence.
            traceback.print_exception(error)
            raise out_of_memory.error(told) from error


def _told(
    causes: list[BaseException], cause: BaseException, phases: Phases, before: Use, then: Use
) -> files.OutOfMemory:
    line = f"{type(cause).__name__}: {cause}".strip().splitlines()[0][:500]
    asked = oom_lines.asked(str(cause))
    frames = [
        (frame.filename, frame.name)
        for one in causes[: causes.index(cause) + 1]
        for frame in traceback.extract_tb(one.__traceback__)
    ]
    phase = phases.name
    if phase in REFINED:
        phase = oom_lines.phase_of(frames) or ("forward" if phase else "load")
    if then.name == "cpu" and asked is not None and then.free is not None and then.free > asked:
        # The C library gave back what was let go of while the error passed: there was less than that when it was asked for.
        then = replace(then, free=asked, reserved=(then.reserved or 0) + then.free - asked)
    during = phase
    if grew(before, then, asked):
        phase = "neighbour"
    return files.OutOfMemory(
        phase=phase,
        during=during,
        step=phases.step,
        t=time.time(),
        line=line,
        asked=asked,
        allocated=then.allocated,
        reserved=then.reserved,
        free=then.free,
        total=then.total,
        others_before=before.others,
        others_then=then.others,
        device=then.name,
    )


def grew(before: Use, then: Use, asked: int | None) -> bool:
    """Whether it ran out because others took what had been free: without their rise there would have been room."""
    if before.others is None or then.others is None or then.free is None:
        return False
    rise = then.others - before.others
    least = max(out_of_memory.GREW, (then.total or 0) // 100)
    return rise >= least and (asked or 0) <= then.free + rise


def _causes(error: BaseException) -> list[BaseException]:
    """``error`` and what it came from, the last first."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return found


def _memory(error: BaseException) -> bool:
    if isinstance(error, PanelError):
        return False  # it says for itself what it is
    return isinstance(error, Exception) and oom_lines.ran_out(f"{type(error).__name__}: {error}")


class _Host:
    """Main memory, as the kernel tells it; within the limit of a test, what that leaves."""

    def use(self) -> Use:
        machine, mine = _proc("/proc/meminfo"), _proc("/proc/self/status")
        total, free, held = machine.get("MemTotal"), machine.get("MemAvailable"), mine.get("VmRSS")
        if total is None or free is None or held is None:
            return Use(allocated=held, reserved=held, name="cpu")
        if _limit():
            import resource

            free = min(free, max(0, resource.getrlimit(resource.RLIMIT_DATA)[0] - mine.get("VmData", 0)))
            return Use(total=held + free, free=free, allocated=held, reserved=held, name="cpu")
        return Use(
            total=total, free=free, others=max(0, total - free - held), allocated=held, reserved=held, name="cpu"
        )


class _Gpu:
    """The card that torch computes on. What this process holds of it is what the driver says of it where it says so, else what
    torch has reserved and its CUDA context, which is what the card lost when that was made."""

    def __init__(self) -> None:
        import torch

        self._torch = torch
        used = self._driver()[0]
        free, total = torch.cuda.mem_get_info()
        after = total - free
        begun = torch.cuda.memory_reserved()
        self._context = max(0, after - used) if used is not None and not begun else 0

    def use(self) -> Use:
        cuda = self._torch.cuda
        free, total = cuda.mem_get_info()
        reserved = cuda.memory_reserved()
        mine = self._driver()[1] or reserved + self._context
        return Use(
            total=total,
            free=free,
            others=max(0, total - free - mine),
            allocated=cuda.memory_allocated(),
            reserved=reserved,
            name=cuda.get_device_name(),
        )

    def _driver(self) -> tuple[int | None, int | None]:
        """(bytes in use on the card, those of this process), each None where NVML does not say."""
        try:
            from backend.memory import nvml

            with nvml.opened() as library:
                uuid = f"GPU-{self._torch.cuda.get_device_properties(0).uuid}"
                handle = library.nvmlDeviceGetHandleByUUID(uuid)
                used = int(library.nvmlDeviceGetMemoryInfo(handle, version=library.nvmlMemory_v2).used)
                running = library.nvmlDeviceGetComputeRunningProcesses(handle)
                mine = next((one.usedGpuMemory for one in running if one.pid == os.getpid()), None)
                return used, mine
        except Exception:  # noqa: BLE001 - no binding, no driver, a slice of a card: then torch alone is asked
            return None, None


def _on_gpu(device: str) -> bool:
    torch: Any = sys.modules.get("torch")
    if torch is None and device.startswith("cuda"):
        import torch
    return device != "cpu" and torch is not None and bool(torch.cuda.is_available())


class _Limited:
    """The process within ``TUNEDECK_MEMORY_LIMIT_MIB`` more than it holds now; without that, as it is."""

    def __init__(self) -> None:
        self._before: tuple[int, int] | None = None

    def __enter__(self) -> _Limited:
        more = _limit()
        if more:
            import resource

            held = _proc("/proc/self/status").get("VmData", 0)
            self._before = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (held + more, self._before[1]))
        return self

    def lift(self) -> None:
        if self._before is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, self._before)
            self._before = None

    def __exit__(self, *unused: object) -> None:
        self.lift()


def _limit() -> int:
    """Bytes; 0: none."""
    said = os.environ.get(LIMIT, "")
    return int(said) << 20 if said.isdigit() else 0


def _proc(file: str) -> dict[str, int]:
    """Sizes in a table of the kernel, in bytes."""
    found = {}
    with contextlib.suppress(OSError), open(file, encoding="ascii", errors="replace") as table:
        for row in table:
            name, _, rest = row.partition(":")
            words = rest.split()
            if len(words) == 2 and words[1] == "kB" and words[0].isdigit():
                found[name] = int(words[0]) << 10
    return found
