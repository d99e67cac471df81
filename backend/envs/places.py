"""Where environments lie on this machine, which one of an engine is in use, and whether it is what was installed.

    <environments_folder>/<engine>/          default ~/.tunedeck/environments: all panels of a person share it
    ├── install.lock                         locked (flock) while an install runs
    ├── current -> builds/<id>               replaced in one step, once the new build has passed its self-test
    ├── builds/<id>/                         the environment, at its final path from the start
    │   ├── environment.json                 what was installed; written last, so it is also the proof of completeness
    │   └── selftest.json                    the last self-test of this build
    ├── wheels/                              downloads; kept until an install has passed, so that another attempt goes on
    └── selftest-<hash>.json                 the last self-test of an environment that is not ours to write in

``shared_environments_folder`` has the same shape and is only read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend import settings
from backend.doctor.facts import torch_build
from backend.engines.base import Engine
from backend.engines.registry import engines
from backend.envs import locks
from backend.envs.status import Report, State, Status
from backend.errors import NotFoundError, PanelError
from backend.i18n import N_
from backend.queue.locks import held
from backend.settings import Settings
from backend.workspace import Workspace, read_json, write_json

RECORD, REPORT, CURRENT, BUILDS, WHEELS, INSTALL_LOCK = (
    "environment.json",
    "selftest.json",
    "current",
    "builds",
    "wheels",
    "install.lock",
)


@dataclass(frozen=True)
class Record:
    """``environment.json``. lock: digest. python: full version. versions: of ``Recipe.packages``. bytes: on disk.
    distributions: ``name-version`` of all that was installed. installed_at: epoch seconds."""

    engine: str
    flavour: str
    lock: str
    python: str
    versions: Mapping[str, str]
    bytes: int
    installed_at: float
    distributions: tuple[str, ...]

    def write(self, build: Path) -> None:
        """The last step of making ``build``. Readable for those whose shared folder this is."""
        write_json(build / RECORD, {**asdict(self), "versions": dict(self.versions)}, mode=0o644)


def folder(workspace: Workspace, now: Settings | None = None) -> Path:
    """Where environments are made. It may not be there yet. ``now``: the settings, for who has read them already."""
    named = (now or settings.load(workspace)).environments_folder
    return Path(named).expanduser() if named else Path.home() / ".tunedeck" / "environments"


def shared_folder(workspace: Workspace, now: Settings | None = None) -> Path | None:
    """Where somebody made environments for everyone; None where no such folder is set."""
    named = (now or settings.load(workspace)).shared_environments_folder
    return Path(named).expanduser() if named else None


def home(workspace: Workspace, engine_name: str, now: Settings | None = None) -> Path:
    """The folder of one engine's environments; it may not be there."""
    return folder(workspace, now) / engine_name


def named_python(workspace: Workspace, engine_name: str, now: Settings | None = None) -> Path | None:
    """The interpreter that the settings name for an engine (``lmdeploy_python``); None where they name none."""
    named = getattr(now or settings.load(workspace), f"{engine_name}_python", "")
    return Path(named).expanduser() if named else None


def with_environment(engine_name: str) -> Engine:
    """The engine of that name.

    Raises:
        NotFoundError: ``env_unknown`` where there is none, or it needs no environment of its own.
    """
    engine = engines().get(engine_name)
    if engine is None or engine.recipe is None:
        raise NotFoundError(
            "env_unknown",
            N_("There is no environment called '{engine}'."),
            N_("These can be made: {known}."),
            engine=engine_name,
            known=", ".join(name for name, each in engines().items() if each.recipe is not None),
        )
    return engine


def current(home: Path) -> Path | None:
    """The build in use below ``home``, by its own path; None where there is none. It may have been deleted."""
    try:
        return home / (home / CURRENT).readlink()
    except OSError:
        return None


def interpreter(build: Path) -> Path:
    """The Python of an environment; it may not be there."""
    return build / "bin" / "python"


def site_packages(root: Path) -> list[Path]:
    """Where the environment ``root`` keeps its packages. ``lib64`` is mostly another name of ``lib``."""
    return sorted({folder.resolve() for folder in root.glob("lib*/python3*/*-packages")})


def distributions(root: Path) -> dict[str, str]:
    """Canonical name -> version of everything that is installed in the environment ``root``. Reads folder names only."""
    found = {}
    for packages in site_packages(root):
        for entry in os.scandir(packages):
            name, _, version = entry.name.removesuffix(".dist-info").partition("-")
            if entry.name.endswith(".dist-info"):
                found[locks.canonical(name)] = version
    return found


def record(build: Path) -> Record | None:
    """What was installed into ``build``; None where it is not complete."""
    data = read_json(build / RECORD)
    try:
        return Record(**{**data, "distributions": tuple(data["distributions"])})
    except (TypeError, KeyError):
        return None


def status(workspace: Workspace, engine_name: str, now: Settings | None = None) -> Status:
    """The environment of one engine now. Starts no process, asks no network. ``now``: see :func:`folder`.

    Raises:
        NotFoundError: ``env_unknown``: there is no such engine.
        PanelError: ``settings_bad``, ``env_lock_bad``.
    """
    now = now or settings.load(workspace)
    engine = engines().get(engine_name)
    if engine is not None and engine.recipe is None:
        prefix = Path(sys.prefix)
        report = _report(home(workspace, engine_name, now), prefix)
        return Status(engine_name, "builtin", prefix, Path(sys.executable), report=report)
    engine = with_environment(engine_name)
    base = home(workspace, engine_name, now)
    if named := named_python(workspace, engine_name, now):
        return _own(engine, base, named)
    mine = _made(engine, base, base)
    if mine.usable:
        return mine
    if common := shared_folder(workspace, now):
        shared = _made(engine, common / engine_name, base, shared=True)
        if shared.usable:
            return shared
    # One that was made by hand where TuneDeck looks for it.
    if mine.state == "missing" and os.access(interpreter(base), os.X_OK):
        return _own(engine, base, interpreter(base))
    return mine


