"""XTuner as a child of the job: started in its environment, its output kept and handed on, ended for certain.

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

from backend.engines.xtuner import ENGINE
from backend.engines.xtuner_run import RESUME_ENVIRON
from backend.envs import places, running
from backend.envs.status import Status
from backend.errors import PanelError
from backend.finetune import xtuner
from backend.i18n import N_
from backend.workspace import ROOT, Workspace

SHIMS = ROOT / "jobs" / "shims"
INT_S = 30.0
"""What it has after SIGINT before it is killed: loading stops late."""
TAIL_BYTES = 200_000
Argv = Sequence[str | Path]


def environment(workspace: Workspace) -> Status:
    """The environment of XTuner.

    Raises:
        PanelError: it cannot be used, and what to do.
    """
    found = places.status(workspace, "xtuner")
    if found.usable and found.python is not None:
        return found
    raise (
        found.problem
        or ENGINE.unavailable()
        or PanelError(
            "xtuner_not_ready",
            N_("The environment of XTuner is not ready: {folder}."),
            N_("Install it again on the Environments page, or fine-tune with the engine peft."),
            folder=str(found.folder),
        )
    )


def environ(found: Status, home: Path, *, device: str, own: bool = False) -> dict[str, str]:
    """The variables of its programs. home: where what it makes of rows is kept. own: it reads a checkpoint of ours."""
    assert found.python is not None
    variables = running.environ(ENGINE, found.python, "cpu" if device == "cpu" else found.flavour)
    if device == "cpu":
        variables["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or str(len(os.sched_getaffinity(0)))
        # Threads that spin while they wait keep the others from working: on a busy machine a step took five times as long.
        variables["OMP_WAIT_POLICY"] = "passive"
    path = [*filter(None, [variables.get("PYTHONPATH")]), str(SHIMS)]
    variables |= {"PYTHONPATH": os.pathsep.join(path), "HF_DATASETS_CACHE": str(home / "cache")}
    return variables | (RESUME_ENVIRON if own else {})


class Child:
    """A program of XTuner that runs, started in ``home``. What it prints is handed to ``say`` line by line."""

    def __init__(self, argv: Argv, home: Path, variables: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._say, self._rest = say, b""
        self.output = home / xtuner.OUTPUT
        self._offset = self._began = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as out:
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
        """SIGINT: it ends within seconds, and keeps the checkpoints that it has."""
        self._signal(signal.SIGINT)

    def end(self) -> None:
        """End it with all that it started. Does nothing to one that has ended."""
        if self.process.poll() is None:
            self.interrupt()
            self.wait(INT_S)
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
