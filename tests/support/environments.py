"""Engines' environments as an install leaves them, without their packages: for pages and commands that only look at them.

A toy engine that lives in this process stands in for a real one: ``engines()["toy"] = Toy(folder)``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.engines import Capability, Engine, Patch, Recipe
from backend.envs import locks, places
from backend.envs.places import Record
from backend.envs.status import Check, Report
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.workspace import Workspace, write_json

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGES = {"toy": "1.0", "toy-parts": "0.5"}
NO_GPU = ServerError("env_no_gpu", N_("This machine shows no NVIDIA GPU."))
PASSED = Check("Three training steps", "passed", 2.0, {"Loss": "3.42 → 3.10"})
NOT_TESTED = Check("A request to its server", "not_tested", problem=NO_GPU)
FAILED = Check(
    "Three training steps", "failed", 1.0, problem=PanelError("env_selftest_program", "It ended with code 1.")
)


@dataclass(frozen=True)
class ToyRecipe(Recipe):
    """A recipe whose locks lie in ``folder``."""

    folder: Path = Path()

    def lock(self, flavour: str) -> Path:
        return self.folder / f"toy-{flavour}.txt"


@dataclass
class Toy:
    """See :class:`backend.engines.base.Engine`."""

    folder: Path
    name: str = "toy"
    title: str = "Toy"
    purpose: str = "Plays with models."
    roles: tuple[str, ...] = ("serve",)
    able: list[Capability] = field(
        default_factory=lambda: [Capability("Play alone"), Capability("Play with many", NO_GPU)]
    )

    def __post_init__(self) -> None:
        for flavour in ("cpu", "cuda"):
            write_lock(self.folder / f"toy-{flavour}.txt", flavour, PACKAGES)
        patch = Patch("toy_parts", "Its parts do not fit together.", "toy", "<2", "import toy")
        self.recipe = ToyRecipe(("toy", "toy-parts"), ("cpu", "cuda"), ("toy",), patches=(patch,), folder=self.folder)

    def unavailable(self) -> PanelError | None:
        return None

    def capabilities(self) -> list[Capability]:
        return self.able


def write_lock(path: Path, flavour: str, packages: Mapping[str, str], python: str = PYTHON) -> None:
    """A lock of ``packages`` (name -> version), 1.5 MB each, 4 MB installed; no file of them is anywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = ["# engine: toy", f"# flavour: {flavour}", f"# python: {python}", "# installed_bytes: 4000000"]
    lines = [f"{name}=={version} --hash=sha256:{'0' * 64}  # 1500000" for name, version in packages.items()]
    path.write_text("\n".join([*head, *lines]) + "\n")


def make(
    workspace: Workspace, engine: Engine, *checks: Check, flavour: str = "cpu", tested: bool = True, lock: str = ""
) -> Path:
    """An environment of ``engine`` in use, made from its lock (or from that of digest ``lock``); ``checks``: its last
    self-test. Returns its build."""
    known = locks.find(engine, flavour)
    assert known is not None
    assert engine.recipe is not None
    base = places.home(workspace, engine.name)
    build = base / places.BUILDS / "1"
    packages = build / "lib" / f"python{PYTHON}" / "site-packages"
    packages.mkdir(parents=True)
    (build / "bin").mkdir()
    places.interpreter(build).symlink_to(sys.executable)
    for package in known.packages:
        (packages / f"{package.key}-{package.version}.dist-info").mkdir()
    found = {package.name: package.version for package in known.packages}
    versions = {name: found[name] for name in engine.recipe.packages if name in found}
    names = tuple(f"{package.key}-{package.version}" for package in known.packages)
    used = lock or known.digest
    Record(engine.name, flavour, used, PYTHON, versions, 4 << 20, time.time() - 7200, names).write(build)
    if tested:
        report(workspace, engine, build, *(checks or (PASSED,)), flavour=flavour)
    (base / places.CURRENT).symlink_to(Path(places.BUILDS) / build.name)
    return build


def report(workspace: Workspace, engine: Engine, root: Path, *checks: Check, flavour: str = "cpu") -> None:
    """``checks`` as the last self-test of the environment ``root``."""
    seconds = sum(check.seconds for check in checks)
    places.save_report(
        workspace, engine.name, Report(engine.name, flavour, "", time.time() - 3600, seconds, checks), root
    )


def delete_package(build: Path) -> None:
    """Somebody removes a package behind our back."""
    next(build.glob("lib/*/*/toy_parts-*.dist-info")).rmdir()


__all__ = ["FAILED", "NOT_TESTED", "PASSED", "Toy", "delete_package", "make", "report", "write_json", "write_lock"]
