"""``python -m backend models …``: which models there are, and what each of them is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from backend import catalog
from backend.catalog import ModelCard
from backend.cli import output
from backend.i18n import _
from backend.workspace import open_workspace

app = typer.Typer(help=_("Look at models, put them on the list and take them off."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


def as_dict(card: ModelCard) -> dict[str, Any]:
    """A card as JSON, with its problem as a sentence beside its code."""
    data = card.to_dict()
    if card.problem:
        message, hint = card.problem.localized()
        data["problem"] |= {"text": message, "hint_text": hint}
    return data


def line(card: ModelCard) -> str:
    """A model in one line for a person."""
    if card.problem:
        return f"{card.name:<28}  {card.problem.localized()[0]}"
    facts = [_size(card), card.dtype, card.quantization, card.architecture, str(card.path)]
    return "  ".join([f"{card.name:<28}", *(fact for fact in facts if fact)])


@app.command("list", help=_("List the models: the shipped one, then those that were added."))
def list_models(as_json: Json = False) -> None:
    cards = catalog.models(open_workspace())
    output([as_dict(card) for card in cards], as_json, "\n".join(map(line, cards)))


@app.command(help=_("Put a model folder on the list. Nothing is copied."))
def add(
    path: Annotated[str, typer.Argument(help=_("Folder with config.json and *.safetensors files."))],
    name: Annotated[
        str | None, typer.Option(help=_("Name on the list; the folder's name where none is given."))
    ] = None,
    as_json: Json = False,
) -> None:
    card = catalog.add(open_workspace(), path, name)
    output(as_dict(card), as_json, line(card))


@app.command(help=_("Show what a model is, by name or by folder. Reads no weights."))
def card(
    model: Annotated[str, typer.Argument(metavar="PATH", help=_("Name on the list, or a folder."))],
    as_json: Json = False,
) -> None:
    found = catalog.find(open_workspace(), model)
    if found.problem and as_json:
        raise found.problem
    shown = {k: v for k, v in as_dict(found).items() if v not in (None, "", False)}
    output(as_dict(found), as_json, "\n".join(f"{k:<22} {v}" for k, v in shown.items() if k != "problem"))
    if found.problem:
        raise found.problem


@app.command(help=_("Take a model off the list. Its folder stays as it is."))
def remove(model: Annotated[str, typer.Argument(help=_("Name on the list."))], as_json: Json = False) -> None:
    catalog.remove(open_workspace(), model)
    output({"removed": model}, as_json, _("'{model}' is off the list.").format(model=model))


def _size(card: ModelCard) -> str:
    if card.parameters is None:
        return ""
    return f"{card.parameters / 1e9:.1f} B" if card.parameters >= 1e9 else f"{card.parameters / 1e6:.1f} M"
