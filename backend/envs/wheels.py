"""The package files of a lock in a folder: which are there, and whether they are what the lock says."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

from backend.envs.locks import Lock, Package, canonical

BLOCK = 1 << 20
SDISTS = (".tar.gz", ".zip", ".tar.bz2", ".tgz")


def named(file_name: str) -> tuple[str, str] | None:
    """Canonical name and version that the name of a package file tells (PEP 427, PEP 625); None where it tells none."""
    if file_name.endswith(".whl"):
        parts = file_name.removesuffix(".whl").split("-")
        return (canonical(parts[0]), parts[1]) if len(parts) in (5, 6) else None
    for ending in SDISTS:
        if file_name.endswith(ending):
            name, dash, version = file_name.removesuffix(ending).rpartition("-")
            return (canonical(name), version) if dash else None
    return None


def present(folder: Path, lock: Lock) -> dict[str, Path]:
    """``name==version`` -> the file of that package, for those that are in ``folder``. Looks at names only."""
    wanted = {(package.key, same_version(package.version)): package.pin for package in lock.packages}
    found: dict[str, Path] = {}
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return found
    for name in names:
        told = named(name)
        # A build for this machine says so behind a plus: 2.13.0+cpu is the 2.13.0 that was asked for.
        pin = told and (
            wanted.get((told[0], same_version(told[1]))) or wanted.get((told[0], same_version(told[1].split("+")[0])))
        )
        if pin:
            found[pin] = folder / name
    return found


def same_version(version: str) -> str:
    """``version`` so far normalised that file names and locks agree: ``1.0_1`` and ``1.0-1``, lower case, no leading v."""
    return version.lower().replace("_", "-").removeprefix("v")


def true_to(path: Path, package: Package, tick: Callable[[int], None] = lambda _bytes: None) -> bool:
    """Whether the file is what the lock says: one of its hashes; for any build, that its archive is whole.

    ``tick`` is called with the number of bytes after each block, and may raise.
    """
    if package.hashes:
        return sha256(path, tick) in package.hashes
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    while block := member.read(BLOCK):
                        tick(len(block))
    except (zipfile.BadZipFile, OSError, EOFError, ValueError):
        return False
    return True


def sha256(path: Path, tick: Callable[[int], None] = lambda _bytes: None) -> str:
    """The digest of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as data:
        while block := data.read(BLOCK):
            digest.update(block)
            tick(len(block))
    return digest.hexdigest()
