"""A chat template for a tokenizer that has none: which known ones fit it, and the one that a person chose.

The choice stands in the model's entry on the list. Its folder stays as it is: it may be read-only, and others use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backend.catalog.cards import ModelCard
from backend.catalog.entries import current, entries, entry_file, read_entry, unknown
from backend.catalog.files import read_optional
from backend.catalog.known_templates import KnownTemplate, known_template, known_templates
from backend.errors import ConflictError, NotFoundError
from backend.i18n import N_
from backend.workspace import Workspace, write_json


@dataclass(frozen=True)
class Fit:
    """A known template and a tokenizer. missing: tokens of the template that the tokenizer would cut into pieces, so that
    the model has hardly learned them; empty: it fits."""

    template: KnownTemplate
    missing: tuple[str, ...]


def fitting_templates(folder: Path) -> list[Fit]:
    """All known templates, those first of which the tokenizer in ``folder`` has the most tokens.

    Raises:
        ModelError: a file of the tokenizer that cannot be read.
    """
    whole = _whole_tokens(folder)
    fits = [
        Fit(template, tuple(token for token in dict.fromkeys((*template.needs, *template.ends)) if token not in whole))
        for template in known_templates()
    ]
    return sorted(fits, key=lambda fit: len(fit.missing))  # stable: the more common one first


def choose_template(workspace: Workspace, name: str, key: str) -> ModelCard:
    """Let the model ``name`` use the known template ``key``; empty takes that back.

    Raises:
        NotFoundError: ``model_unknown``, or ``template_unknown``, naming what there is.
        ConflictError: ``template_not_needed``: its tokenizer has a template of its own, which stays.
    """
    file = entry_file(workspace, name)
    entry = read_entry(file)
    if entry is None:
        raise unknown(workspace, name)
    if key and known_template(key) is None:
        raise NotFoundError(
            "template_unknown",
            N_("There is no known chat template called '{template}'."),
            N_("Known ones: {known}."),
            template=key,
            known=", ".join(template.key for template in known_templates()),
        )
    card = current({**entry, "template": ""})
    if key and (card.chat_template or card.adapter_of):
        raise ConflictError(
            "template_not_needed",
            N_("'{model}' has a chat template of its own, or is an adapter, which uses that of its base."),
            N_("It stays as it is."),
            model=name,
        )
    entry = {**entry, "template": key}
    write_json(file, entry)
    return current(entry)


def chosen_template(workspace: Workspace, folder: Path) -> KnownTemplate | None:
    """The template that was chosen for the model in ``folder``, under whichever name it is on the list."""
    keys = [entry.get("template") for entry in entries(workspace) if entry["path"] == str(folder)]
    return next((found for key in keys if (found := known_template(key)) is not None), None)


def _whole_tokens(folder: Path) -> set[str]:
    """The texts that the tokenizer keeps whole: what was added to its vocabulary, and the vocabulary itself."""
    tokenizer = read_optional(folder / "tokenizer.json")
    found = {str(one.get("content")) for one in _dicts(tokenizer.get("added_tokens"))}
    decoder = read_optional(folder / "tokenizer_config.json").get("added_tokens_decoder")
    found |= {str(one.get("content")) for one in _dicts(list(decoder.values()) if isinstance(decoder, dict) else [])}
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        return found | vocabulary.keys()
    if isinstance(vocabulary, list):  # Unigram: pairs of text and score
        found |= {str(pair[0]) for pair in vocabulary if isinstance(pair, list) and pair}
    return found


def _dicts(found: object) -> list[dict[str, object]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
