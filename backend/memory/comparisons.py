"""Comparisons that were saved: ``comparisons/NAME.json`` in the workspace, one file each, with all figures and curves in it.

A saved one stays as it is when its jobs are deleted or what was recorded of them has expired. It never takes the place of
another: a name is taken by creating its file, so two tabs that save at once cannot both have it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from backend.errors import ConflictError, NotFoundError, PanelError, WorkspaceError
from backend.i18n import N_
from backend.memory.compare import Comparison
from backend.workspace import Workspace, explain_os_error, read_json, write_json

VERSION = 1
LONGEST, MOST_BYTES = 80, 200
SUFFIX = ".json"


@dataclass(frozen=True)
class Saved:
    """One in the list. when: it was saved (epoch s). runs: their labels; empty where the file cannot be read."""

    name: str
    when: float
    runs: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        return bool(self.runs)


def save(workspace: Workspace, comparison: Comparison, name: str) -> Comparison:
    """Keep ``comparison`` under ``name``; returns it with that name.

    Raises:
        ConflictError: ``memory_comparison_name_bad``; ``memory_comparison_name_taken``.
        WorkspaceError: the disk is full or read-only; then nothing is left of it.
    """
    kept = replace(comparison, name=checked(name))
    path = _file(workspace, kept.name)
    _take(path)
    try:
        write_json(path, {"version": VERSION, **kept.to_dict()})
    except WorkspaceError:
        path.unlink(missing_ok=True)
        raise
    return kept


def load(workspace: Workspace, name: str) -> Comparison:
    """The comparison of that name.

    Raises:
        NotFoundError: ``memory_comparison_unknown``.
        WorkspaceError: ``memory_comparison_damaged``.
    """
    path = _existing(workspace, name)
    data = read_json(path)
    try:
        return replace(Comparison.from_dict(data), name=name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkspaceError(
            "memory_comparison_damaged",
            N_("The comparison '{name}' cannot be read: its file {path} is damaged, or of a newer TuneDeck."),
            N_("Delete it, or put a good copy in its place."),
            name=name,
            path=str(path),
        ) from error


def saved(workspace: Workspace) -> list[Saved]:
    """All of them, the newest first; one that cannot be read is in it, so that it can be deleted."""
    found = []
    for path in _folder(workspace).glob(f"*{SUFFIX}"):
        name = path.name.removesuffix(SUFFIX)
        try:
            when = path.stat().st_mtime
            found.append(Saved(name, when, tuple(load(workspace, name).labels())))
        except NotFoundError:
            continue  # no name of ours, or deleted this moment
        except (PanelError, OSError):
            found.append(Saved(name, when))
    return sorted(found, key=lambda each: (-each.when, each.name))


def rename(workspace: Workspace, name: str, new: str) -> str:
    """Give it another name; returns it as it was taken.

    Raises:
        NotFoundError: ``memory_comparison_unknown``.
        ConflictError: as :func:`save`.
        WorkspaceError: as :func:`save`.
    """
    path, name_ = _existing(workspace, name), checked(new)
    if name_ == name:
        return name
    goal = _file(workspace, name_)
    _take(goal)
    try:
        path.replace(goal)
    except OSError as error:
        goal.unlink(missing_ok=True)
        raise explain_os_error(error, goal.parent) from error
    return name_


def delete(workspace: Workspace, name: str) -> None:
    """Forget it.

    Raises:
        NotFoundError: ``memory_comparison_unknown``.
        WorkspaceError: the disk is read-only.
    """
    path = _existing(workspace, name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise explain_os_error(error, path.parent) from error


def checked(name: str) -> str:
    """``name`` without spare blanks, as it can be the name of a file.

    Raises:
        ConflictError: ``memory_comparison_name_bad``.
    """
    line = " ".join(name.split())
    if not _legal(line):
        raise ConflictError(
            "memory_comparison_name_bad",
            N_("'{name}' cannot be the name of a comparison."),
            N_(
                "Use 1 to {most} letters, digits, blanks or signs other than / and \\, and no dot at the beginning; about 60 "
                "Chinese characters fit."
            ),
            name=name[:200],
            most=LONGEST,
        )
    return line


def _legal(name: str) -> bool:
    plain = name.isprintable() and not name.startswith(".") and "/" not in name and "\\" not in name
    return plain and 0 < len(name) <= LONGEST and len(name.encode("utf-8", "surrogatepass")) <= MOST_BYTES


def _folder(workspace: Workspace) -> Path:
    return workspace.comparisons


def _file(workspace: Workspace, name: str) -> Path:
    return _folder(workspace) / f"{name}{SUFFIX}"


def _existing(workspace: Workspace, name: str) -> Path:
    # An address may bring any name: only a legal one is looked for.
    path = _file(workspace, name) if _legal(name) else None
    if path is None or not path.is_file():
        raise NotFoundError(
            "memory_comparison_unknown",
            N_("There is no saved comparison '{name}'."),
            N_("It may have been deleted or renamed in another tab. The list below has those that there are."),
            name=name[:200],
        )
    return path


def _take(path: Path) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise ConflictError(
            "memory_comparison_name_taken",
            N_("There is already a comparison called '{name}'."),
            N_("Take another name, or rename or delete that one."),
            name=path.name.removesuffix(SUFFIX),
        ) from None
    except OSError as error:
        raise explain_os_error(error, path.parent) from error
