"""Names on the list of models: what one may hold, what an unfit one becomes, and one that is free."""

from __future__ import annotations

from collections.abc import Collection

from backend.errors import ModelError
from backend.i18n import N_

LONGEST_NAME = 96


def legal_name(name: str) -> str:
    """``name`` with what a list name cannot hold replaced: ``org/name`` becomes ``org_name``."""
    plain = "".join(c if c.isprintable() and c not in "/@" else "_" for c in " ".join(name.split()))
    return plain[:LONGEST_NAME].strip() or "model"


def free_name(name: str, taken: Collection[str]) -> str:
    """``name``, or ``name-2`` … where that is taken."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name[:90]}-{number}"
    return free


def checked_name(name: str) -> str:
    """``name`` without spare blanks.

    Raises:
        ModelError: ``model_name_bad``.
    """
    label = " ".join(name.split())
    if not label or len(label) > LONGEST_NAME or not label.isprintable() or "/" in label or "@" in label:
        raise ModelError(
            "model_name_bad",
            N_("'{model}' cannot be the name of a model."),
            N_("Use 1 to 96 letters, digits, blanks or signs other than / and @."),
            model=name[:200],
        )
    return label
