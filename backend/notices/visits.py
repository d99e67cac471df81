"""What each person has read of what ended: a small file a browser, below ``visitors/`` in the workspace.

    visitors/0f3c….json    {"read": epoch s, "top": 41, "here": epoch s, "left": epoch s, "back": epoch s}

Five people on one server may share a workspace: what one of them has read is still news to the others, so it is kept for each
browser (a cookie names it, see ``ui/notices/visitor.py``) and not for the workspace. It is a file and not part of the
session, so that two tabs, a reload and the next day know the same.

A file that is no JSON object counts as one that was read a day ago. Where the disk cannot be written, nothing is kept.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from backend.errors import WorkspaceError
from backend.workspace import Workspace, alone, explain_os_error, read_json, write_json

FOLDER, LOCK = "visitors", "visitors.lock"
AWAY_S, KEEP_S, DAY_S = 300.0, 60.0, 24 * 3600.0
"""Without a sign for ``AWAY_S`` a person was away; a sign is written down every ``KEEP_S``."""
SKEW_S = 60.0
"""A mark that lies so far in the future was made before the clock went back."""
MOST = 300
"""Browsers that are remembered; the ones that came longest ago are forgotten."""
_NAME = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True)
class Visit:
    """read: what ended until then was read, top: the highest number of a job then. here: last sign of the person. left, back:
    between these they were away last, or since there is something unread from; 0: never. All but ``top`` in epoch seconds."""

    read: float
    top: int = 0
    here: float = 0.0
    left: float = 0.0
    back: float = 0.0

    def turned(self, now: float) -> bool:
        """Whether the clock went back behind the mark: then times tell nothing, and numbers of jobs have to."""
        return self.read > now + SKEW_S


def known(name: str) -> bool:
    """Whether ``name`` may be that of a browser."""
    return _NAME.fullmatch(name) is not None


def arrive(
    workspace: Workspace, name: str, top: int, unread: Callable[[Visit], bool], now: float | None = None
) -> Visit:
    """The browser ``name`` gives a sign. top: the highest number of a job now. unread: whether there is news for a visit.

    For a browser that was never here nothing is news. Never raises: on a disk that cannot be written nothing is kept.
    """
    now = time.time() if now is None else now
    before = _read(workspace, name, now)
    if before is not None and -SKEW_S < now - before.here < KEEP_S:
        return before  # the usual case: nothing to write
    after = _arrived(before, top, unread, now)
    with suppress(WorkspaceError), alone(workspace.run / LOCK):
        latest = _read(workspace, name, now)
        if before is not None and latest is not None and latest.read != before.read:
            after = _arrived(latest, top, unread, now)  # another tab has read it meanwhile
        _write(workspace, name, after)
    return after


def seen(workspace: Workspace, name: str, until: float, top: int, now: float | None = None) -> Visit:
    """All that ended up to ``until`` was read.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    now = time.time() if now is None else now
    with alone(workspace.run / LOCK):
        before = _read(workspace, name, now) or Visit(read=now, here=now)
        after = replace(before, read=max(before.read, until), top=top, left=0.0, back=0.0)
        _write(workspace, name, after)
    return after


def _arrived(before: Visit | None, top: int, unread: Callable[[Visit], bool], now: float) -> Visit:
    if before is None:
        return Visit(read=now, top=top, here=now)
    if now - before.here <= AWAY_S:
        return replace(before, here=now)
    since = before.left if before.left and unread(before) else before.here
    return replace(before, here=now, left=since, back=now)


def _read(workspace: Workspace, name: str, now: float) -> Visit | None:
    """What is kept of the browser; None where it was never here."""
    path = _file(workspace, name)
    try:
        data = read_json(path)
        if isinstance(data, dict):
            return Visit(**{field.name: _number(field.name, data.get(field.name)) for field in fields(Visit)})
        if not path.exists():
            return None
    except (OSError, ValueError, RecursionError):
        pass
    return Visit(read=now - DAY_S, here=now - 2 * KEEP_S)


def _write(workspace: Workspace, name: str, visit: Visit) -> None:
    path = _file(workspace, name)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            _forget(path.parent)
    except OSError as error:
        raise explain_os_error(error, path.parent) from error
    write_json(path, asdict(visit))


def _forget(folder: Path) -> None:
    """Make room for one more."""
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
    for file in files[: max(0, len(files) - MOST + 1)]:
        file.unlink(missing_ok=True)


def _file(workspace: Workspace, name: str) -> Path:
    assert known(name), name
    return workspace.root / FOLDER / f"{name}.json"


def _number(name: str, value: Any) -> Any:
    plain = value if isinstance(value, int | float) and not isinstance(value, bool) and value == value else 0
    return int(plain) if name == "top" else float(plain)
