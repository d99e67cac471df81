"""Documents that came through the browser, kept while a job may need them: ``datasets/documents/<16 hex of the content>/<name>``."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from backend.workspace import Workspace, explain_os_error

KEPT_S = 24 * 3600
"""One that no job names is removed after this time."""


def folder(workspace: Workspace) -> Path:
    """Where they lie; made by the first one."""
    return workspace.datasets.parent / "documents"


def keep(workspace: Workspace, name: str, data: bytes | memoryview) -> Path:
    """Write an upload to its place; the same one again is the same file.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    plain = "".join(c for c in Path(name.replace("\\", "/")).name if c.isprintable()).lstrip(".")[-80:] or "document"
    place = folder(workspace) / hashlib.sha256(data).hexdigest()[:16] / plain
    partial = place.with_name(f".{place.name}.partial")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(place)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise explain_os_error(error, place) from error
    return place


def is_upload(workspace: Workspace, path: str | Path) -> bool:
    """Whether ``path`` is a copy of ours."""
    return Path(path).is_relative_to(folder(workspace))


def sweep(workspace: Workspace, needed: Collection[str]) -> None:
    """Remove old copies, but for the files ``needed``."""
    try:
        places = [place for place in folder(workspace).iterdir() if place.is_dir()]
    except OSError:
        return  # nothing was ever uploaded
    for place in places:
        try:
            files = {str(path) for path in place.iterdir()}
            old = time.time() - place.stat().st_mtime > KEPT_S
        except OSError:
            continue  # another session removed it just now
        if old and files.isdisjoint(needed):
            shutil.rmtree(place, ignore_errors=True)
