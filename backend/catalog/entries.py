"""The list of models: what is shipped, and one small JSON per model that a person or a job added.

    workspace/models/<name>.<hash>.json     {"format", "name", "path", "added", "made_by", "stamp", "card", "code"}

An entry points to a folder and never owns it: adding copies nothing, and a link stays a link. ``stamp`` (names, sizes
and times of the folder's files) tells whether the stored card is still true; ``code`` is the fingerprint of the
program code that a person allowed this model to run.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.catalog.cards import ModelCard, card
from backend.catalog.code import code_files, code_fingerprint
from backend.errors import ConflictError, ModelError, NotFoundError, PanelError
from backend.i18n import N_
from backend.workspace import ROOT, Workspace, explain_os_error, read_json, write_json

SHIPPED = ("starter",)
FORMAT = 2
"""Of an entry. The card in an entry of another format is read anew: it lacks what cards say today."""
# Everything that a card is made from: see _stamp.
STAMPED = (".json", ".safetensors", ".jinja", ".model", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".py", ".txt", ".md")
STAMPED_FOLDERS = ("additional_chat_templates",)
LONGEST_NAME = 96
Stamp = list[list[Any]]

_cards: dict[tuple[str, str], tuple[Stamp, ModelCard]] = {}
"""(path, name) -> its card as last read by this process; true while the stamp is."""
_files: dict[str, tuple[tuple[int, int, int], dict[str, Any] | None]] = {}
"""Entry file -> (inode, size, time) and what it holds."""


@dataclass(frozen=True)
class Added:
    """One of several: the card that is on the list now, or why it is not."""

    path: Path
    card: ModelCard | None = None
    problem: PanelError | None = None


def models(workspace: Workspace) -> list[ModelCard]:
    """The shipped models, then what was added, by name. A broken one has ``problem`` set and hides no other."""
    return [_shipped(name) for name in SHIPPED] + [_current(entry) for entry in entries(workspace)]


def find(workspace: Workspace, name_or_path: str) -> ModelCard:
    """The model of that name; or the card of that folder, for a path (with a slash in it, or an existing folder).

    Raises:
        NotFoundError: ``model_unknown``, naming what there is.
    """
    name = name_or_path.strip()
    if name in SHIPPED:
        return _shipped(name)
    entry = read_entry(entry_file(workspace, name))
    if entry is not None:
        return _current(entry)
    if "/" in name or name.startswith("~"):
        folder = Path(name).expanduser().absolute()
        known = next((e for e in entries(workspace) if e["path"] == str(folder)), None)
        return _current(known) if known else _cached(folder, folder.name, None)
    raise unknown(workspace, name)


def add(workspace: Workspace, path: Path | str, name: str | None = None, made_by: int | None = None) -> ModelCard:
    """Put the folder ``path`` on the list under ``name`` (default: the folder's). Adding the same again changes nothing.

    Raises:
        ModelError: what is there is no model, or not all of one.
        ConflictError: ``model_name_taken`` by another folder.
        WorkspaceError: the entry cannot be written.
    """
    folder = Path(path).expanduser().absolute()
    label = _checked_name(name if name is not None else folder.name)
    found = _cached(folder, label, None)
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
        "stamp": _stamp(folder),
        "card": found.to_dict(),
        "code": existing.get("code", ""),
    }
    write_json(entry_file(workspace, label), entry)
    return _current(entry)


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
        name, number = one.name, 1
        while name in taken:
            number += 1
            name = f"{one.name[:90]}-{number}"
        try:
            done.append(Added(one.path, add(workspace, one.path, name)))
            taken.add(name)
            listed[str(one.path)] = name
        except PanelError as error:
            done.append(Added(one.path, problem=error))
    return done


def allow_code(workspace: Workspace, name: str, fingerprint: str) -> ModelCard:
    """Let the model ``name`` run the program code of its folder: exactly the code with this fingerprint, which is the
    card's ``code_fingerprint`` that the person saw. An empty ``fingerprint`` takes the consent back.

    Raises:
        NotFoundError: ``model_unknown``: only a model on the list can have a consent.
        ConflictError: ``model_code_changed``: the files are not those that the person saw.
        ModelError: ``model_code_missing``: some of it is not in the folder, so nobody can have seen it.
    """
    file = entry_file(workspace, name)
    entry = read_entry(file)
    if entry is None:
        raise unknown(workspace, name)
    if fingerprint:
        files = code_files(Path(entry["path"]))
        absent = [f.name for f in files if not f.sha256]
        if absent:
            raise ModelError(
                "model_code_missing",
                N_("'{model}' would run code that is not in its folder: {files}."),
                N_("Get these files into the folder, so that they can be looked at before they run."),
                model=name,
                files=", ".join(absent),
            )
        if fingerprint != code_fingerprint(files):
            raise ConflictError(
                "model_code_changed",
                N_("The program code of '{model}' is not the one that you looked at."),
                N_("Look at its files again, then decide."),
                model=name,
            )
    entry = {**entry, "code": fingerprint}
    write_json(file, entry)
    return _current(entry)


def code_is_allowed(workspace: Workspace, name: str) -> bool:
    """Whether the model ``name`` may run its code now. Reads the files anew: ask this before running them, for a card
    trusts the files' sizes and times."""
    entry = read_entry(entry_file(workspace, name))
    if entry is None or not entry.get("code"):
        return False
    try:
        return bool(entry["code"] == code_fingerprint(code_files(Path(entry["path"]))))
    except (ModelError, OSError):
        return False


def entries(workspace: Workspace) -> list[dict[str, Any]]:
    """The entries of the list, by name; files that are none are passed over.

    Raises:
        WorkspaceError: the folder of the list cannot be read.
    """
    try:
        with os.scandir(workspace.models) as files:
            names = [f.name for f in files if f.name.endswith(".json") and not f.name.startswith(".")]
    except OSError as error:
        raise explain_os_error(error, workspace.models) from error
    found = [e for name in names if (e := read_entry(workspace.models / name)) is not None]
    return sorted(found, key=lambda e: str(e["name"]).casefold())


def read_entry(file: Path) -> dict[str, Any] | None:
    """The entry in ``file``; None where there is none. Callers change it in a copy only."""
    try:
        now = file.stat()
        stamp = (now.st_ino, now.st_size, now.st_mtime_ns)
        known = _files.get(str(file))
        if known is None or known[0] != stamp:
            known = _files[str(file)] = (stamp, _parsed(read_json(file)))
    except (OSError, ValueError):
        _files.pop(str(file), None)
        return None
    return known[1]


def entry_file(workspace: Workspace, name: str) -> Path:
    """Where the entry of the model ``name`` is, or would be."""
    # The hash keeps names apart that differ only in what a file name cannot hold.
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:60] or "model"
    return workspace.models / f"{readable}.{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}.json"


