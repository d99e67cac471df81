"""Where LMDeploy is installed: an environment of its own, since its pins exclude ours."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from backend import settings
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.memory import machine
from backend.workspace import Workspace, default_root

FACTS = Path(__file__).with_name("lmdeploy.json")
"""What the version that TuneDeck was made for knows; written by scripts/engine_parsers.py."""


@cache
def facts() -> dict[str, Any]:
    """``lmdeploy`` (version), architectures by core (``turbomind``, ``pytorch``), ``chat_templates``, ``options`` …"""
    found: dict[str, Any] = json.loads(FACTS.read_text(encoding="utf-8"))
    return found


def python() -> Path:
    """The Python of the environment: the one in the settings, else the one in the workspace. It may not be there."""
    workspace = Workspace(default_root())
    named = settings.load(workspace).lmdeploy_python
    return Path(named).expanduser() if named else workspace.environments / "lmdeploy" / "bin" / "python"


def unavailable() -> PanelError | None:
    """Why LMDeploy cannot run on this machine; None where it can. Starts no process."""
    gpus, problem = machine.gpus()
    # One that does not tell its memory is given to no job.
    if not any(gpu.total is not None and gpu.free is not None for gpu in gpus):
        return ServerError(
            "engine_needs_gpu",
            N_("LMDeploy computes on NVIDIA GPUs only, and this machine shows none: {problem}")
            if problem
            else N_("LMDeploy computes on NVIDIA GPUs only, and this machine shows none."),
            N_("Serve the model with transformers, which also computes on the CPU, or on a machine with a GPU."),
            problem=problem,
        )
    interpreter = python()
    if not os.access(interpreter, os.X_OK):
        return ServerError(
            "engine_missing_environment",
            N_("LMDeploy is not installed here: there is no {python}."),
            N_(
                "Name the Python of an environment that has it in the setting lmdeploy_python, or make one with: "
                "python3 -m venv {folder} && {python} -m pip install lmdeploy=={version}"
            ),
            python=str(interpreter),
            folder=str(interpreter.parent.parent),
            version=facts()["lmdeploy"],
        )
    found = installed(interpreter)
    if found is None or found.split(".")[:2] != str(facts()["lmdeploy"]).split(".")[:2]:
        return ServerError(
            "engine_wrong_version",
            N_("{python} has LMDeploy {found}; TuneDeck was made for {version}."),
            N_("Install it with: {python} -m pip install lmdeploy=={version}"),
            python=str(interpreter),
            found=found or "-",
            version=facts()["lmdeploy"],
        )
    return None


def installed(interpreter: Path) -> str | None:
    """The version of LMDeploy in the environment of ``interpreter``; None where there is none. Reads folder names only."""
    root = interpreter.parent.parent
    for folder in sorted(root.glob("lib*/python3*/*-packages/lmdeploy-*.dist-info")):
        return folder.name.removeprefix("lmdeploy-").removesuffix(".dist-info")
    return None
