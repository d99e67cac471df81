"""Where LMDeploy is installed: an environment of its own, since its pins exclude ours."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from backend.engines.refusals import not_installed
from backend.engines.registry import engines
from backend.envs import places
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.memory import machine
from backend.workspace import Workspace, default_root

NAME = "lmdeploy"
FACTS = Path(__file__).with_name("lmdeploy.json")
"""What the version that TuneDeck was made for knows; written by scripts/engine_parsers.py."""


@cache
def facts() -> dict[str, Any]:
    """``lmdeploy`` (version), architectures by core (``turbomind``, ``pytorch``), ``chat_templates``, ``options`` …"""
    found: dict[str, Any] = json.loads(FACTS.read_text(encoding="utf-8"))
    return found


def python() -> Path:
    """The Python of the environment: the one in the settings, else the one that TuneDeck made. It may not be there."""
    workspace = Workspace(default_root())
    found = places.status(workspace, NAME)
    return found.python or places.interpreter(places.home(workspace, NAME) / places.CURRENT)


def unavailable() -> PanelError | None:
    """Why LMDeploy cannot serve on this machine; None where it can. Starts no process."""
    return _no_gpu() or unusable() or _for_the_cpu()


def unusable() -> PanelError | None:
    """Why nothing of LMDeploy can be started here, not even what needs no GPU; None where it can. Starts no process."""
    if (problem := not_installed(engines()[NAME])) is not None:
        return problem
    interpreter = python()
    found = installed(interpreter)
    if found is None or found.split(".")[:2] != str(facts()["lmdeploy"]).split(".")[:2]:
        return ServerError(
            "engine_wrong_version",
            N_("{python} has LMDeploy {found}; TuneDeck was made for {version}."),
            N_(
                "Install it anew on the Environments page; where it is your own: {python} -m pip install lmdeploy=={version}"
            ),
            engine="LMDeploy",
            python=str(interpreter),
            found=found or "-",
            version=facts()["lmdeploy"],
        )
    return None


def _no_gpu() -> PanelError | None:
    gpus, problem = machine.gpus()
    # One that does not tell its memory is given to no job.
    if any(gpu.total is not None and gpu.free is not None for gpu in gpus):
        return None
    return ServerError(
        "engine_needs_gpu",
        N_("LMDeploy computes on NVIDIA GPUs only, and this machine shows none: {problem}")
        if problem
        else N_("LMDeploy computes on NVIDIA GPUs only, and this machine shows none."),
        N_("Serve the model with transformers, which also computes on the CPU, or on a machine with a GPU."),
        problem=problem,
    )


def _for_the_cpu() -> PanelError | None:
    """The environment was made before there was a GPU, or on purpose: its servers would not start."""
    if places.status(Workspace(default_root()), NAME).flavour != "cpu":
        return None
    return ServerError(
        "engine_flavour_cpu",
        N_("LMDeploy is installed here for the CPU: it makes 4-bit copies of models, and serves none."),
        N_("Install it again on the Environments page, for CUDA."),
    )


def installed(interpreter: Path) -> str | None:
    """The version of LMDeploy in the environment of ``interpreter``; None where there is none. Reads folder names only."""
    root = interpreter.parent.parent
    for folder in sorted(root.glob("lib*/python3*/*-packages/lmdeploy-*.dist-info")):
        return folder.name.removeprefix("lmdeploy-").removesuffix(".dist-info")
    return None
