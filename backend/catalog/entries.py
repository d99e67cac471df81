"""The list of models: what is shipped, and one small JSON per model that a person or a job added.

    workspace/models/<name>.<hash>.json     {"format", "name", "path", "added", "made_by", "stamp", "card", "code", "template"}

An entry points to a folder and never owns it: adding copies nothing, and a link stays a link. ``stamp`` (names, sizes
and times of the folder's files) tells whether the stored card is still true; ``code`` is the fingerprint of the
program code that a person allowed this model to run; ``template`` the key of the known chat template that a person chose
for a tokenizer without one.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.catalog import looks
from backend.catalog.cards import ModelCard, card
from backend.catalog.joining import Bases, join, join_all
from backend.catalog.known_templates import known_template
from backend.catalog.lineage import Lineage, write_lineage
from backend.catalog.names import checked_name, free_name
from backend.catalog.template import template_fingerprint
from backend.errors import ConflictError, ModelError, NotFoundError, PanelError
from backend.i18n import N_
from backend.workspace import ROOT, Workspace, explain_os_error, read_json, write_json

SHIPPED = ("starter",)
FORMAT = 4
"""Of an entry. The card in an entry of another format is read anew: it lacks what cards say today."""

TRUST_S = 30.0
"""So long a folder that was looked into is taken as it was then, where pages list models; see :func:`models`."""

_cards: dict[tuple[str, str], tuple[looks.Stamp, ModelCard]] = {}
"""(path, name) -> its card as last read by this process; true while the stamp is."""
_files: dict[str, tuple[tuple[int, int, int], dict[str, Any] | None]] = {}
"""Entry file -> (inode, size, time) and what it holds."""
_listed: dict[tuple[str, str], tuple[dict[str, Any], ModelCard, ModelCard]] = {}
"""(path, name) -> entry and card of the folder, as both are in memory now, and the card that came of them."""
_shipped_cards: dict[str, tuple[ModelCard, ModelCard]] = {}
"""Name of a shipped model -> card of its folder, and the card that came of it."""


@dataclass(frozen=True)
class Added:
    """One of several: the card that is on the list now, or why it is not."""

    path: Path
    card: ModelCard | None = None
    problem: PanelError | None = None


def models(workspace: Workspace, trust_s: float = 0.0) -> list[ModelCard]:
    """The shipped models, then what was added, by name. A broken one has ``problem`` set and hides no other.

    trust_s: a folder that was looked into in the last so many seconds, and to which no file came and from which none went
    since, is taken as it was: four times as fast on a long list; :data:`TRUST_S` is how long. Give what is shown of it to :func:`fresh`.
    """
    return join_all(_alone(workspace, trust_s))


def _alone(workspace: Workspace, trust_s: float = 0.0) -> list[ModelCard]:
    """The same, adapters without their bases."""
    return [_shipped(name) for name in SHIPPED] + [current(entry, trust_s) for entry in entries(workspace)]


def fresh(workspace: Workspace, cards: Iterable[ModelCard]) -> list[ModelCard]:
    """``cards`` of :func:`models` as their folders are now; one that went from the list meanwhile stays as it was."""
    return [_fresh(workspace, one) for one in cards]


def _fresh(workspace: Workspace, one: ModelCard) -> ModelCard:
    entry = None if one.builtin else read_entry(entry_file(workspace, one.name))
    now = current(entry) if entry else _shipped(one.name) if one.builtin else one
    if not now.adapter_of or now is one:
        return now
    return join(now, [_fresh(workspace, one.base)]) if one.base else replace(now, unfit=one.unfit)


def find(workspace: Workspace, name_or_path: str) -> ModelCard:
    """The model of that name; or the card of that folder, for a path (with a slash in it, or an existing folder).

    Raises:
        NotFoundError: ``model_unknown``, naming what there is.
    """
    found = _found(workspace, name_or_path.strip())
    return join(found, Bases(_alone(workspace)).of(found)) if found.adapter_of else found


def _found(workspace: Workspace, name: str) -> ModelCard:
    if name in SHIPPED:
        return _shipped(name)
    entry = read_entry(entry_file(workspace, name))
    if entry is not None:
        return current(entry)
    if "/" in name or name.startswith("~"):
        folder = Path(name).expanduser().absolute()
        known = next((e for e in entries(workspace) if e["path"] == str(folder)), None)
        return current(known) if known else _cached(str(folder), folder.name, None)
    raise unknown(workspace, name)


def add(workspace: Workspace, path: Path | str, name: str | None = None, made_by: int | None = None) -> ModelCard:
    """Put the folder ``path`` on the list under ``name`` (default: the folder's). Adding the same again changes nothing.

    Raises:
        ModelError: what is there is no model, or not all of one.
        ConflictError: ``model_name_taken`` by another folder.
        WorkspaceError: the entry cannot be written.
    """
    folder = Path(path).expanduser().absolute()
    label = checked_name(name if name is not None else folder.name)
    found = _cached(str(folder), label, None)
    if found.problem is not None:
        raise found.problem
    existing = read_entry(entry_file(workspace, label))
    if label in SHIPPED or (existing is not None and existing["path"] != str(folder)):
        raise ConflictError(
            "model_name_taken",
            N_("There is already a model called '{model}', at {path}."),
            N_("Give this one another name."),
            model=label,
            path=existing["path"] if existing else str(ROOT / "models" / label),
        )
    existing = existing or {}
    entry = {
        "format": FORMAT,
        "name": label,
        "path": str(folder),
        "added": existing.get("added") or time.time(),
        "made_by": made_by or existing.get("made_by") or _maker(workspace, found),
        "stamp": looks.folder_stamp(str(folder)),
        "card": found.to_dict(),
        "code": existing.get("code", ""),
        "template": existing.get("template", ""),
    }
    write_json(entry_file(workspace, label), entry)
    return current(entry)


def add_all(workspace: Workspace, found: Iterable[ModelCard]) -> list[Added]:
    """Put several on the list, each under its card's name, or under ``name-2`` … where that is taken. One that cannot
    be added hinders no other; one whose folder is on the list already stays as it is.

    Raises:
        WorkspaceError: the entries cannot be read.
    """
    known = entries(workspace)
    taken = {*SHIPPED, *(e["name"] for e in known)}
    listed = {e["path"]: e["name"] for e in known}
    done = []
    for one in found:
        if str(one.path) in listed:
            done.append(Added(one.path, find(workspace, listed[str(one.path)])))
            continue
        name = free_name(one.name, taken)
        try:
            done.append(Added(one.path, add(workspace, one.path, name)))
            taken.add(name)
            listed[str(one.path)] = name
        except PanelError as error:
            done.append(Added(one.path, problem=error))
    return done


def receive(workspace: Workspace, path: Path | str, name: str, lineage: Lineage) -> ModelCard:
    """Put the model that a job made on the list: under ``name``, or ``name-2`` … where that is taken; and write into its
    folder where it comes from. Received again, it stays what it is.

    Raises:
        ModelError: what the job left is no model, or not all of one.
        WorkspaceError: the folder or the entry cannot be written.
    """
    folder = Path(path).expanduser().absolute()
    write_lineage(folder, lineage)
    known = entries(workspace)
    listed = next((e["name"] for e in known if e["path"] == str(folder)), None)
    free = listed or free_name(name, {*SHIPPED, *(e["name"] for e in known)})
    return add(workspace, folder, free, made_by=lineage.job)


def entries(workspace: Workspace) -> list[dict[str, Any]]:
    """The entries of the list, by name; files that are none are passed over.

    Raises:
        WorkspaceError: the folder of the list cannot be read.
    """
    try:
        with os.scandir(workspace.models) as files:
            named = [f for f in files if f.name.endswith(".json") and not f.name.startswith(".")]
    except OSError as error:
        raise explain_os_error(error, workspace.models) from error
    found = [e for f in named if (e := _read(f.path, f.stat)) is not None]
    return sorted(found, key=lambda e: str(e["name"]).casefold())


def read_entry(file: Path) -> dict[str, Any] | None:
    """The entry in ``file``; None where there is none. Callers change it in a copy only."""
    return _read(str(file), file.stat)


def _read(file: str, stat: Callable[[], os.stat_result]) -> dict[str, Any] | None:
    try:
        now = stat()
        stamp = (now.st_ino, now.st_size, now.st_mtime_ns)
        known = _files.get(file)
        if known is None or known[0] != stamp:
            known = _files[file] = (stamp, _parsed(read_json(Path(file))))
    except (OSError, ValueError):
        _files.pop(file, None)
        return None
    return known[1]


def entry_file(workspace: Workspace, name: str) -> Path:
    """Where the entry of the model ``name`` is, or would be."""
    # The hash keeps names apart that differ only in what a file name cannot hold.
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:60] or "model"
    return workspace.models / f"{readable}.{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}.json"


def _parsed(data: Any) -> dict[str, Any] | None:
    if not isinstance(data, dict) or not isinstance(data.get("name"), str) or not isinstance(data.get("path"), str):
        return None
    return data if "\0" not in data["path"] else None


def unknown(workspace: Workspace, name: str) -> NotFoundError:
    """The error for a name that is not on the list, naming what is."""
    return NotFoundError(
        "model_unknown",
        N_("There is no model called '{model}'."),
        N_("Models here: {known}. Add another one on the Models page."),
        model=name,
        known=", ".join([*SHIPPED, *(e["name"] for e in entries(workspace))][:20]),
    )


def _shipped(name: str) -> ModelCard:
    found = _cached(str(ROOT / "models" / name), name, None)
    known = _shipped_cards.get(name)
    if known is None or known[0] is not found:
        known = _shipped_cards[name] = (found, replace(found, builtin=True))
    return known[1]


def current(entry: dict[str, Any], trust_s: float = 0.0) -> ModelCard:
    """The card of ``entry`` as its folder is now, with what the entry itself knows. trust_s: see :func:`models`."""
    key = (entry["path"], entry["name"])
    found, known = _cached(*key, entry, trust_s), _listed.get(key)
    # They are the same objects for as long as neither the entry's file nor the folder changed.
    if known is None or known[0] is not entry or known[1] is not found:
        known = _listed[key] = (entry, found, _completed(found, entry))
    return known[2]


def _completed(found: ModelCard, entry: dict[str, Any]) -> ModelCard:
    allowed = bool(found.code_fingerprint) and entry.get("code") == found.code_fingerprint
    found = replace(found, made_by=entry.get("made_by"), code_allowed=allowed)
    chosen = None if found.chat_template or found.problem else known_template(entry.get("template"))
    if chosen is None:
        return found
    try:
        fingerprint = template_fingerprint(found.path, chosen.template)
    except (ModelError, OSError):
        return found  # changed under our hands: the next look says how
    return replace(found, chat_template=True, template_chosen=chosen.key, template_fingerprint=fingerprint)


def _maker(workspace: Workspace, found: ModelCard) -> int | None:
    """The job that made ``found``; job numbers in folders that came from elsewhere mean other jobs."""
    inside = found.path.is_relative_to(workspace.root)
    return found.lineage.job if found.lineage and inside else None


def _cached(folder: str, name: str, entry: dict[str, Any] | None, trust_s: float = 0.0) -> ModelCard:
    """The card of ``folder`` from memory, else from its entry, else read anew, whichever is true to the folder now."""
    key = (folder, name)
    seen = _cards.get(key)
    if seen is not None and trust_s and looks.unchanged(folder, trust_s):
        return seen[1]
    now = looks.look(folder)
    if seen is None and entry is not None and entry.get("format") == FORMAT and isinstance(entry.get("card"), dict):
        try:
            seen = (entry.get("stamp") or [], ModelCard.from_dict(entry["card"]))
        except (TypeError, KeyError, ValueError, AttributeError):
            seen = None
    if seen is None or not now or seen[0] != now:
        seen = (now, card(folder, name))
    _cards[key] = seen
    return seen[1]
