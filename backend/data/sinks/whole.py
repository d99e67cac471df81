"""A file or folder that appears whole or not at all: written beside, then moved into place."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backend.errors import ConflictError
from backend.i18n import N_


def refuse(path: Path, container: str) -> None:
    """A folder with anything but an earlier export stays.

    Raises:
        ConflictError: ``export_target_taken``.
    """
    if not path.is_dir() and not (path.exists() and container == "hf"):
        return
    if container == "hf" and path.is_dir():
        names = {each.name for each in path.iterdir()}
        if not names or names & {"dataset_info.json", "dataset_dict.json"}:
            return
    raise ConflictError(
        "export_target_taken",
        N_("{path} is there already, and is no earlier export."),
        N_("Choose another name."),
        path=str(path),
    )


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` to write into; it is gone at the end. What others left there that were killed goes, too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        _sweep(path.parent)
    folder, fd = _locked_folder(path.parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(fd)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """A new folder, and the lock that says that somebody works in it."""
    while True:
        # Without the file's name: one of 60 Chinese characters is nearly as long as a file system allows.
        folder = parent / f".export.{os.getpid()}.{os.urandom(4).hex()}.partial"
        folder.mkdir()
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # swept by another export before it was locked
        fcntl.flock(fd, fcntl.LOCK_EX)
        if folder.is_dir() and folder.stat().st_ino == os.fstat(fd).st_ino:
            return folder, fd
        os.close(fd)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(".export.*.partial"):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # at work
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(fd)


def sync(written: Path) -> int:
    """Put it on the disk; returns its bytes."""
    files = [written] if written.is_file() else [each for each in written.rglob("*") if each.is_file()]
    for each in files:
        fd = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    return sum(each.stat().st_size for each in files)


def place(written: Path, path: Path, folder: Path) -> None:
    """Move ``written`` to ``path``; an earlier export that is a folder goes into ``folder``, and comes back where that fails."""
    if path.is_dir():
        path.rename(folder / "before")
    try:
        written.replace(path)
    except OSError:
        if (folder / "before").exists():
            (folder / "before").rename(path)
        raise
