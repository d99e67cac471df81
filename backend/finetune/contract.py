"""The template contract: what a model was taught with is what it is asked with, from the dataset to the server.

One fingerprint (:mod:`backend.catalog.template`) stands for chat template, special tokens and the ids at which answers end.
The plan writes it into the spec, the training and the merge compare it with the base as it is then, and it is kept with
what was made: short in ``tunedeck.json``, whole in ``training.json``, so that a difference can be named and taken back.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backend import catalog
from backend.catalog import ModelCard
from backend.catalog.template import default_text, fingerprint, special_and_ends, template_texts
from backend.errors import ModelError
from backend.i18n import N_, _
from backend.workspace import Workspace, explain_os_error, read_json, write_json

FILE, FORMAT = "training.json", 1
"""Beside the weights of what was made: the contract, and how it was taught (:mod:`jobs.finetuning.keeping`)."""
FILES = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
)
"""What makes up a contract, and is small enough to be kept twice."""
EXCERPT = 60
"""Characters of a template that a message shows."""


@dataclass(frozen=True)
class Contract:
    """template: Jinja; empty: there is none. specials: ``eos_token`` and the like -> text. eos: ids of tokens that end an
    answer, sorted. fingerprint: 16 hex digits over all of them; empty without a template."""

    fingerprint: str
    template: str
    specials: dict[str, Any] = field(default_factory=dict)
    eos: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :func:`parse` takes it back."""
        return {**asdict(self), "eos": list(self.eos)}


@dataclass(frozen=True)
class Difference:
    """One thing that is otherwise. part: ``template``, ``eos``, or the name of a special token. was, now: texts."""

    part: str
    was: str
    now: str

    def __str__(self) -> str:
        if self.part == "template":
            return _("the chat template (“{was}” became “{now}”)").format(was=self.was, now=self.now)
        if self.part == "eos":
            return _("the tokens that end an answer ({was} became {now})").format(was=self.was, now=self.now)
        return _("the special token {name} ({was} became {now})").format(name=self.part, was=self.was, now=self.now)


def of(folder: Path, base: Path | None = None, chosen: str = "") -> Contract:
    """The contract of the model in ``folder``; of an adapter that has its own tokenizer, on top of its base in ``base``.
    chosen: the template that a person gave it, where its tokenizer has none.

    Raises:
        ModelError: a file that is not what its name says.
    """
    text = default_text(template_texts(folder)) or chosen
    specials, ends = special_and_ends(folder, base)
    return Contract(fingerprint(text, specials, ends) if text else "", text, specials, tuple(ends))


def of_card(workspace: Workspace, card: ModelCard) -> Contract:
    """The contract with which the model of ``card`` is asked: its own, or that of its base where it brings no tokenizer.

    Raises:
        ModelError: as :func:`of`.
    """
    if card.adapter_of and card.base is not None:
        if card.own_tokenizer and card.chat_template:
            return of(card.path, card.base.path)
        card = card.base
    chosen = catalog.chosen_template(workspace, card.path)
    return of(card.path, chosen=chosen.template if chosen else "")


def parse(data: Any) -> Contract | None:
    """What :meth:`Contract.to_dict` wrote; None for anything else."""
    if not isinstance(data, dict) or not isinstance(data.get("template"), str):
        return None
    specials, eos = data.get("specials"), data.get("eos")
    return Contract(
        str(data.get("fingerprint") or ""),
        data["template"],
        specials if isinstance(specials, dict) else {},
        tuple(one for one in eos if isinstance(one, int)) if isinstance(eos, list) else (),
    )


def kept(folder: Path) -> Contract | None:
    """The contract that was written beside the weights in ``folder``; None where there is none. Never raises."""
    try:
        data = read_json(folder / FILE)
    except OSError:
        return None
    return parse(data.get("contract")) if isinstance(data, dict) else None


def same(one: Contract, other: Contract) -> list[Difference]:
    """What is otherwise in ``other`` than it was in ``one``; empty: nothing."""
    found = []
    if one.template != other.template:
        found.append(Difference("template", *_excerpts(one.template, other.template)))
    for name in sorted(one.specials.keys() | other.specials.keys()):
        was, now = one.specials.get(name), other.specials.get(name)
        if was != now:
            found.append(Difference(name, _said(was), _said(now)))
    if one.eos != other.eos:
        found.append(Difference("eos", _said(list(one.eos) or None), _said(list(other.eos) or None)))
    return found


def check(model: str, agreed: str, now: Contract, was: Contract | None = None) -> None:
    """Stop where ``now``, the contract of the model called ``model``, is another one than was agreed on. was: that one, where
    it is known whole.

    Raises:
        ModelError: ``template_changed``.
    """
    if agreed and agreed != now.fingerprint:
        raise changed(model, agreed, now, was)


def changed(model: str, agreed: str, now: Contract, was: Contract | None = None) -> ModelError:
    """The error for a model that is no longer what was agreed on, naming what is otherwise where that is known."""
    differences = same(was, now) if was else []
    return ModelError(
        "template_changed",
        N_(
            "Chat template, special tokens or ends of '{model}' are no longer what they were ({agreed}; now {now}). "
            "Changed: {what}."
        ),
        N_(
            "Put the tokenizer's files of '{model}' back, or the template that was chosen for it on the Models page. To "
            "teach it with the new one, start a new run."
        ),
        model=model,
        agreed=agreed,
        now=now.fingerprint or "–",
        what="; ".join(map(str, differences)) or "?",
    )


def record(folder: Path, contract: Contract, told: Mapping[str, Any]) -> None:
    """Write ``contract``, the small files of the tokenizer that make it up, and ``told`` beside the weights in ``folder``.

    Raises:
        WorkspaceError: the folder cannot be written.
    """
    here = {name: _text(folder / name) for name in FILES} if any((folder / name).is_file() for name in FILES) else {}
    # Readable by whom the weights are readable for: the folder may be shared.
    write_json(folder / FILE, {"format": FORMAT, **told, "contract": contract.to_dict(), "files": here}, mode=0o644)


def restore(folder: Path) -> Contract:
    """Write the tokenizer's small files in ``folder`` as they were when its model was made; returns its contract again.

    Raises:
        ModelError: ``template_not_kept``: nothing was kept there, as for an adapter that has the tokenizer of its base.
        WorkspaceError: the folder cannot be written.
    """
    data = read_json(folder / FILE)
    files = data.get("files") if isinstance(data, dict) else None
    found = kept(folder)
    if found is None or not isinstance(files, dict) or not files:
        raise ModelError(
            "template_not_kept",
            N_(
                "{folder} holds no copy of the chat template with which its model was taught, so it cannot be put back."
            ),
            N_("Copy the tokenizer's files from where the model came from; for an adapter, those of its base."),
            folder=str(folder),
        )
    for name in FILES:
        text = files.get(name)
        if isinstance(text, str) and text != _text(folder / name):
            _write(folder / name, text)
        elif text is None:
            (folder / name).unlink(missing_ok=True)
    return found


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text.encode("utf-8", "surrogateescape"))
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise explain_os_error(error, path.parent) from error


def _said(value: Any) -> str:
    return "–" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _excerpts(was: str, now: str) -> tuple[str, str]:
    """What stands in both where they begin to differ; a template has pages."""
    pairs = enumerate(zip(was, now, strict=False))
    begin = max(0, next((n for n, (a, b) in pairs if a != b), min(len(was), len(now))) - EXCERPT // 4)
    return was[begin : begin + EXCERPT] or "–", now[begin : begin + EXCERPT] or "–"