def legal_name(name: str) -> str:
    """``name`` with what a list name cannot hold replaced: ``org/name`` becomes ``org_name``."""
    plain = "".join(c if c.isprintable() and c not in "/@" else "_" for c in " ".join(name.split()))
    return plain[:LONGEST_NAME].strip() or "model"


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
    return replace(_cached(ROOT / "models" / name, name, None), builtin=True)


def _current(entry: dict[str, Any]) -> ModelCard:
    found = _cached(Path(entry["path"]), entry["name"], entry)
    allowed = bool(found.code_fingerprint) and entry.get("code") == found.code_fingerprint
    return replace(found, made_by=entry.get("made_by"), code_allowed=allowed)


def _maker(workspace: Workspace, found: ModelCard) -> int | None:
    """The job that made ``found``; job numbers in folders that came from elsewhere mean other jobs."""
    inside = found.path.is_relative_to(workspace.root)
    return found.lineage.job if found.lineage and inside else None


def _cached(folder: Path, name: str, entry: dict[str, Any] | None) -> ModelCard:
    """The card of ``folder`` from memory, else from its entry, else read anew, whichever is true to the folder now."""
    now = _stamp(folder)
    key = (str(folder), name)
    seen = _cards.get(key)
    if seen is None and entry is not None and entry.get("format") == FORMAT and isinstance(entry.get("card"), dict):
        try:
            seen = (entry.get("stamp") or [], ModelCard.from_dict(entry["card"]))
        except (TypeError, KeyError, ValueError, AttributeError):
            seen = None
    if seen is None or not now or seen[0] != now:
        seen = (now, card(folder, name))
    _cards[key] = seen
    return seen[1]


def _stamp(folder: Path) -> Stamp:
    """Name, size and times of each file that a card is made from; empty where there is no such folder.

    The time of the last change of the inode is among them: a program can set the other one to what it was.
    """
    found: Stamp = []
    try:
        with os.scandir(folder) as files:
            for f in files:
                if f.name.endswith(STAMPED) or f.name in STAMPED_FOLDERS or f.name.startswith(("LICEN", "COPYING")):
                    try:
                        s = f.stat()
                        found.append([f.name, s.st_size, s.st_mtime_ns, s.st_ctime_ns])
                    except OSError:
                        found.append([f.name, -1, 0, 0])  # a link to nothing
    except (OSError, ValueError):
        return []
    return sorted(found)


def _checked_name(name: str) -> str:
    label = " ".join(name.split())
    if not label or len(label) > LONGEST_NAME or not label.isprintable() or "/" in label or "@" in label:
        raise ModelError(
            "model_name_bad",
            N_("'{model}' cannot be the name of a model."),
            N_("Use 1 to 96 letters, digits, blanks or signs other than / and @."),
            model=name[:200],
        )
    return label
