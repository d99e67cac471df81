"""How kinds of things are called and drawn, and how what was looked for is marked in a text."""

from __future__ import annotations

import hashlib
import re

from backend.i18n import N_, _
from backend.search import Query
from backend.search.words import pieces
from ui import errors

KINDS = {
    "models": (N_("Models"), ":material/deployed_code:", "models"),
    "datasets": (N_("Datasets"), ":material/dataset:", "datasets"),
    "jobs": (N_("Jobs"), ":material/list_alt:", "jobs"),
    "chat": (N_("Conversations"), ":material/forum:", "chat"),
    "agent": (N_("Agent"), ":material/smart_toy:", "agent"),
    "evaluations": (N_("Evaluations"), ":material/fact_check:", "evaluate"),
    "sets": (N_("Question sets"), ":material/quiz:", "evaluate"),
    "docs": (N_("Documentation"), ":material/menu_book:", "search"),
    "pages": (N_("Pages and settings"), ":material/web_asset:", "home"),
    "engines": (N_("Engines"), ":material/inventory_2:", "environments"),
}
"""Kind -> its name, its icon, and the page that it has."""


def name(kind: str) -> str:
    return _(KINDS[kind][0])


def icon(kind: str) -> str:
    return KINDS[kind][1]


def key_of(text: str) -> str:
    """What a widget of the thing ``text`` is called after: any text can be a name, and a key becomes a CSS class."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def marked(asked: Query, text: str) -> str:
    """``text`` as Markdown, what was looked for in it marked by a ground and by its weight. Nothing in it is taken for markup."""
    return "".join(
        f":violet-background[**{said}**]" if found and said.strip() else said
        for piece, found in pieces(asked, text)
        for said in [_harmless(piece)]
    )


def _harmless(text: str) -> str:
    """``text`` as Markdown that says it to the letter: a colon before a word would be a directive, or make an address a link."""
    return re.sub(r"(?<!\\):(?=\w|/)", r"\\:", errors.plain(text))
