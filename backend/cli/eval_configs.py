"""``python -m backend eval configs [PATTERN…]``: what the installed OpenCompass can ask, and of which models it knows how to load them."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli import output
from backend.engines import opencompass_listing as listing
from backend.i18n import _, ngettext
from backend.workspace import open_workspace

SHOWN = 60
"""Without a pattern there are thousands."""


def register(app: typer.Typer) -> None:
    """Make the verb part of ``app``, the noun ``eval``."""
    app.command("configs", help=_("List the configs of OpenCompass, by model and data set."))(configs)


def configs(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATTERN]…", help=_("Part of a name; * and ? stand for anything. Several: any of them.")
        ),
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help=_("Only models, datasets, summarizers or another kind."))
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    kinds = (kind,) if kind else listing.SEARCHED
    found = listing.search(listing.listed(open_workspace()), patterns or (), kinds)
    rows = [{"name": each.name, "kind": each.kind, "path": each.path, "module": each.module} for each in found]
    shown = found if patterns else found[:SHOWN]
    lines = [f"{each.kind:<14}{each.name:<60} {each.path}" for each in shown]
    total = ngettext("{n} config", "{n} configs", len(found)).format(n=len(found))
    if len(shown) < len(found):
        total += _("; a pattern such as 'ceval*' shows those that you mean")
    output(rows, as_json, "\n".join([*lines, total]))
