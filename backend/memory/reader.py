"""One look at the memory of this machine: GPUs and who is on them, main memory, and what each job takes, with the source of
each figure. Cheap enough for every second; see ``tests/bench/bench_memory.py``.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from backend.errors import PanelError
from backend.i18n import N_
from backend.memory.attribution import Processes, all_pids
from backend.memory.cards import Cards
from backend.memory.host import Host, JobMemory
from backend.memory.leased import Leased
from backend.memory.sample import HOST, DeviceSample, JobUse, Sample
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import Workspace

Seen = tuple[tuple[DeviceSample, ...], str]

FIRST_ANSWER_S = 5.0
"""Opening the driver can take seconds where no other program keeps the cards awake."""
ANSWER_S = 0.5
SILENT_S = 0.05
"""How long a driver is waited for that let us wait in vain before."""
SILENT = N_("The NVIDIA driver does not answer.")


class Reader:
    """Looks at the machine. For one thread; ``clock`` counts seconds and never jumps.

    The driver is asked in a thread of its own: one that hangs costs one look half a second and the others hardly anything,
    and the rest is told as ever.
    """

    def __init__(self, workspace: Workspace, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._processes = Processes(workspace)
        self._host = Host(workspace.root)
        self._job_memory = JobMemory(clock)
        self._leased = Leased(workspace.run)
        self._driver = _Aside(Cards(clock).look)
        self._jobs: list[JobRow] = []

    def read(self, now: float) -> Sample:
        """The machine at ``now`` (epoch seconds). What cannot be told is missing; ``problem`` says why GPUs are."""
        self._driver.ask()
        host = self._host.look()
        pids = all_pids()
        self._jobs = self._live_jobs()
        members = self._processes.look(pids, self._jobs)
        jobs = [JobUse(job, HOST, size, "process") for job, size in sorted(self._job_memory.look(members).items())]
        devices, problem = self._driver.answer() or ((), SILENT)
        devices = tuple(self._named(device) for device in devices)
        jobs += _told_by_the_driver(devices)
        jobs += self._leased.look(self._jobs, devices)
        return Sample(now, host, devices, tuple(jobs), problem)

    def close(self) -> None:
        """End the thread that asks the driver. The library stays open: others in this process may use it."""
        self._driver.end()

    def _live_jobs(self) -> list[JobRow]:
        try:
            return self._store.live()
        except (PanelError, OSError):
            # Locked or damaged: the watcher says so and mends it. Until then the jobs are those of before.
            return self._jobs

    def _named(self, device: DeviceSample) -> DeviceSample:
        """With user, command and job of each process."""
        if not device.processes:
            return device
        named = []
        for process in device.processes:
            user, command, job = self._processes.about(process.pid)
            named.append(replace(process, user=user, command=command, job=job))
        return replace(device, processes=tuple(named))


def _told_by_the_driver(devices: Sequence[DeviceSample]) -> list[JobUse]:
    """The sum of each job's processes on each device."""
    sums: dict[tuple[int, str], int] = {}
    for device in devices:
        for process in device.processes:
            if process.job is not None and process.size is not None:
                key = process.job, device.uuid
                sums[key] = sums.get(key, 0) + process.size
    return [JobUse(job, place, size, "driver") for (job, place), size in sums.items()]


class _Aside:
    """Asks one question again and again in a thread of its own, which may hang for ever without harm."""

    def __init__(self, question: Callable[[], Seen]) -> None:
        self._question = question
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Seen] = queue.SimpleQueue()
        self._open = 0
        self._patience = FIRST_ANSWER_S
        threading.Thread(target=self._work, name="nvml", daemon=True).start()

    def ask(self) -> None:
        """Ask, unless the question of before is still open: that one's answer would be old by now, so it is thrown away."""
        while self._open and not self._answers.empty():
            self._answers.get()
            self._open -= 1
            self._patience = ANSWER_S
        if not self._open:
            self._open += 1
            self._asked.put(True)

    def answer(self) -> Seen | None:
        """What it says; None where it says nothing in time."""
        try:
            answer = self._answers.get(timeout=self._patience)
        except queue.Empty:
            self._patience = SILENT_S
            return None
        self._open -= 1
        self._patience = ANSWER_S
        return answer

    def end(self) -> None:
        self._asked.put(False)

    def _work(self) -> None:
        while self._asked.get():
            try:
                self._answers.put(self._question())
            except Exception as error:  # noqa: BLE001 - a binding that surprises us is one more way not to know
                self._answers.put(((), f"{type(error).__name__}: {error}"))
