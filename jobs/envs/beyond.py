"""What a package that may be any build needs beyond the lock.

The locks for the CPU name torch without a hash, so that an index with builds for the CPU can give one: that needs nothing more. From
any other index comes the CUDA build, which does not load without NVIDIA's libraries beside it. They are fetched and
installed then, gigabytes as they are: a slow install is better than one that fails at its end. No hash of ours covers them.
"""

from __future__ import annotations

import shutil
import zipfile
from email import message_from_bytes
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from backend.envs import pip, places, wheels
from backend.envs.locks import Lock, canonical
from backend.settings import Settings
from backend.workspace import Workspace, explain_os_error
from jobs.envs.pip_process import RAW, Pip
from jobs.harness import Job

FOLDER = "beyond"
"""Below the folder of the downloads."""
TELL_EVERY = 4_000_000
MB = 1_000_000


def asked(files: Path, lock: Lock) -> list[str]:
    """What the any-build packages in ``files`` ask for and the lock does not have, as requirements."""
    here, has = wheels.present(files, lock), {package.key for package in lock.packages}
    found: dict[str, None] = {}
    for package in lock.packages:
        path = here.get(package.pin) if package.any_build else None
        for text in _requires(path) if path else ():
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                continue
            marker = requirement.marker
            if marker is not None and not marker.evaluate({"extra": "", "python_version": lock.python}):
                continue
            if canonical(requirement.name) not in has:
                requirement.marker = None
                found[str(requirement)] = None
    return list(found)


def fetch(job: Job, workspace: Workspace, settings: Settings, lock: Lock, python: Path, files: Path) -> dict[str, str]:
    """Fetch that, and what it needs in turn, where there is something; file name below ``files`` -> sha256.

    Raises:
        PanelError: why pip could not.
        Stopped: the person asked to stop.
    """
    wanted = asked(files, lock)
    folder = files / FOLDER
    if not wanted:
        shutil.rmtree(folder, ignore_errors=True)
        return {}
    job.log(
        "The index gave a build that is not for the CPU alone. It needs more, and that is fetched now, gigabytes perhaps: "
        + ", ".join(wanted)
    )
    temporary = files / ".pip" / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(parents=True, exist_ok=True)
        limits, listed = temporary / "limits.txt", temporary / "wanted.txt"
        limits.write_text("".join(f"{package.pin}\n" for package in lock.packages), encoding="utf-8")
        listed.write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")
    except OSError as error:
        raise explain_os_error(error, files) from error
    before, now, told = 0, 0, 0

    def hear(line: str) -> None:
        nonlocal before, now, told
        words = line.split()
        if line.startswith(RAW) and len(words) == 4 and words[1].isdecimal():
            at = int(words[1])
            before, now = (before + now, at) if at < now else (before, at)
            if before + now >= told + TELL_EVERY:
                told = before + now
                job.progress("download", round(told / MB, 1))

    argv = pip.command(
        python,
        *("download", "--only-binary", ":all:", "--find-links", str(folder), "--find-links", str(files)),
        *(
            "--progress-bar",
            "raw",
            "--retries",
            "2",
            "--resume-retries",
            "3",
            "-c",
            str(limits),
            "--dest",
            str(folder),
            "-r",
            str(listed),
        ),
    )
    run = Pip(argv, pip.fetching_environ(workspace, settings, temporary), job.log, hear)
    try:
        if run.wait(job.check_stop):
            raise pip.explain(list(run.lines), files, workspace, settings)
    finally:
        shutil.rmtree(files / ".pip", ignore_errors=True)
    for path in wheels.present(folder, lock).values():
        path.unlink()  # pip fetches what they need in turn, too; the lock's own files are there
    return {f"{FOLDER}/{path.name}": wheels.sha256(path) for path in sorted(folder.glob("*.whl"))}


def install(job: Job, workspace: Workspace, settings: Settings, lock: Lock, build: Path, files: Path) -> None:
    """Install that into ``build``, from what was fetched.

    Raises:
        PanelError: why pip could not, such as a bundle that lacks it.
        Stopped: the person asked to stop.
    """
    wanted = asked(files, lock)
    if not wanted:
        return
    temporary = build / ".pip"
    temporary.mkdir(exist_ok=True)
    argv = pip.command(
        places.interpreter(build),
        *("install", "--no-index", "--find-links", str(files / FOLDER), "--find-links", str(files)),
        *("--no-warn-script-location", "--progress-bar", "off", *wanted),
    )
    run = Pip(argv, pip.installing_environ(temporary), job.log)
    try:
        if run.wait(job.check_stop):
            raise pip.explain(list(run.lines), build, workspace, settings)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _requires(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        name = next((n for n in archive.namelist() if n.endswith(".dist-info/METADATA")), None)
        return message_from_bytes(archive.read(name)).get_all("Requires-Dist", []) if name else []
