"""One row as the conversation that it is: who says what, what is learned, tools, pictures, and what else is known of it."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from backend.data.rows import Message, Row, split_of, trained
from backend.i18n import N_, _
from ui.datasets import words as named

FOLD_CHARS, MOST_CHARS = 600, 20_000
"""A longer text is folded; of one that is longer still only the beginning is sent to the browser."""
TURNS = 12
"""Turns of one row that are in sight; the rest is folded."""
PICTURE_PX = 260
LEARNED, NOT_LEARNED = N_("learned"), N_("not learned")

# Words say all of it; the line at the left is lent its colour by the text, so that both themes fit.
STYLE = """<style>
.row-turn { border-left: 3px solid color-mix(in srgb, currentColor 22%, transparent); padding: 0.1rem 0 0.35rem 0.7rem;
  margin: 0 0 0.35rem; line-height: 1.6; }
.row-turn.assistant { border-left-color: color-mix(in srgb, currentColor 75%, transparent); }
.row-turn .who { font-size: 0.8rem; opacity: 0.75; display: flex; gap: 0.6rem; flex-wrap: wrap; }
.row-turn .who b { font-weight: 600; }
.row-turn .said, .row-more pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.row-turn .none { opacity: 0.65; font-style: italic; }
.row-turn code, .row-more pre { font-family: 'JetBrains Mono', 'Noto Sans SC Common', 'Noto Sans SC More', monospace;
  font-size: 0.82rem; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
.row-more summary, .row-turn summary { cursor: pointer; font-size: 0.8rem; opacity: 0.8; }
.row-more dl { display: grid; grid-template-columns: minmax(5rem, max-content) 1fr; gap: 0.15rem 0.9rem; margin: 0.3rem 0;
  font-size: 0.85rem; }
.row-more dt { opacity: 0.7; } .row-more dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
</style>"""

Picture = Callable[[str], Path | None]


def draw(row: Row, *, key: str, picture: Picture | None = None) -> None:
    """Draw the conversation of ``row`` and, folded, what else is known of it.

    Args:
        key: unique on the page.
        picture: the file of a picture's address in the row, or None where it cannot be shown.
    """
    with st.container(gap="xxsmall", key=f"row_{key}"):
        turns = row["messages"]
        drawn: list[str] = []
        for place, message in enumerate(turns):
            if place == TURNS:
                rest = "".join(map(turn, turns[place:]))
                count = _("{n} more turns").format(n=len(turns) - place)
                drawn.append(f'<details class="row-more"><summary>{html.escape(count)}</summary>{rest}</details>')
                break
            drawn.append(turn(message))
            if message.get("images"):
                _html(drawn)
                drawn = []
                _pictures(message["images"], picture)
        drawn.append(more(row))
        _html(drawn)


def turn(message: Message) -> str:
    """One message as HTML; nothing in it is markup but ours."""
    role = str(message["role"])
    marks = [f"<b>{html.escape(named.word(named.ROLES, role))}</b>"]
    if message.get("name"):
        marks.append(html.escape(str(message["name"])))
    if trained(message):
        marks.append(f"<span>✓ {html.escape(_(LEARNED))}</span>")
    elif role == "assistant" or "loss" in message:
        marks.append(f"<span>– {html.escape(_(NOT_LEARNED))}</span>")
    body = _text(str(message.get("content") or ""), bool(message.get("tool_calls")))
    calls = "".join(_call(call) for call in message.get("tool_calls") or [])
    kind = role if role in named.ROLES else ""
    return f'<div class="row-turn {kind}"><div class="who">{"".join(marks)}</div>{body}{calls}</div>'


def more(row: Row) -> str:
    """What is known of a row beside its conversation, folded; empty where that is nothing."""
    known = dict(row.get("meta") or {})
    known.pop("split", None)
    facts = "".join(f"<dt>{html.escape(str(name))}</dt><dd>{_value(value)}</dd>" for name, value in known.items())
    folded = []
    if row.get("tools"):
        names = ", ".join(_tool(tool) for tool in row["tools"])
        label = _("Tools offered: {names}").format(names=names)
        text = json.dumps(row["tools"], ensure_ascii=False, indent=1)[:MOST_CHARS]
        folded.append(
            f"<details class='row-more'><summary>{html.escape(label)}</summary><pre>{html.escape(text)}</pre></details>"
        )
    if facts:
        label = _("What else is known of this row")
        folded.append(f"<details class='row-more'><summary>{html.escape(label)}</summary><dl>{facts}</dl></details>")
    return "".join(folded)


def head(row: Row, number: int) -> str:
    """``Row 1,734`` and its split, as plain text."""
    split = split_of(row)
    name = _("Row {n}").format(n=f"{number:,}")
    return name if split == "train" else f"{name} · {named.word(named.SPLITS, split)}"


def _html(parts: list[str]) -> None:
    inner = "".join(parts)
    if inner:
        st.html(STYLE + inner)


def _text(text: str, calls: bool) -> str:
    if not text.strip():
        if calls and not text:
            return ""
        return f'<div class="said none">{html.escape(_("empty") if not text else _("only blanks"))}</div>'
    if len(text) <= FOLD_CHARS:
        return f'<div class="said">{html.escape(text)}</div>'
    label = _("All {n} characters").format(n=f"{len(text):,}")
    rest = html.escape(text[FOLD_CHARS:MOST_CHARS])
    if len(text) > MOST_CHARS:
        cut = _("{n} more characters are not shown here; they are in the row.").format(n=f"{len(text) - MOST_CHARS:,}")
        rest += f'<div class="none">{html.escape(cut)}</div>'
    begin = html.escape(text[:FOLD_CHARS])
    return f'<div class="said">{begin}<details><summary>… {html.escape(label)}</summary>{rest}</details></div>'


def _call(call: Mapping[str, Any]) -> str:
    function = call.get("function") if isinstance(call.get("function"), dict) else {}
    assert isinstance(function, dict)
    said = f"{function.get('name') or '?'}({function.get('arguments') or ''})"
    return f"<div><span>→ {html.escape(_('calls'))} </span><code>{html.escape(said[:MOST_CHARS])}</code></div>"


def _tool(tool: object) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    return str(function.get("name") or "?") if isinstance(function, dict) else "?"


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return html.escape(text[:2000])


def _pictures(references: list[str], picture: Picture | None) -> None:
    with st.container(horizontal=True, gap="small"):
        for reference in references[:8]:
            path = picture(reference) if picture else None
            if path is None:
                st.caption(":material/image: " + _("picture {name}").format(name=f"`{reference}`"))
                continue
            try:
                st.image(str(path), width=PICTURE_PX, alt=reference)
            except (OSError, ValueError, SyntaxError):  # what Pillow says about broken files
                st.caption(
                    ":material/broken_image: " + _("The picture {name} cannot be shown.").format(name=f"`{reference}`")
                )
