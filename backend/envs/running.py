"""How a program is started in an engine's environment: its Python, its variables, our patches on its path."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import psutil
from packaging.specifiers import SpecifierSet

from backend.engines.base import Engine
from backend.engines.recipes import Patch
from backend.envs import locks, places

MARK = "TUNEDECK_ENVIRONMENT"
"""Every program in an environment, and what it starts, carries the environment's folder in this variable."""
KEPT = ("TUNEDECK_JOB_COOKIE", "TUNEDECK_JOB_ID", "TUNEDECK_JOB_DIR", "TUNEDECK_WORKSPACE")
"""What the queue must find in every process of a job to end it; nothing of it is secret."""
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")
"""Would let another environment's packages in."""


def environ(engine: Engine, python: Path, flavour: str, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for a program of ``engine`` that ``python`` runs. ``base``: ours; no TUNEDECK_ secret of it is passed."""
    root = python.parent.parent
    found = {
        name: value
        for name, value in (os.environ if base is None else base).items()
        if name not in FOREIGN and (not name.startswith("TUNEDECK_") or name in KEPT)
    }
    found.setdefault("OMP_NUM_THREADS", "1")
    found |= {
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": str(root),
        "PATH": os.pathsep.join([str(root / "bin"), found.get("PATH", os.defpath)]),
        MARK: str(root),
    }
    if engine.recipe is not None:
        found |= engine.recipe.environ
    if flavour == "cpu":
        found["CUDA_VISIBLE_DEVICES"] = ""
    if folders := [str(patch.folder) for patch in patches(engine, root, flavour)]:
        found["PYTHONPATH"] = os.pathsep.join(folders)
    return found


def patches(engine: Engine, root: Path, flavour: str) -> list[Patch]:
    """Those that the environment ``root`` needs: told by the versions that are installed in it."""
    recipe = engine.recipe
    if recipe is None or not recipe.patches:
        return []
    installed = places.distributions(root)
    return [patch for patch in recipe.patches if flavour in patch.flavours and _fits(patch, installed)]


def _fits(patch: Patch, installed: Mapping[str, str]) -> bool:
    version = installed.get(locks.canonical(patch.package))
    return version is not None and SpecifierSet(patch.versions).contains(version, prereleases=True)


def users(build: Path) -> list[psutil.Process]:
    """The living processes that use the environment ``build``.

    Covered: what we started in it (by :data:`MARK`) with all its descendants; what a person started in it from a shell,
    by VIRTUAL_ENV or the path of the program. Of other people's processes the command line only can be seen.
    """
    inside, found = f"{build}{os.sep}", []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            line = process.cmdline()
            if line and any(argument.startswith(inside) for argument in line[:2]):
                found.append(process)
                continue
            variables = process.environ()
            if str(build) in (variables.get(MARK), variables.get("VIRTUAL_ENV")):
                found.append(process)
    return found


def jobs_of(processes: list[psutil.Process]) -> list[int]:
    """The numbers of the jobs that these processes belong to."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            found.add(int(process.environ().get("TUNEDECK_JOB_ID", "")))
    return sorted(found)
