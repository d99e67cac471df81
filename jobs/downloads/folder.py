"""Where a download lies until it is whole, and what is known about it.

    downloads/.NAME.partial/            files as they come; NAME.EXT.incomplete is one that has not come whole
    downloads/.NAME.partial/.download.json   what is fetched: hub, repository, commit, and each file's digest
    downloads/NAME/                     the same folder under its final name, once everything is verified

``.download.json`` stays in the finished folder: it says where each file came from, and lets the same download find out
that nothing is left to do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from backend.errors import ConflictError
from backend.i18n import N_
from backend.queue import locks
from backend.workspace import Workspace, explain_os_error, read_json, write_json
from jobs.downloads.listing import Listing, RemoteFile

RECORD = ".download.json"
BLOCK = 1 << 20


class Folder:
    """The folder of one download; only one job at a time has it.

    Raises:
        ConflictError: ``download_busy``: another job has it.
        WorkspaceError: it cannot be made.
    """

    def __init__(self, workspace: Workspace, name: str, source: str, repo: str) -> None:
        self.final = workspace.downloads / name
        self._partial = workspace.downloads / f".{name}.partial"
        self._origin = {"source": source, "repo": repo}
        try:
            workspace.downloads.mkdir(exist_ok=True)
            # Beside the folder, not in it: the folder moves.
            self._lock = locks.acquire(
                workspace.run / f"download-{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
            )
        except OSError as error:
            raise explain_os_error(error, workspace.downloads) from error
        if self._lock is None:
            raise ConflictError(
                "download_busy",
                N_("Another job is fetching a model under the name '{name}'."),
                N_("Wait for it, or give this one another name."),
                name=name,
            )
        self.finished = self._is_ours(self.final)
        if self.final.exists() and not self.finished:
            raise ConflictError(
                "download_folder_taken",
                N_("There is already a folder {folder}, and it holds something else."),
                N_("Give this model another name, or delete that folder if nobody needs it."),
                folder=str(self.final),
            )

    @property
    def path(self) -> Path:
        """Where the files are now."""
        return self.final if self.finished else self._partial

    def prepare(self, listing: Listing, files: list[RemoteFile]) -> None:
        """Keep what an earlier attempt left and still fits, throw the rest away, and write down what is wanted.

        Raises:
            ConflictError: ``download_other_version``: the finished folder holds another version, which stays.
        """
        known = self._known()
        if self.finished:
            if any(not self.verified(file) for file in files):
                raise ConflictError(
                    "download_other_version",
                    N_("{folder} holds another version of {repo}, or was changed."),
                    N_("Give this version another name on the list, or delete that folder first."),
                    folder=str(self.final),
                    repo=self._origin["repo"],
                )
            return
        try:
            if not self._is_ours(self._partial) and self._partial.exists():
                shutil.rmtree(self._partial)
                known = {}
            self._partial.mkdir(exist_ok=True)
            wanted = {file.path: file.digest for file in files}
            for path, entry in known.items():
                if wanted.get(path) != entry.get("digest"):
                    self._drop(path)
            keep = {path: entry for path, entry in known.items() if wanted.get(path) == entry.get("digest")}
            self._record: dict[str, Any] = {
                **self._origin,
                "commit": listing.commit,
                "files": {f.path: keep.get(f.path) or {"digest": f.digest, "size": f.size} for f in files},
            }
            self._write()
        except OSError as error:
            raise explain_os_error(error, self._partial) from error

    def have(self, file: RemoteFile) -> int:
        """Bytes of ``file`` that are here."""
        for path in (self.path / file.path, self._incomplete(file)):
            try:
                return min(path.stat().st_size, file.size)
            except OSError:
                continue
        return 0

    def complete(self, file: RemoteFile) -> bool:
        """Whether all bytes of ``file`` are here under its own name."""
        try:
            return (self.path / file.path).stat().st_size == file.size
        except OSError:
            return False

    def verified(self, file: RemoteFile) -> bool:
        """Whether ``file`` was found true to its digest, and not touched since."""
        entry = self._known().get(file.path, {})
        return entry.get("digest") == file.digest and entry.get("verified") == self._stamp(file)

    def verify(self, file: RemoteFile, tick: Callable[[int], None]) -> bool:
        """Whether ``file`` is what the hub says it is; remembered where it is, deleted where it is not.

        ``tick`` is called with the number of bytes after each block, and may raise.
        """
        digest = hashlib.sha256() if file.sha256 else hashlib.sha1(usedforsecurity=False)
        if file.blob and not file.sha256:
            digest.update(b"blob %d\0" % file.size)  # git's id of a file's content
        path = self.path / file.path
        with path.open("rb") as data:
            while block := data.read(BLOCK):
                digest.update(block)
                tick(len(block))
            os.fsync(data.fileno())  # a finished folder must survive a power cut
        expected = file.sha256 or file.blob
        if expected and digest.hexdigest() != expected:
            path.unlink()
            return False
        self._record["files"][file.path]["verified"] = self._stamp(file)
        self._write()
        return True

    def finish(self) -> None:
        """Move the whole folder into place."""
        try:
            for left in self._partial.rglob("*.incomplete"):
                left.unlink()
            (self._partial / RECORD).chmod(0o644)  # what a job writes is its owner's alone; a model folder is shared
            self._partial.rename(self.final)
        except OSError as error:
            raise explain_os_error(error, self.final) from error
        self.finished = True

    def _is_ours(self, folder: Path) -> bool:
        record = read_json(folder / RECORD)
        return isinstance(record, dict) and all(record.get(key) == value for key, value in self._origin.items())

    def _known(self) -> dict[str, Any]:
        if not hasattr(self, "_record"):
            record = read_json(self.path / RECORD) if self._is_ours(self.path) else None
            self._record = (
                record if isinstance(record, dict) and isinstance(record.get("files"), dict) else {"files": {}}
            )
        files: dict[str, Any] = self._record["files"]
        return files

    def _write(self) -> None:
        write_json(self._partial / RECORD, self._record)

    def _drop(self, path: str) -> None:
        for name in (path, f"{path}.incomplete"):
            (self._partial / name).unlink(missing_ok=True)

    def _incomplete(self, file: RemoteFile) -> Path:
        path = self.path / file.path
        return path.with_name(path.name + ".incomplete")

    def _stamp(self, file: RemoteFile) -> list[int]:
        try:
            found = (self.path / file.path).stat()
        except OSError:
            return []
        return [found.st_size, found.st_mtime_ns]


def total(files: Iterable[RemoteFile]) -> int:
    """Bytes of ``files``."""
    return sum(file.size for file in files)
