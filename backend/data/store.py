"""The datasets of a workspace: each a row of versions that never change, and which of them is the current one.

    datasets/sets/<name>/dataset.json          {"current": version, "created": epoch seconds}
    datasets/sets/<name>/versions/<version>/   see :mod:`backend.data.versions`

A new version is written whole beside the others, then ``dataset.json`` is replaced: whoever reads sees the old one or the new
one. Going back to an earlier version is the same replacement, so nothing is ever lost by it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend import stamps
from backend.data import pictures
from backend.data.collected import checked_name
from backend.data.versions import Version, VersionInfo, info_stamp, read_info
from backend.data.writer import VersionWriter, writing
from backend.errors import ConflictError, DataError
from backend.i18n import N_
from backend.workspace import Workspace, explain_os_error, read_json, write_json

AT_ONCE_BYTES = 4_000_000
"""Up to this size of rows a page does the work itself, in about a second; more is a job."""
DATASET = "dataset.json"
Versions = list[VersionInfo]


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset. versions: how many there are. updated: epoch seconds of the last change, going back included."""

    name: str
    current: VersionInfo
    versions: int
    updated: float


Infos = list[DatasetInfo]
_seen: dict[Path, tuple[stamps.Stamp, stamps.Stamp, DatasetInfo]] = {}
"""Folder of a dataset -> its pointer and list of versions, and its current version, as they were read, and what came of them."""


