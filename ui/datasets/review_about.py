"""What a row under review rests on: the sentence of its source, pictures, tools that were offered, and how it was before."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from backend.i18n import _
from ui import errors
from ui.datasets import rows as datasets_rows
from ui.datasets import words as named
from ui.datasets.review_state import Item

MOST_CHARS = 20_000
_QUOTE_KEYS = ("quote", "quotes", "evidence")


def pictures(names: list[str]) -> None:
    """The pictures of a turn, a few."""
    if not names:
        return
    with st.container(horizontal=True, gap="small"):
        for name in names[:8]:
            path = datasets_rows.pictures(name)
            if path is None:
                st.caption(
                    ":material/broken_image: " + _("The picture {name} cannot be shown.").format(name=f"`{name}`")
                )
            else:
                st.image(str(path), width=260, alt=name)


def _where(meta: dict[str, Any]) -> list[str]:
    """The place that a row was made from, as far as it says."""
    found = [str(meta.get("source") or ""), str(meta.get("heading") or "")]
    found.append(_("page {n}").format(n=meta["page"]) if meta.get("page") else "")
    return [part for part in found if part]


def draw(item: Item) -> None:
    """What the row rests on, tools that were offered, and what else is known of it."""
    meta: dict[str, Any] = dict(item.shown.get("meta") or {})
    quotes = [meta[name] for name in _QUOTE_KEYS if meta.get(name)]
    source = meta.get("source")
    if quotes or source:
        with st.container(key="review_source", gap="xxsmall"):
            where = " · ".join(errors.plain(part) for part in _where(meta))
            st.caption(
                ":material/format_quote: " + (_("Source: {where}").format(where=where) if where else _("Source"))
            )
            for quote in quotes:
                for text in quote if isinstance(quote, list) else [quote]:
                    st.text(str(text)[:2000])
    if item.shown.get("tools"):
        names = ", ".join(str((tool.get("function") or {}).get("name") or "?") for tool in item.shown["tools"])
        with st.expander(
            _("Tools offered: {names}").format(names=errors.plain(names)), icon=":material/build:", type="compact"
        ):
            st.code(json.dumps(item.shown["tools"], ensure_ascii=False, indent=1), language="json", height=260)
    if item.decision.row is not None:
        with st.expander(_("How it was before"), icon=":material/history:", type="compact"):
            for turn in item.row["messages"]:
                st.caption(named.word(named.ROLES, turn["role"]))
                st.text(turn["content"][:MOST_CHARS])
