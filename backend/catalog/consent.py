"""A person's consent to the program code in a model's folder, kept in its entry as the fingerprint of that code."""

from __future__ import annotations

from pathlib import Path

from backend.catalog.cards import ModelCard
from backend.catalog.code import code_files, code_fingerprint
from backend.catalog.entries import current, entry_file, read_entry, unknown
from backend.errors import ConflictError, ModelError
from backend.i18n import N_
from backend.workspace import Workspace, write_json


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
    return current(entry)


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
