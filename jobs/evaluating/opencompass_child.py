"""OpenCompass as a child of the job: where it is, what its programs see, and its end, for certain and with all that it started."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from backend.engines import opencompass_config as oc
from backend.engines.opencompass import ENGINE
from backend.envs import running
from backend.envs.status import Status
from backend.i18n import N_
from backend.workspace import ROOT, Workspace
from jobs import child

PROGRAM = ROOT / "jobs" / "shims" / "opencompass_run.py"
WATCHED = "watch.jsonl"
OUTPUT = "output.log"
_BAR = re.compile(r"\d+%\|")
_SCORES_TOGETHER = "OpenICLEvalTask"


def environment(workspace: Workspace) -> Status:
    """The environment of OpenCompass.

    Raises:
        PanelError: it cannot be used, and what to do.
    """
    return child.environment(
        workspace,
        ENGINE,
        "opencompass_not_ready",
        N_("The environment of OpenCompass is not ready: {folder}."),
        N_("Install it again on the Environments page, or evaluate with TuneDeck's own evaluator."),
    )


def environ(found: Status, home: Path, key: str, config: str, *, by: str) -> dict[str, str]:
    """The variables of its programs. key: of the server. config: its text, which decides when scores can be had."""
    assert found.python is not None
    flavour = found.flavour or "cpu"
    variables = running.environ(ENGINE, found.python, flavour) | oc.environ(key or "none")
    if by == "hf" and flavour == "cpu":
        variables["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or str(len(os.sched_getaffinity(0)))
    score = "1" if _SCORES_TOGETHER in config else ""
    return variables | {"OPENCOMPASS_WATCH": str(home / WATCHED), "OPENCOMPASS_SCORE": score}


class Child(child.Child):
    """It runs, started in ``home``. What it prints goes to ``say``, but for its progress bars."""

    patience = 5.0
    """An answer that is under way is asked again."""

    def __init__(self, argv: list[str], home: Path, variables: Mapping[str, str], say: Callable[[str], None]) -> None:
        super().__init__(
            argv, home, variables, lambda line: None if not line or _BAR.search(line) else say(line), home / OUTPUT
        )

    def end(self) -> None:
        """End it with all that it started, those in sessions of their own as well. Does nothing to one that has ended."""
        started = _descendants(self.process.pid)
        if self.process.poll() is None:
            self.interrupt()
            self.wait(self.patience)
        self._signal(signal.SIGKILL)
        for each in started:
            try:
                each.kill()
            except psutil.Error:
                continue
        self.process.wait()
        self._hand_on()


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
