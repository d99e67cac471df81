"""Keys of servers that are not ours, kept by a name of one's own: a spec, a log and a command line hold the name alone.

Each is a file of its own in the workspace's secrets, 0600. Keys for our own ``/v1`` are another thing: :mod:`backend.web.keys`.
"""

from __future__ import annotations

import re
from pathlib import Path

from backend.errors import AccessError
from backend.i18n import N_
from backend.web.secret_file import write_secret
from backend.workspace import Workspace, explain_os_error

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"[\x21-\x7e]{1,1024}")
_SUFFIX = ".server-key"


def names(workspace: Workspace) -> list[str]:
    """Names of the keys that are kept, sorted."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in workspace.secrets.glob(f"*{_SUFFIX}"))


def save(workspace: Workspace, name: str, key: str) -> None:
    """Keep ``key`` as ``name``, in place of another; an empty one forgets what was kept.

    Raises:
        AccessError: ``bench_key_name_bad``, ``bench_key_unfit``; nothing is changed then. The key itself is in no error.
        WorkspaceError: the file cannot be written.
    """
    path = _path(workspace, name)
    key = key.strip()
    if not key:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise explain_os_error(error, path.parent) from error
        return
    if not _KEY.fullmatch(key):
        raise AccessError(
            "bench_key_unfit",
            N_("This cannot be a key: a key has letters, digits and signs, on one line, without blanks."),
            N_("Copy the whole key, and nothing else."),
        )
    write_secret(path, key.encode() + b"\n", replace=True)


def read(workspace: Workspace, name: str) -> str:
    """The key that is kept as ``name``; empty for the empty name.

    Raises:
        AccessError: ``bench_key_name_bad``, ``bench_key_unknown``.
    """
    if not name:
        return ""
    try:
        return _path(workspace, name).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise AccessError(
            "bench_key_unknown",
            N_("No key is kept here under the name '{name}'."),
            N_("Keep it with: python -m backend bench key {name}. Kept now: {known}."),
            name=name,
            known=", ".join(names(workspace)) or "-",
        ) from None
    except OSError as error:
        raise explain_os_error(error, workspace.secrets) from error


def _path(workspace: Workspace, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise AccessError(
            "bench_key_name_bad",
            N_("'{name}' is no name for a key: letters, digits, '.', '-' and '_', at most 64."),
            N_("Choose a short name, such as 'lab-server'."),
            name=name[:100],
        )
    return workspace.secrets / f"{name}{_SUFFIX}"
