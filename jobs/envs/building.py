"""One build: the empty environment, the packages from a folder of files, and the record that makes it complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from backend.engines.base import Engine
from backend.envs import locks, pip, places, removing
from backend.envs.locks import Lock, Package
from backend.errors import PanelError
from backend.i18n import N_
from backend.settings import Settings
from backend.workspace import Workspace, explain_os_error
from jobs.envs.pip_process import Pip
from jobs.harness import Job

REPORT_S = 1.0
TOOLS = frozenset(
    {
        "setuptools",
        "wheel",
        "packaging",
        "setuptools_scm",
        "hatchling",
        "pathspec",
        "pluggy",
        "trove_classifiers",
        "flit_core",
        "poetry_core",
        "pdm_backend",
        "cython",
        "pybind11",
        "numpy",
        "ninja",
        "cmake",
    }
)
"""What builds packages from their sources: in the environment before any source package is even looked at."""


def create(job: Job, lock: Lock, build: Path) -> None:
    """An environment without packages at ``build``, which is its final path: scripts in it name it.

    Raises:
        PanelError: ``env_python_version``, ``env_create`` with what Python says.
    """
    base = places.base_python(lock.pythons)
    assert base is not None, "planning refuses this before anything is made"
    try:
        build.parent.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            [str(base), "-m", "venv", "--without-pip", str(build)],
            env={name: value for name, value in os.environ.items() if name not in pip.OTHERS},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise explain_os_error(error, build.parent) from error
    if made.returncode:
        said = [line for line in (made.stdout + made.stderr).splitlines() if line.strip()] or ["-"]
        job.log("\n".join(said))
        if "No space left" in said[-1] or "Disk quota" in said[-1]:
            raise pip.explain(said, build.parent, Workspace(build), Settings())
        raise PanelError(
            "env_create",
            N_("Python could not make the environment {folder}: {line}"),
            N_("On Debian or Ubuntu the package python3-venv is needed. Then try again."),
            folder=str(build),
            line=said[-1][:500],
        )
    job.log(f"{build}: an empty environment, made with {base}")


def install(
    job: Job,
    workspace: Workspace,
    settings: Settings,
    lock: Lock,
    build: Path,
    files: Path,
    only: list[Package],
    *,
    quiet: bool = False,
) -> None:
    """Install the packages ``only`` from ``files``, without asking anything for more; source packages after the others. ``quiet``: another
    phase is at work, and tells its own progress.

    Raises:
        PanelError: why pip could not.
        Stopped: the person asked to stop.
    """
    temporary = build / ".pip"
    began = time.monotonic()
    already = set(places.distributions(build))
    wanted = [package for package in only if package.key not in already]
    told = 0.0

    def check(*, last: bool = False) -> None:
        nonlocal told
        job.check_stop()
        now = time.monotonic()
        if quiet or (now - told < REPORT_S and not last):
            return
        told = now
        done = len(places.distributions(build))
        new = max(0, done - len(already))
        left = (now - began) / new * (len(lock.packages) - done) if new else None
        job.progress("install", done, len(lock.packages), left)

    for packages in ([p for p in wanted if not p.sdist], [p for p in wanted if p.sdist]):
        if not packages:
            continue
        try:
            temporary.mkdir(exist_ok=True)
            listed = temporary / "wanted.txt"
            listed.write_text("".join(f"{package.pin}\n" for package in packages), encoding="utf-8")
        except OSError as error:
            raise explain_os_error(error, build) from error
        argv = pip.command(
            places.interpreter(build),
            *("install", "--no-index", "--find-links", str(files), "--no-deps", "--no-build-isolation"),
            *("--no-warn-script-location", "--progress-bar", "off", "-r", str(listed)),
        )
        run = Pip(argv, pip.installing_environ(temporary), job.log)
        if run.wait(check):
            raise pip.explain(list(run.lines), build, workspace, settings)
    check(last=True)
    shutil.rmtree(temporary, ignore_errors=True)


def tools(lock: Lock) -> list[Package]:
    """What must be there before source packages can be looked at; nothing where the lock has none of those."""
    if not any(package.sdist for package in lock.packages):
        return []
    return [package for package in lock.packages if package.key in TOOLS and not package.sdist]


def complete(job: Job, engine: Engine, lock: Lock, build: Path) -> places.Record:
    """Write the record, after which the build counts as whole.

    Raises:
        PanelError: ``env_incomplete``: pip ended well, but a package is not there.
    """
    recipe = engine.recipe
    assert recipe is not None
    installed = places.distributions(build)
    lost = [package.pin for package in lock.packages if package.key not in installed]
    if lost:
        raise PanelError(
            "env_incomplete",
            N_("pip ended well, but these packages are not in {folder}: {lost}."),
            N_("Resume to try again. If it lasts, report it to the makers of TuneDeck, with the log of this job."),
            folder=str(build),
            lost=", ".join(lost[:5]),
        )
    for line in unmet(build):
        # Only said: engines declare packages that they never load, and the lock leaves those out.
        job.log(line)
    record = places.Record(
        engine=engine.name,
        flavour=lock.flavour,
        lock=lock.digest,
        python=_version(build),
        versions={name: installed[key] for name in recipe.packages if (key := locks.canonical(name)) in installed},
        bytes=removing.folder_bytes(build),
        installed_at=time.time(),
        distributions=tuple(f"{name}-{version}" for name, version in sorted(installed.items())),
    )
    record.write(build)
    return record


def unmet(build: Path) -> list[str]:
    """What packages of ``build`` declare that they need, and is not there in a version that fits; as ``pip check`` says it."""
    found = list(distributions(path=[str(folder) for folder in places.site_packages(build)]))
    installed = {locks.canonical(each.metadata["Name"]): each.version for each in found}
    lines = []
    for each in found:
        for text in each.requires or []:
            try:
                asked = Requirement(text)
            except InvalidRequirement:
                continue
            if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
                continue
            version = installed.get(locks.canonical(asked.name))
            if version is None or not asked.specifier.contains(version, prereleases=True):
                has = f"has {version}" if version else "has none"
                lines.append(f"{each.metadata['Name']} asks for {asked.name}{asked.specifier}; the environment {has}")
    return sorted(lines)


def take_into_use(base: Path, build: Path) -> None:
    """Point ``current`` at ``build``, in one step."""
    try:
        link = base / f".current.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(build.relative_to(base))
        link.replace(base / places.CURRENT)
    except OSError as error:
        raise explain_os_error(error, base) from error


def _version(build: Path) -> str:
    for line in (build / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "version":
            return value.strip()
    return ""
