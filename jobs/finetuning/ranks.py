"""One training on several GPUs: a process for each, this job the first of them, the gradients of all averaged at each step.

What torchrun does, without its launcher: rank 0 must be the job itself, which says what happens, keeps checkpoints and is told to
stop. The others (``python -m jobs.finetuning.rank FILE``) hold the same model, learn from other rows, and follow it: what it decides after a
step holds for all. They meet through a file in the job's folder, so that no port can be taken by somebody else.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from backend.errors import PanelError
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT, read_json, write_json
from jobs.harness import Job, end_failed

MEETING, TOLD, OUTPUT, ERROR = ".ranks-meet", ".ranks.json", "rank-{rank}.log", ".rank-{rank}.json"
"""In the job's folder: where they meet, what the others are told, what each prints, and why it failed."""
LONGEST_WAIT = timedelta(hours=12)
"""For one another: rank 0 may write a large checkpoint, or ask sample questions."""
LAST_S = 15.0
"""What the training itself has to end after one of the others has failed; on a GPU it would wait for it for ever."""
FLAGS = ("should_training_stop", "should_epoch_stop", "should_save", "should_evaluate", "should_log")


@dataclass(frozen=True)
class Part:
    """What each of them must know. folder: of the model. resume: the checkpoint to go on from, or empty. steps, warmup: of the training."""

    spec: FinetuneSpec
    folder: str
    resume: str
    steps: int
    warmup: int


@contextlib.contextmanager
def together(job: Job, part: Part, kind: str) -> Iterator[None]:
    """Start the others, and be rank 0 among them. kind: of the device. Nothing at all for one GPU.

    Raises:
        PanelError: ``finetune_rank_failed``, or what one of the others said.
    """
    if part.spec.gpus <= 1:
        yield
        return
    others = _Others(job, part)
    try:
        join(job.dir, 0, part.spec.gpus, kind)
        yield
    except BaseException as error:
        failed = others.failure(LAST_S) if _from_them(error) else None
        if failed is not None:
            raise failed from error
        raise
    finally:
        others.end()
        leave()


def join(folder: Path, rank: int, world: int, kind: str) -> None:
    """Meet the others; returns when all are there."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
    }
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group(
        "gloo" if kind == "cpu" else "nccl",
        init_method=(folder / MEETING).resolve().as_uri(),
        rank=rank,
        world_size=world,
        timeout=LONGEST_WAIT,
    )
    global _talk
    _talk = dist.group.WORLD if kind == "cpu" else dist.new_group(backend="gloo", timeout=LONGEST_WAIT)


def leave() -> None:
    """Be one process again."""
    global _talk
    _talk = None
    if dist.is_initialized():
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR"):
        os.environ.pop(name, None)


_talk: Any = None
"""The group in which they agree: over main memory, so that no GPU is waited for."""


def several() -> bool:
    """Whether there are others now."""
    return _talk is not None


def number() -> int:
    """Which of them this is; 0 for one alone."""
    return dist.get_rank(_talk) if several() else 0


def share(count: int) -> range:
    """Of ``count`` pieces of work, those of this one."""
    return range(number(), count, dist.get_world_size(_talk)) if several() else range(count)


def total(*values: float) -> list[float]:
    """Each value summed over all, in 64 bits."""
    sums = torch.tensor(values, dtype=torch.float64)
    if several():
        dist.all_reduce(sums, group=_talk)
    return [float(value) for value in sums]


def gather(data: bytes) -> list[bytes]:
    """What each says, by rank, at rank 0; at the others nothing."""
    if not several():
        return [data]
    found: list[Any] | None = [None] * dist.get_world_size(_talk) if number() == 0 else None
    dist.gather_object(data, found, dst=0, group=_talk)
    return list(found or ())


class Agree(TrainerCallback):
    """What rank 0 has decided holds for all. The last callback of each."""

    def on_substep_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A person who wants to stop does not wait for a long step."""
        self._agree(control)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """What is to be done after this step."""
        self._agree(control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Whether it is still worth it."""
        self._agree(control)

    def _agree(self, control: TrainerControl) -> None:
        if not several():
            return
        flags = torch.tensor([getattr(control, name) for name in FLAGS], dtype=torch.uint8)
        dist.broadcast(flags, src=0, group=_talk)
        for name, flag in zip(FLAGS, flags.tolist(), strict=True):
            setattr(control, name, bool(flag))


def random_states(save: Any, folder: Path) -> None:
    """Have ``save(folder)`` write the random numbers of each into rank 0's ``folder``; the others write nowhere."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TUNEDECK_JOB_DIR"), prefix=".rng-") as place:
        save(place)
        (written,) = Path(place).iterdir()
        packed = io.BytesIO()
        torch.save({"name": written.name, "data": written.read_bytes()}, packed)
    for each in gather(packed.getvalue()):
        one = torch.load(io.BytesIO(each), weights_only=True)
        (folder / one["name"]).write_bytes(one["data"])


class _Others:
    """The processes of the other ranks."""

    def __init__(self, job: Job, part: Part) -> None:
        self._job, self._ending = job, threading.Event()
        numbers = range(1, part.spec.gpus)
        for name in [MEETING, *(ERROR.format(rank=number) for number in numbers)]:
            (job.dir / name).unlink(missing_ok=True)
        write_json(job.dir / TOLD, {**vars(part), "spec": part.spec.model_dump(mode="json")})
        self._processes = [self._start(number) for number in numbers]
        job.log(f"{part.spec.gpus} processes train together; what the others print is in {OUTPUT.format(rank='N')}")
        self._watcher = threading.Thread(target=self._watch, name="ranks", daemon=True)
        self._watcher.start()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        with (self._job.dir / OUTPUT.format(rank=number)).open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "jobs.finetuning.rank", str(self._job.dir), str(number)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # only rank 0 is told to stop
            )

    def _watch(self) -> None:
        """End the job where one of the others has failed and the training does not notice: on a GPU it waits for ever."""
        while not self._ending.wait(0.5):
            if any(process.poll() not in (None, 0) for process in self._processes):
                if not self._ending.wait(LAST_S):
                    end_failed(self._job, self.failure(0.0) or _gone(1, None))
                return

    def failure(self, seconds: float) -> PanelError | None:
        """Why one of them has failed, once it has ended; None where none has after ``seconds``."""
        for number, process in enumerate(self._processes, start=1):
            with contextlib.suppress(subprocess.TimeoutExpired):
                if process.wait(seconds) != 0:
                    told = read_json(self._job.dir / ERROR.format(rank=number))
                    return PanelError.from_dict(told) if isinstance(told, dict) else _gone(number, process.returncode)
        return None

    def end(self) -> None:
        """None of them is left."""
        self._ending.set()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LAST_S if sys.exc_info()[0] is None else 0)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for name in (MEETING, TOLD):
            (self._job.dir / name).unlink(missing_ok=True)


def _from_them(error: BaseException) -> bool:
    """Whether ``error`` may come of one that is gone."""
    return isinstance(error, RuntimeError | ValueError | OSError)


def _gone(number: int, code: int | None) -> PanelError:
    return PanelError(
        "finetune_rank_failed",
        N_("Of the processes that train together, the one on GPU {rank} ended with code {exit}."),
        N_("The file {file} in the folder of the job has what it said. With one GPU nothing has to be together."),
        rank=number,
        exit="?" if code is None else code,
        file=OUTPUT.format(rank=number),
    )
