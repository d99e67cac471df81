"""``python -m backend search WORDS``: find anything in the workspace and in the documentation, as the panel's search does."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.i18n import N_, _
from backend.search import Group, Hit, Sources, query, search
from backend.workspace import open_workspace

NAMES = {
    "models": N_("Models"),
    "datasets": N_("Datasets"),
    "jobs": N_("Jobs"),
    "chat": N_("Conversations"),
    "agent": N_("Agent"),
    "evaluations": N_("Evaluations"),
    "sets": N_("Question sets"),
    "docs": N_("Documentation"),
    "pages": N_("Pages and settings"),
    "engines": N_("Engines"),
}


class Kind(StrEnum):
    """What can be found."""

    MODELS = "models"
    DATASETS = "datasets"
    JOBS = "jobs"
    CHAT = "chat"
    AGENT = "agent"
    EVALUATIONS = "evaluations"
    SETS = "sets"
    DOCS = "docs"
    PAGES = "pages"
    ENGINES = "engines"


def command(
    words: Annotated[list[str], typer.Argument(help=_("What to look for; all words must occur."))],
    kind: Annotated[list[Kind] | None, typer.Option(help=_("Only this kind; may be given several times."))] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help=_("How many of each kind at most."))] = 10,
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    """Find models, datasets, jobs, conversations, documentation and more."""
    asked = query(" ".join(words))
    kinds = [str(one) for one in kind or ()]
    groups = search(Sources.of(open_workspace()), asked, kinds, limit=limit, most=limit)
    output({"query": asked.text, "groups": [_as_dict(one) for one in groups]}, as_json, _lines(groups))


def _as_dict(group: Group) -> dict[str, Any]:
    """A group as JSON. Times are epoch seconds."""
    problem = None
    if group.problem is not None:
        message, hint = group.problem.localized()
        problem = {"code": group.problem.code, "message": message, "hint": hint}
    hits = [_hit(hit) for hit in group.hits]
    return {"kind": group.kind, "count": group.count, "near": group.near, "problem": problem, "hits": hits}


def _hit(hit: Hit) -> dict[str, Any]:
    address = dict(hit.address)
    return {
        "key": hit.key,
        "title": hit.title,
        "context": hit.context,
        "page": hit.page,
        "address": address,
        "when": hit.when,
    }


def _lines(groups: list[Group]) -> str:
    lines: list[str] = []
    for group in groups:
        near = " · " + _("nearly so") if group.near else ""
        lines.append(f"{_(NAMES[group.kind])} ({group.count:,}){near}")
        if group.problem is not None:
            lines.append("  " + " ".join(filter(None, group.problem.localized())))
        lines += [_line(hit) for hit in group.hits]
    return "\n".join(lines) or _("Nothing found.")


def _line(hit: Hit) -> str:
    when = datetime.fromtimestamp(hit.when).strftime("%Y-%m-%d %H:%M") if hit.when else ""
    return "  " + "  ".join(filter(None, (when, hit.title, hit.context)))