def statuses(workspace: Workspace) -> list[Status]:
    """Those of all engines, in the order of their names."""
    now = settings.load(workspace)
    return [status(workspace, name, now) for name in engines()]


def installing(workspace: Workspace, engine_name: str) -> bool:
    """Whether an install of this engine runs now, whoever started it."""
    return held(home(workspace, engine_name) / INSTALL_LOCK)


def base_python(versions: Sequence[str]) -> Path | None:
    """A Python of one of ``versions`` (such as ``3.11``) to make an environment with: the one that runs us, else one on the
    path; None where there is none."""
    if f"{sys.version_info[0]}.{sys.version_info[1]}" in versions:
        return Path(getattr(sys, "_base_executable", "") or sys.executable)
    found = next(filter(None, (shutil.which(f"python{version}") for version in versions)), None)
    return Path(found) if found else None


def save_report(workspace: Workspace, engine_name: str, report: Report, root: Path) -> None:
    """Remember ``report`` as the last self-test of the environment ``root``.

    Raises:
        WorkspaceError: it cannot be written.
    """
    ours, theirs = _report_places(home(workspace, engine_name), root)
    place = ours if os.access(root, os.W_OK) and record(root) else theirs
    place.parent.mkdir(parents=True, exist_ok=True)
    write_report(place, report)


def write_report(place: Path, report: Report) -> None:
    """Readable for those whose shared folder this is."""
    write_json(place, report.to_dict(), mode=0o644)


def _report_places(base: Path, root: Path) -> tuple[Path, Path]:
    """In the environment, and for one that is not ours to write in."""
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return root / REPORT, base / f"selftest-{digest}.json"


def _report(base: Path, root: Path) -> Report | None:
    found = [report for place in _report_places(base, root) if (report := _read_report(place)) is not None]
    return max(found, key=lambda report: report.at, default=None)


def _read_report(place: Path) -> Report | None:
    data: Any = read_json(place)
    try:
        return Report.from_dict(data) if isinstance(data, dict) else None
    except (KeyError, TypeError, ValueError):
        return None


def _made(engine: Engine, place: Path, base: Path, *, shared: bool = False) -> Status:
    """The environment that an install made at ``place``; ``base``: the engine's folder that we may write in."""
    build = current(place)
    if build is None:
        return Status(engine.name, "missing", place, shared=shared)
    known = record(build)
    problem = _damage(engine, build, known)
    if known is None or problem is not None:
        return Status(engine.name, "damaged", build, shared=shared, problem=problem)
    report = _report(base, build)
    shipped = locks.find(engine, known.flavour)
    state: State = "ready" if report is not None and report.passed else "unproven"
    if shipped is not None and shipped.digest != known.lock:
        state = "outdated"
    return Status(
        engine.name,
        state,
        build,
        interpreter(build),
        known.flavour,
        known.versions,
        known.bytes,
        known.installed_at,
        shared,
        report,
    )


def _damage(engine: Engine, build: Path, known: Record | None) -> PanelError | None:
    """Why ``build`` is not what was installed; None where it is, as far as names tell."""
    if not build.is_dir():
        return _damaged(engine, build, N_("The environment of {engine} was deleted: {folder} is not there."))
    if known is None:
        return _damaged(engine, build, N_("The environment of {engine} in {folder} is not complete."))
    if not os.access(interpreter(build), os.X_OK):
        return _damaged(engine, build, N_("The Python of the environment {folder} is not there any more."))
    here = {f"{name}-{version}" for name, version in distributions(build).items()}
    lost = sorted(set(known.distributions) - here)
    if lost:
        return _damaged(
            engine,
            build,
            N_("The environment of {engine} in {folder} was changed. These packages are gone: {lost}."),
            lost=", ".join(lost[:5]) + (" …" if len(lost) > 5 else ""),
        )
    return None


def _damaged(engine: Engine, build: Path, message: str, **more: str) -> PanelError:
    return PanelError(
        "env_damaged",
        message,
        N_("Install it again on the Environments page; what uses it must be started anew."),
        engine=engine.title,
        folder=str(build),
        **more,
    )


def _own(engine: Engine, base: Path, named: Path) -> Status:
    """The environment whose Python a person named."""
    recipe = engine.recipe
    assert recipe is not None
    root = named.parent.parent
    if not os.access(named, os.X_OK):
        problem = PanelError(
            "env_own_missing",
            N_("{python}, which the settings name as the Python of {engine}, is not there."),
            N_("Correct the setting, or empty it to use the environment that TuneDeck makes."),
            python=str(named),
            engine=engine.title,
        )
        return Status(engine.name, "damaged", root, problem=problem)
    installed = distributions(root)
    versions = {name: installed[key] for name in recipe.packages if (key := locks.canonical(name)) in installed}
    torch, cuda = torch_build(root)
    flavour = "cuda" if "cuda" in recipe.flavours and (cuda or not torch) else "cpu"
    return Status(engine.name, "own", root, named, flavour, versions, report=_report(base, root))
