"""A program of an engine as a child of the job: started in the engine's environment, its output kept and handed on, ended for certain.

It writes into a file and not into a pipe: so it goes on undisturbed where the job itself is killed, until the supervisor ends it by
its cookie, and what it said last is there to be read. It runs in a session of its own: only the job tells it to stop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backend.engines.base import Engine
from backend.envs import places
from backend.envs.status import Status
from backend.errors import PanelError
from backend.workspace import Workspace

TAIL_BYTES = 200_000
Argv = Sequence[str | Path]


def environment(workspace: Workspace, engine: Engine, code: str, message: str, hint: str) -> Status:
    """The environment of ``engine``; ``code``, ``message`` with a ``{folder}``, and ``hint`` where nothing else says why it is not ready.

    Raises:
        PanelError: it cannot be used, and what to do.
    """
    found = places.status(workspace, engine.name)
    if found.usable and found.python is not None:
        return found
    raise found.problem or engine.unavailable() or PanelError(code, message, hint, folder=str(found.folder))


class Child:
    """A program that runs, started in ``home``; what it prints goes to the file ``output``, and line by line to ``say``."""

    first, patience = signal.SIGINT, 30.0
    """What it is told to end with, and the seconds that it has then before it is killed."""

    def __init__(
        self, argv: Argv, home: Path, variables: Mapping[str, str], say: Callable[[str], None], output: Path
    ) -> None:
        self._say, self._rest, self.output = say, b"", output
        self._offset = self._began = output.stat().st_size if output.exists() else 0
        with output.open("ab") as out:
            self.process = subprocess.Popen(
                [str(word) for word in argv],
                cwd=home,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ended(self) -> bool:
        """Whether it has; hands on what it printed until now."""
        over = self.process.poll() is not None
        self._hand_on()
        return over

    def wait(self, seconds: float) -> None:
        """Until it has ended, at most so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def interrupt(self) -> None:
        """Tell it to end: it does within seconds, and keeps what it has."""
        self._signal(self.first)

    def end(self) -> None:
        """End it with all that it started. Does nothing to one that has ended."""
        if self.process.poll() is None:
            self.interrupt()
            self.wait(self.patience)
        self._signal(signal.SIGKILL)
        self.process.wait()
        self._hand_on()

    def lines(self) -> list[str]:
        """What it printed last, since it was started."""
        with self.output.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._began, size - TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _hand_on(self) -> None:
        with self.output.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self.process.poll() is not None and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            # A progress bar writes its line again and again; the last one is what counts.
            self._say(line.rpartition(b"\r")[2].decode("utf-8", "replace") if not line.endswith(b"\r") else "")
