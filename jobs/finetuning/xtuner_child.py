"""XTuner as a child of the job: where it is, what its programs see, and how one runs (:mod:`jobs.child`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from backend.engines.xtuner import ENGINE
from backend.engines.xtuner_run import RESUME_ENVIRON
from backend.envs import running
from backend.envs.status import Status
from backend.finetune import xtuner
from backend.i18n import N_
from backend.workspace import ROOT, Workspace
from jobs import child, threads
from jobs.child import Argv

SHIMS = ROOT / "jobs" / "shims"


def environment(workspace: Workspace) -> Status:
    """The environment of XTuner.

    Raises:
        PanelError: it cannot be used, and what to do.
    """
    return child.environment(
        workspace,
        ENGINE,
        "xtuner_not_ready",
        N_("The environment of XTuner is not ready: {folder}."),
        N_("Install it again on the Environments page, or fine-tune with the engine peft."),
    )


def environ(found: Status, home: Path, *, device: str, own: bool = False) -> dict[str, str]:
    """The variables of its programs. home: where what it makes of rows is kept. own: it reads a checkpoint of ours."""
    assert found.python is not None
    variables = running.environ(ENGINE, found.python, "cpu" if device == "cpu" else found.flavour)
    if device == "cpu":
        variables["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or str(len(os.sched_getaffinity(0)))
        threads.wait_briefly(variables)
    path = [*filter(None, [variables.get("PYTHONPATH")]), str(SHIMS)]
    variables |= {"PYTHONPATH": os.pathsep.join(path), "HF_DATASETS_CACHE": str(home / "cache")}
    return variables | (RESUME_ENVIRON if own else {})


class Child(child.Child):
    """A program of XTuner, or of an engine like it, that runs, started in ``home``. What it prints is handed to ``say`` line by line."""

    def __init__(self, argv: Argv, home: Path, variables: Mapping[str, str], say: Callable[[str], None]) -> None:
        super().__init__(argv, home, variables, say, home / xtuner.OUTPUT)
