"""Who runs an attempt. The queue knows this protocol only; the local machine is one runner, another engine may follow."""

from __future__ import annotations

import subprocess
import sys
from typing import Protocol

from backend.queue import folder
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT


class Runner(Protocol):
    """Starts what has been dispatched and takes over what lost its supervisor."""

    def start(self, store: Store, row: JobRow, lock: int) -> None:
        """Start attempt ``row.attempt``. ``lock`` is the locked descriptor of the job; the caller closes its copy."""

    def adopt(self, store: Store, row: JobRow, lock: int) -> None:
        """Watch over the program of ``row``, which lives although its supervisor died."""

    def reap(self) -> None:
        """Collect what has ended."""


class LocalRunner:
    """One supervisor process per attempt, in a session of its own: nothing that ends us ends it."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, store: Store, row: JobRow, lock: int) -> None:
        self._spawn(store, row, lock, [])

    def adopt(self, store: Store, row: JobRow, lock: int) -> None:
        self._spawn(store, row, lock, ["--adopt"])

    def reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]

    def _spawn(self, store: Store, row: JobRow, lock: int, extra: list[str]) -> None:
        job_dir = store.job_dir(row.id)
        folder.lay_reserve(job_dir)
        with (job_dir / "supervisor.log").open("ab") as log:
            self._children.append(
                subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "backend.queue.supervisor",
                        str(store.workspace.root),
                        str(row.id),
                        str(row.attempt),
                        str(lock),
                        *extra,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=ROOT,
                    pass_fds=(lock,),
                    start_new_session=True,
                )
            )