class Datasets:
    """The datasets of one workspace; safe to use from several processes at once."""

    def __init__(self, workspace: Workspace) -> None:
        self.folder = workspace.datasets
        self.images = workspace.dataset_images

    def list(self) -> Infos:
        """The last changed first. A folder without a whole version is left out."""
        found = []
        for path in self.folder.glob(f"*/{DATASET}"):
            try:
                found.append(self.get(path.parent.name))
            except DataError:
                continue
        return sorted(found, key=lambda info: (-info.updated, info.name))

    def get(self, name: str) -> DatasetInfo:
        """One dataset.

        Raises:
            DataError: ``dataset_unknown``; ``dataset_damaged``: its current version is gone.
        """
        home = self._home(name)
        now, known = stamps.stamp(f"{home}/{DATASET}", f"{home}/versions"), _seen.get(home)
        if known is not None and known[:2] == (now, info_stamp(home / "versions" / known[2].current.id)):
            return known[2]
        found, guessed = self._read(home, name)
        if stamps.settled(now) and not guessed:
            _seen[home] = (now, info_stamp(home / "versions" / found.current.id), found)
        return found

    def _read(self, home: Path, name: str) -> tuple[DatasetInfo, bool]:
        told = read_json(home / DATASET)
        current = read_info(home / "versions" / str(told.get("current"))) if isinstance(told, dict) else None
        guessed = current is None
        if current is None:
            known = self.versions(name)
            if not known:
                raise self._unknown(name)
            current = known[0]  # its pointer was lost: the newest version is the best guess
        count = sum(1 for _ in (home / "versions").glob("[0-9a-f]*"))
        try:
            updated = (home / DATASET).stat().st_mtime
        except OSError:
            updated = current.created
        return DatasetInfo(name, current, count, updated), guessed

    def exists(self, name: str) -> bool:
        """Whether there is a dataset called ``name``."""
        try:
            return bool(self.get(name))
        except DataError:
            return False

    def versions(self, name: str) -> Versions:
        """All versions, the newest first; empty where there is no such dataset."""
        try:
            folders = list((self._home(name) / "versions").glob("[0-9a-f]*"))
        except OSError:
            return []
        found = [info for info in map(read_info, folders) if info is not None]
        return sorted(found, key=lambda info: (-info.created, info.id))

    def open(self, name: str, version: str | None = None) -> Version:
        """The rows of a version, the current one where none is named. version: an id, or how it begins.

        Raises:
            DataError: ``dataset_unknown``, ``version_unknown``.
        """
        info = self.get(name).current if not version else self._find(name, version)
        return Version(name, self._home(name) / "versions" / info.id, info)

    def resolve(self, reference: str) -> Version:
        """``name`` or ``name@version``, as the command line takes it."""
        name, at, version = reference.rpartition("@")
        return self.open(name, version) if at and name else self.open(reference)

    @contextmanager
    def write(
        self,
        name: str,
        *,
        steps: Sequence[Mapping[str, Any]],
        made_from: Sequence[Mapping[str, Any]] = (),
        note: str = "",
        schema: str = "",
        current: bool = True,
    ) -> Iterator[VersionWriter]:
        """A writer of a new version of ``name``, which is made where there is none. At the end it is the current one.

        Whatever is raised inside leaves everything as it was.

        Raises:
            ConflictError: ``collection_name_bad``.
            WorkspaceError: the disk is full or read-only.
        """
        home = self._home(checked_name(name))
        fresh = not home.exists()
        try:
            with writing(home / "versions", self.images, steps, made_from, note, schema) as writer:
                yield writer
            if current or fresh:
                with self._locked(home):
                    self._point(home, writer.version.id)
        except BaseException:
            if fresh and not (home / DATASET).exists():
                _remove_empty(home)
            raise

    def use(self, name: str, version: str) -> VersionInfo:
        """Make ``version`` the current one.

        Raises:
            DataError: ``dataset_unknown``, ``version_unknown``.
            WorkspaceError: the disk is full or read-only.
        """
        info = self._find(name, version)
        with self._locked(self._home(name)):
            self._point(self._home(name), info.id)
        return info

    def rename(self, name: str, new: str) -> str:
        """Give a dataset another name; returns it as it was taken.

        Raises:
            DataError: ``dataset_unknown``.
            ConflictError: ``collection_name_bad``, ``dataset_name_taken``.
        """
        self.get(name)
        new = checked_name(new)
        target = self._home(new)
        if new == name:
            return new
        if target.exists():
            raise ConflictError(
                "dataset_name_taken",
                N_("There is already a dataset called '{name}'."),
                N_("Choose another name."),
                name=new,
            )
        try:
            self._home(name).rename(target)
        except OSError as error:
            raise explain_os_error(error, target) from error
        return new

    def delete(self, name: str) -> None:
        """Remove a dataset with all of its versions. Pictures stay: other rows may show them.

        Raises:
            DataError: ``dataset_unknown``.
            WorkspaceError: it cannot be removed.
        """
        home = self._home(name)
        if not home.is_dir():
            raise self._unknown(name)
        gone = home.with_name(f".gone-{os.getpid()}-{os.urandom(4).hex()}")
        try:
            home.rename(gone)  # from here on nobody sees half of it
            shutil.rmtree(gone)
        except OSError as error:
            raise explain_os_error(error, home) from error

    def forget(self, name: str, version: str) -> None:
        """Remove one version that is not the current one, for its room on the disk.

        Raises:
            DataError: ``dataset_unknown``, ``version_unknown``.
            ConflictError: ``version_current``.
            WorkspaceError: it cannot be removed.
        """
        info = self._find(name, version)
        home = self._home(name)
        with self._locked(home):
            if self.get(name).current.id == info.id:
                raise ConflictError(
                    "version_current",
                    N_("Version {version} is the current one of '{name}' and cannot be removed alone."),
                    N_("Make another version the current one first, or remove the whole dataset."),
                    version=info.id,
                    name=name,
                )
            folder = home / "versions" / info.id
            gone = folder.with_name(f".gone-{info.id}-{os.urandom(4).hex()}")
            try:
                folder.rename(gone)
                shutil.rmtree(gone)
            except OSError as error:
                raise explain_os_error(error, folder) from error

    def _home(self, name: str) -> Path:
        # A name from an address or a command line must not lead out of the folder.
        if name in ("", ".", "..") or "/" in name or "\0" in name or name.startswith("."):
            raise self._unknown(name)
        return self.folder / name

    def _find(self, name: str, version: str) -> VersionInfo:
        found = [info for info in self.versions(name) if info.id.startswith(version)]
        if not found:
            self.get(name)
        if len(found) != 1:
            raise DataError(
                "version_unknown",
                N_("Dataset '{name}' has no version {version}."),
                N_("The tab Versions lists them; a few first characters of one are enough where no other begins so."),
                name=name,
                version=version[:64],
            )
        return found[0]

    def _point(self, home: Path, version: str) -> None:
        told = read_json(home / DATASET)
        created = told.get("created") if isinstance(told, dict) else None
        write_json(home / DATASET, {"current": version, "created": created or time.time()})

    @contextmanager
    def _locked(self, home: Path) -> Iterator[None]:
        try:
            fd = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unknown(home.name) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _unknown(self, name: str) -> DataError:
        return DataError(
            "dataset_unknown",
            N_("There is no dataset called '{name}'."),
            N_("The page Datasets lists them."),
            name=name[:120],
        )


def image_path(workspace: Workspace, reference: str) -> Path:
    """Where a picture of a row lies; see :func:`backend.data.pictures.path_of`."""
    return pictures.path_of(workspace.dataset_images, reference)


def _remove_empty(home: Path) -> None:
    for folder in (home / "versions", home):
        try:
            folder.rmdir()
        except OSError:
            return  # somebody else is writing there
