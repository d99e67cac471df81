"""Taking a model off the list, and deleting its files where TuneDeck made them.

Deleted is only a folder that lies inside the workspace, below ``models/``, ``downloads/`` or a job's own folder, and is not
reached through a link. Links inside it are unlinked, never followed.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from backend.catalog.bases import adapters
from backend.catalog.entries import SHIPPED, entries, entry_file, find, read_entry, unknown
from backend.errors import ConflictError, ModelError
from backend.i18n import N_
from backend.workspace import Workspace, explain_os_error

NAMING = ("model", "base", "adapter")
"""A field of a spec with one of these in its name can name a model."""


@dataclass(frozen=True)
class Removal:
    """What removing the model ``name`` means.

    deletes_files: its files are TuneDeck's own, so that ``remove(..., delete_files=True)`` may delete them. bytes, files:
    what that frees (0 where it may not). adapters: names on the list that need this model. others: other names on the
    list for the same folder or one inside it. jobs: live jobs that use the folder; while there are any, its files stay.
    servers: names under which it is being served.
    """

    name: str
    path: Path
    deletes_files: bool
    bytes: int = 0
    files: int = 0
    adapters: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    jobs: tuple[int, ...] = ()
    servers: tuple[str, ...] = ()


def removal(workspace: Workspace, name: str) -> Removal:
    """What goes, and who depends on it, if ``name`` is removed. Changes nothing.

    Raises:
        NotFoundError: ``model_unknown``.
        ConflictError: ``model_builtin``.
    """
    entry = _removable(workspace, name)
    folder = Path(entry["path"])
    own = _own_folder(workspace, folder)
    count, size = _content(own) if own else (0, 0)
    needing = tuple(card.name for card in adapters(workspace, find(workspace, name)))
    jobs, servers = _users(workspace, (name, *needing), folder)
    return Removal(
        name=name,
        path=folder,
        deletes_files=own is not None,
        bytes=size,
        files=count,
        adapters=needing,
        others=tuple(
            e["name"] for e in entries(workspace) if e["name"] != name and Path(e["path"]).is_relative_to(folder)
        ),
        jobs=jobs,
        servers=servers,
    )


def remove(workspace: Workspace, name: str, delete_files: bool = False) -> None:
    """Take ``name`` off the list; with ``delete_files`` delete its folder first. Without, the folder stays as it is.

    Raises:
        NotFoundError: ``model_unknown``.
        ConflictError: ``model_builtin``: it is shipped with TuneDeck; ``model_not_ours``: the files are not TuneDeck's
            to delete; ``model_in_use``: a live job uses them.
        ModelError: ``model_not_deleted``: a file could not be deleted; the entry stays.
        WorkspaceError: the entry cannot be removed.
    """
    entry = _removable(workspace, name)
    if delete_files:
        _delete_files(workspace, name, Path(entry["path"]))
    try:
        entry_file(workspace, name).unlink(missing_ok=True)
    except OSError as error:
        raise explain_os_error(error, workspace.models) from error


def _removable(workspace: Workspace, name: str) -> dict[str, Any]:
    if name in SHIPPED:
        raise ConflictError(
            "model_builtin", N_("The model '{model}' belongs to TuneDeck and stays on the list."), "", model=name
        )
    entry = read_entry(entry_file(workspace, name))
    if entry is None:
        raise unknown(workspace, name)
    return entry


def _delete_files(workspace: Workspace, name: str, folder: Path) -> None:
    if not os.path.lexists(folder):
        return  # gone already: only the entry is left
    own = _own_folder(workspace, folder)
    if own is None:
        raise ConflictError(
            "model_not_ours",
            N_("The files of '{model}' in {folder} are not TuneDeck's, so it does not delete them."),
            N_("Take the model off the list only, or delete the folder by hand."),
            model=name,
            folder=str(folder),
        )
    jobs = removal(workspace, name).jobs
    if jobs:
        raise ConflictError(
            "model_in_use",
            N_("'{model}' is in use by job {jobs}."),
            N_("Stop what uses it first, then delete it."),
            model=name,
            jobs=", ".join(map(str, jobs)),
        )

    def stop(_function: Any, path: str, info: Any) -> NoReturn:
        raise ModelError(
            "model_not_deleted",
            N_("The files of '{model}' could not all be deleted: {file}: {problem}."),
            N_("The model is still on the list, but it may be broken now. Remove the cause and delete it again."),
            model=name,
            file=path,
            problem=info[1].strerror or str(info[1]),
        ) from info[1]

    shutil.rmtree(own, onerror=stop)


def _own_folder(workspace: Workspace, folder: Path) -> Path | None:
    """The real folder of a model that TuneDeck may delete: a true folder below ``models/``, ``downloads/`` or a job's folder."""
    root = workspace.root.resolve()
    try:
        # The last part must be the folder itself: a link's target belongs to whoever made it.
        real = folder.parent.resolve() / folder.name
    except (OSError, RuntimeError):
        return None
    if folder.name in ("", ".", "..") or real.is_symlink() or not real.is_dir() or not real.is_relative_to(root):
        return None
    match real.relative_to(root).parts:
        case ("models" | "downloads", _, *_) | ("jobs", _, _, *_):
            return real
    return None


def _content(folder: Path) -> tuple[int, int]:
    """(files, bytes) that deleting ``folder`` frees; links count nothing."""
    files = size = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            try:
                found = Path(parent, name).lstat()
            except OSError:
                continue
            files += 1
            size += 0 if Path(parent, name).is_symlink() else found.st_size
    return files, size


def _users(workspace: Workspace, names: tuple[str, ...], folder: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """(jobs, servers): queued and live jobs that name the model (one of ``names``: its own, and those of its adapters, with
    which it is loaded), its folder or something in it, or write it; and the names under which servers serve it."""
    # The store loads SQLite and the specs; a list of models needs neither.
    from backend.queue.rows import LIVE
    from backend.queue.store import open_store
    from backend.servers import read_server

    real = folder.resolve()
    store = open_store(workspace)
    jobs, servers = [], []
    try:
        for row in store.list(states=("queued", *LIVE), limit=10_000):
            named = {key: value for key, value in store.spec(row.id).items() if isinstance(value, str) and value}
            server = read_server(store.job_dir(row.id))
            paths = [Path(v) for v in (*named.values(), server.path if server else "") if v.startswith("/")]
            uses = any(path.resolve().is_relative_to(real) for path in paths) or any(
                value in names for key, value in named.items() if any(word in key for word in NAMING)
            )
            if uses or real.is_relative_to(store.job_dir(row.id).resolve()):
                jobs.append(row.id)
                if row.service:
                    servers.append(row.title)
    finally:
        store.close()
    return tuple(sorted(jobs)), tuple(sorted(servers))
