"""What a person is shown when something cannot be done.

    PanelError                 message, hint, code: exactly what stands on the error card
    ├── SpecError              one or several fields of a job's spec are wrong (all of them listed)
    ├── WorkspaceError         the workspace is read-only, full, newer than this program, or damaged
    ├── NotFoundError          no such job, model, conversation or key
    ├── ConflictError          the thing exists, but not in a state that allows this
    ├── ModelError             a model folder cannot be used: missing, truncated, of an unknown kind
    ├── DataError              rows that cannot be read, or a dataset with which something cannot be done
    ├── ServerError            a model server is not running, not ready, or gave up
    └── AccessError            token or key missing or wrong, or an address that must not be opened

A message is stored as an English template and its parameters, and translated only when it is drawn, so that the same
stored failure reads in English in one tab and in Chinese in the next.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from backend import said
from backend.i18n import N_, _
from backend.said import fill


class PanelError(Exception):
    """Something a person has to know: what happened, to what, and what to do.

    Args:
        code: stable identifier such as ``"port_taken"``; stored, tested, never shown alone.
        message: English template marked with ``N_``; ``{name}`` places are filled from ``params``.
        hint: English template of what to do next; may be empty.
        params: JSON-able values for both templates; one may be a text that is translated itself (:mod:`backend.said`).
    """

    def __init__(self, code: str, message: str, hint: str = "", **params: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.params = params

    def __str__(self) -> str:
        return fill(self.message, {name: said.english(value) for name, value in self.params.items()})

    def localized(self) -> tuple[str, str]:
        """(message, hint) in the language of the current person."""
        params = {name: said.read(value) for name, value in self.params.items()}
        return fill(_(self.message), params), fill(_(self.hint), params) if self.hint else ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form for job records: templates and parameters, so that it can be translated later."""
        params = {name: said.stored(value) for name, value in self.params.items()}
        return {"code": self.code, "message": self.message, "hint": self.hint, "params": params}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PanelError:
        """The error that :meth:`to_dict` wrote; unknown keys are ignored."""
        return PanelError(
            str(data.get("code", "unknown")),
            str(data.get("message", "")),
            str(data.get("hint", "")),
            **dict(data.get("params") or {}),
        )


class SpecError(PanelError):
    """A spec has wrong fields. ``problems`` is a list of ``{"field", "message"}``, all of them at once."""

    def __init__(self, code: str, message: str, hint: str = "", **params: Any) -> None:
        super().__init__(code, message, hint, **params)
        self.problems: list[dict[str, str]] = params.get("problems", [])


class WorkspaceError(PanelError):
    """The workspace cannot be read or written."""


class NotFoundError(PanelError):
    """The thing asked for does not exist."""


class ConflictError(PanelError):
    """The thing exists, but its state does not allow this."""


class ModelError(PanelError):
    """A model folder cannot be used."""


class DataError(PanelError):
    """Rows that cannot be read, or a dataset with which something cannot be done."""


class ServerError(PanelError):
    """A model server is not running, not ready, or gave up."""


class AccessError(PanelError):
    """A token, key or address does not give access."""


FULL_BYTES = 1 << 20
"""A disk with less than this is full: SQLite then says no more than "disk I/O error"."""


def workspace_full(path: Path) -> WorkspaceError:
    """The disk of ``path`` has no room."""
    return WorkspaceError(
        "workspace_full",
        N_("The disk that holds {path} is full."),
        N_("Delete finished jobs or other files there; what is running goes on."),
        path=str(path),
    )


def workspace_read_only(path: Path) -> WorkspaceError:
    """Nothing can be written below ``path``."""
    return WorkspaceError(
        "workspace_read_only",
        N_("TuneDeck cannot write to its folder {path}."),
        N_("Give yourself write permission there, or set TUNEDECK_WORKSPACE to a folder that you own."),
        path=str(path),
    )


def workspace_bad(path: Path, problem: str) -> WorkspaceError:
    """``path`` cannot be used, for a reason that only the system's own words tell."""
    return WorkspaceError(
        "workspace_bad",
        N_("The folder {path} cannot be used: {problem}."),
        N_("Set TUNEDECK_WORKSPACE to another folder."),
        path=str(path),
        problem=problem,
    )


def explain_sql_error(error: sqlite3.DatabaseError, path: Path) -> WorkspaceError:
    """The :class:`WorkspaceError` for a failed statement on the database ``path``."""
    text = str(error)
    if "disk is full" in text or ("I/O" in text and shutil.disk_usage(path.parent).free < FULL_BYTES):
        return workspace_full(path.parent)
    if "readonly" in text or "unable to open" in text:
        return workspace_read_only(path.parent)
    if "locked" in text:
        return WorkspaceError(
            "workspace_busy",
            N_("Another program holds {path} locked."),
            N_("Try again; if it lasts, a program that reads this file must be closed."),
            path=str(path),
        )
    if "malformed" in text or "not a database" in text:
        return WorkspaceError(
            "workspace_damaged",
            N_("The file {path} is damaged."),
            N_("Start the panel again: it keeps a copy and rebuilds the list of jobs from their folders."),
            path=str(path),
        )
    return workspace_bad(path.parent, text)
