"""The adapters (LoRA) that a server is to offer beside its model: what ``ServeSpec.adapters`` says, found on disk."""

from __future__ import annotations

from pathlib import Path

from backend import catalog
from backend.engines.base import Problem
from backend.engines.lmdeploy_options import ADAPTER_NAME
from backend.errors import PanelError
from backend.i18n import _
from backend.specs.serve import ServeSpec
from backend.workspace import Workspace

FIELD = "adapters"


def find(workspace: Workspace, spec: ServeSpec) -> tuple[list[tuple[str, Path]], list[Problem]]:
    """Name and folder of each, and all that is wrong with them. An entry is a name in the catalog, or ``name=folder``."""
    found: dict[str, Path] = {}
    wrong: list[Problem] = []
    for entry in spec.adapters:
        name, equals, target = entry.partition("=")
        try:
            card = catalog.find(workspace, target if equals else name)
            if card.problem is not None:
                raise card.problem
            if card.base is not None and card.unfit is not None:
                raise card.unfit
        except PanelError as error:
            wrong.append(Problem(FIELD, error.localized()[0]))
            continue
        if not card.adapter_of:
            wrong.append(Problem(FIELD, _("'{name}' is a whole model, not an adapter.").format(name=entry)))
        elif not ADAPTER_NAME.fullmatch(name) or name == spec.served_name():
            text = _(
                "'{name}' cannot be the name of an adapter: use letters, digits, dots, dashes, not the model's name."
            )
            wrong.append(Problem(FIELD, text.format(name=name)))
        elif name in found:
            wrong.append(Problem(FIELD, _("Two adapters are called '{name}'.").format(name=name)))
        else:
            found[name] = card.path
    return list(found.items()), wrong
