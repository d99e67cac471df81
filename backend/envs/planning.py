"""What an install would do on this machine, and why it cannot: asked of files and the driver only, never of the network."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from backend import settings
from backend.engines.base import Engine
from backend.envs import bundles, locks, places, wheels
from backend.envs.locks import Lock
from backend.errors import PanelError
from backend.i18n import N_
from backend.memory import machine
from backend.settings import Settings
from backend.workspace import Workspace


@dataclass(frozen=True)
class Plan:
    """One install, before anything is done.

    flavour: that would be made. why_flavour: an English text marked with ``N_``. python: version that is needed, such as
    ``3.11``. packages: how many. download_bytes: still to be fetched. installed_bytes: about what it takes in the end.
    needed_bytes: what the disk must have free now. reuse: the same is installed and proven, so nothing will be done.
    problems: why it cannot be made; empty where it can.
    """

    engine: str
    flavour: str
    why_flavour: str
    python: str
    packages: int
    download_bytes: int
    installed_bytes: int
    free_bytes: int
    needed_bytes: int
    reuse: bool
    problems: tuple[PanelError, ...]


def plan(workspace: Workspace, engine_name: str, flavour: str = "auto", wheels_folder: Path | None = None) -> Plan:
    """What installing ``engine_name`` would do. ``wheels_folder``: a bundle to install from, without a network.

    Raises:
        NotFoundError: ``env_unknown``.
        PanelError: ``settings_bad``, ``env_lock_bad``.
    """
    now = settings.load(workspace)
    engine = places.with_environment(engine_name)
    chosen, why = choose(engine, flavour)
    base = places.home(workspace, engine_name, now)
    free = free_bytes(base)
    lock = locks.find(engine, chosen)
    if lock is None:
        return Plan(engine_name, chosen, why, "", 0, 0, 0, free, 0, False, (no_lock(engine, chosen),))
    if reusable(workspace, engine_name, chosen, now):
        return Plan(
            engine_name, chosen, why, lock.python, len(lock.packages), 0, lock.installed_bytes, free, 0, True, ()
        )
    here = wheels.present(base / places.WHEELS, lock)
    fetch = 0 if wheels_folder else sum(package.bytes for package in lock.packages if package.pin not in here)
    reserve = now.download_reserve_mib * 2**20
    needed = reserve + needed_bytes(lock, fetch, cached=not os.environ.get("PIP_NO_CACHE_DIR"))
    problems = [_own_named(engine)] if places.named_python(workspace, engine_name, now) else []
    problems += [_other_python(engine, lock)] if places.base_python(lock.pythons) is None else []
    if wheels_folder and (problem := bundles.problem(wheels_folder, lock)):
        problems.append(problem)
    problems += [problem for problem in (_not_writable(base), _no_room(base, free, needed)) if problem]
    return Plan(
        engine_name,
        chosen,
        why,
        lock.python,
        len(lock.packages),
        fetch,
        lock.installed_bytes,
        free,
        needed,
        False,
        tuple(problems),
    )


def choose(engine: Engine, flavour: str) -> tuple[str, str]:
    """The flavour to make here, and why (an English text marked with ``N_``)."""
    recipe = engine.recipe
    assert recipe is not None
    if flavour != "auto":
        return flavour, N_("You asked for it.")
    gpus, _problem = machine.gpus()
    if gpus and "cuda" in recipe.flavours:
        return "cuda", N_("This machine has an NVIDIA GPU.")
    if "cpu" in recipe.flavours:
        return "cpu", N_("This engine computes on the CPU.") if gpus else N_("This machine shows no NVIDIA GPU.")
    return recipe.flavours[0], N_("There is no other build of this engine.")


def reusable(workspace: Workspace, engine_name: str, flavour: str, now: Settings | None = None) -> bool:
    """Whether what the lock of this flavour says is installed and proven, here or in the shared folder."""
    found = places.status(workspace, engine_name, now)
    return found.state == "ready" and found.flavour == flavour


def bundle_problem(workspace: Workspace, engine: Engine, lock: Lock, folder: Path) -> PanelError | None:
    """Why the files of ``lock`` cannot be fetched into ``folder``; None where they can."""
    if places.base_python(lock.pythons) is None:
        return _other_python(engine, lock)
    here = wheels.present(folder, lock)
    fetch = sum(package.bytes for package in lock.packages if package.pin not in here)
    reserve = settings.load(workspace).download_reserve_mib * 2**20
    return _not_writable(folder) or _no_room(folder, free_bytes(folder), fetch + reserve)


def needed_bytes(lock: Lock, fetch: int, *, cached: bool) -> int:
    """What making it takes. pip keeps what it fetched in its cache, too, and holds the file at hand once more."""
    largest = max((package.bytes for package in lock.packages), default=0) if fetch else 0
    return lock.installed_bytes + fetch * (2 if cached else 1) + largest


def free_bytes(folder: Path) -> int:
    """What is free on the disk that holds ``folder``, or will."""
    return shutil.disk_usage(_there(folder)).free


def _there(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def no_lock(engine: Engine, flavour: str) -> PanelError:
    """Nobody has said what such an environment is made of."""
    return PanelError(
        "env_no_lock",
        N_("There is no list of packages for {engine} of the kind {flavour}."),
        N_("Choose another kind, or get a newer TuneDeck."),
        engine=engine.title,
        flavour=flavour,
    )


def _other_python(engine: Engine, lock: Lock) -> PanelError:
    return PanelError(
        "env_python_version",
        N_("{engine} needs Python {wanted}; TuneDeck runs with {found}, and no such Python is on the path."),
        N_("Install Python {first} beside the one that is there (with its venv module), then try again."),
        engine=engine.title,
        wanted=" / ".join(lock.pythons),
        first=lock.pythons[0],
        found=f"{sys.version_info[0]}.{sys.version_info[1]}",
    )


def _own_named(engine: Engine) -> PanelError:
    return PanelError(
        "env_own_named",
        N_("The settings name a Python of your own for {engine}, so nothing that TuneDeck installs would be used."),
        N_("Empty the setting {setting} first."),
        engine=engine.title,
        setting=f"{engine.name}_python",
    )


def _not_writable(base: Path) -> PanelError | None:
    if os.access(_there(base), os.W_OK):
        return None
    return PanelError(
        "env_folder_read_only",
        N_("Nothing can be written to {folder}, where the environment is to lie."),
        N_("Give yourself write permission there, or name another folder in the setting environments_folder."),
        folder=str(_there(base)),
    )


def _no_room(base: Path, free: int, needed: int) -> PanelError | None:
    if free >= needed:
        return None
    return PanelError(
        "env_no_room",
        N_("The disk that holds {folder} has {free} free; this environment needs {needed} while it is made."),
        N_("Make room there, or name a folder on a larger disk in the setting environments_folder."),
        folder=str(_there(base)),
        free=size_text(free),
        needed=size_text(needed),
    )


def size_text(size: int) -> str:
    """Bytes for a sentence."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
