"""The list of models: what is shipped, and one small JSON per model that a person or a job added.

    workspace/models/<name>.<hash>.json     {"name", "path", "added", "made_by", "stamp", "card"}

An entry points to a folder and never owns it: adding copies nothing, removing deletes nothing but the entry. ``stamp``
(names, sizes and times of the folder's files) tells whether the stored card is still true.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.catalog.cards import ModelCard, card
from backend.errors import ConflictError, ModelError, NotFoundError
from backend.i18n import N_
from backend.workspace import ROOT, Workspace, explain_os_error, read_json, write_json

SHIPPED = ("starter",)
Stamp = list[list[Any]]

_cards: dict[tuple[str, str], tuple[Stamp, ModelCard]] = {}
"""(path, name) -> its card as last read by this process; true while the stamp is."""


def models(workspace: Workspace) -> list[ModelCard]:
    """The shipped models, then what was added, by name. A broken one has ``problem`` set and hides no other."""
    return [_shipped(name) for name in SHIPPED] + [_current(entry) for entry in _entries(workspace)]


def find(workspace: Workspace, name_or_path: str) -> ModelCard:
    """The model of that name; or the card of that folder, for a path (with a slash in it, or an existing folder).

    Raises:
        NotFoundError: ``model_unknown``, naming what there is.
    """
    name = name_or_path.strip()
    if name in SHIPPED:
        return _shipped(name)
    entry = _read_entry(_entry_file(workspace, name))
    if entry is not None:
        return _current(entry)
    if "/" in name or name.startswith("~"):
        folder = Path(name).expanduser().absolute()
        known = next((e for e in _entries(workspace) if e["path"] == str(folder)), None)
        return _current(known) if known else _cached(folder, folder.name, None)
    raise NotFoundError(
        "model_unknown",
        N_("There is no model called '{model}'."),
        N_("Models here: {known}. Add another one on the Models page."),
        model=name,
        known=", ".join([*SHIPPED, *(e["name"] for e in _entries(workspace))][:20]),
    )


def add(workspace: Workspace, path: Path | str, name: str | None = None, made_by: int | None = None) -> ModelCard:
    """Put the folder ``path`` on the list under ``name`` (default: the folder's). Adding the same again changes nothing.

    Raises:
        ModelError: what is there is no model, or not all of one.
        ConflictError: ``model_name_taken`` by another folder.
        WorkspaceError: the entry cannot be written.
    """
    folder = Path(path).expanduser().absolute()
    label = _checked_name(name if name is not None else folder.name)
    found = replace(_cached(folder, label, None), made_by=made_by)
    if found.problem is not None:
        raise found.problem
    existing = _read_entry(_entry_file(workspace, label))
    if label in SHIPPED or (existing is not None and existing["path"] != str(folder)):
        raise ConflictError(
            "model_name_taken",
            N_("There is already a model called '{model}', at {path}."),
            N_("Give this one another name."),
            model=label,
            path=existing["path"] if existing else str(ROOT / "models" / label),
        )
    entry = {
        "name": label,
        "path": str(folder),
        "added": existing["added"] if existing else time.time(),
        "made_by": made_by,
        "stamp": _stamp(folder),
        "card": found.to_dict(),
    }
    write_json(_entry_file(workspace, label), entry)
    return found


def remove(workspace: Workspace, name: str) -> None:
    """Take ``name`` off the list. The model's folder stays as it is.

    Raises:
        NotFoundError: ``model_unknown``.
        ConflictError: ``model_builtin``: it is shipped with TuneDeck.
    """
    if name in SHIPPED:
        raise ConflictError(
            "model_builtin", N_("The model '{model}' belongs to TuneDeck and stays on the list."), "", model=name
        )
    if _read_entry(_entry_file(workspace, name)) is None:
        find(workspace, name if "/" not in name else name.replace("/", " "))
    try:
        _entry_file(workspace, name).unlink(missing_ok=True)
    except OSError as error:
        raise explain_os_error(error, workspace.models) from error


def _shipped(name: str) -> ModelCard:
    return replace(_cached(ROOT / "models" / name, name, None), builtin=True)


def _current(entry: dict[str, Any]) -> ModelCard:
    return replace(_cached(Path(entry["path"]), entry["name"], entry), made_by=entry.get("made_by"))


def _cached(folder: Path, name: str, entry: dict[str, Any] | None) -> ModelCard:
    """The card of ``folder`` from memory, else from its entry, else read anew, whichever is true to the folder now."""
    now = _stamp(folder)
    key = (str(folder), name)
    seen = _cards.get(key)
    if seen is None and entry is not None and isinstance(entry.get("card"), dict):
        try:
            seen = (entry.get("stamp") or [], ModelCard.from_dict(entry["card"]))
        except (TypeError, KeyError):
            seen = None
    if seen is None or not now or seen[0] != now:
        seen = (now, card(folder, name))
    _cards[key] = seen
    return seen[1]


def _stamp(folder: Path) -> Stamp:
    """Name, size and time of each file that a card is made from; empty where there is no such folder."""
    try:
        with os.scandir(folder) as files:
            return sorted(
                [f.name, s.st_size, s.st_mtime_ns]
                for f in files
                if f.name.endswith((".json", ".safetensors", ".jinja", ".model", ".bin")) and (s := f.stat())
            )
    except OSError:
        return []


def _entries(workspace: Workspace) -> list[dict[str, Any]]:
    try:
        with os.scandir(workspace.models) as files:
            names = [f.name for f in files if f.name.endswith(".json") and not f.name.startswith(".")]
    except OSError as error:
        raise explain_os_error(error, workspace.models) from error
    found = [e for name in names if (e := _read_entry(workspace.models / name)) is not None]
    return sorted(found, key=lambda e: str(e["name"]).casefold())


def _read_entry(file: Path) -> dict[str, Any] | None:
    data = read_json(file)
    if isinstance(data, dict) and isinstance(data.get("name"), str) and isinstance(data.get("path"), str):
        return data
    return None


def _entry_file(workspace: Workspace, name: str) -> Path:
    # The hash keeps names apart that differ only in what a file name cannot hold.
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:60] or "model"
    return workspace.models / f"{readable}.{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}.json"


def _checked_name(name: str) -> str:
    label = " ".join(name.split())
    if not label or len(label) > 96 or not label.isprintable() or "/" in label or "@" in label:
        raise ModelError(
            "model_name_bad",
            N_("'{model}' cannot be the name of a model."),
            N_("Use 1 to 96 letters, digits, blanks or signs other than / and @."),
            model=name[:200],
        )
    return label
