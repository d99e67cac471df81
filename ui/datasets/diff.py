"""One row before and after: what went struck through, what came underlined, message by message."""

from __future__ import annotations

import html
import itertools

import streamlit as st

from backend.compare.diff import ONLY_A, ONLY_B, diff
from backend.data.rows import Message, Row
from backend.i18n import _
from ui.chat.compare_diff import STYLE, TAGS
from ui.datasets import row as datasets_row
from ui.datasets import words as named

LONGEST = 20_000
"""Longer texts are shown one after the other: to compare them word by word would take long."""


def draw(before: Row | None, after: Row | None, *, key: str) -> None:
    """Draw a row that is new, that is gone, or what of it became another one."""
    if before is None or after is None:
        row = before or after
        assert row is not None
        datasets_row.draw(row, key=f"diff_{key}")
        return
    parts = [_message(a, b) for a, b in itertools.zip_longest(before["messages"], after["messages"])]
    parts += [_other(name, before, after) for name in ("tools", "meta") if before.get(name) != after.get(name)]
    st.html(STYLE + datasets_row.STYLE + "".join(parts))


def _message(before: Message | None, after: Message | None) -> str:
    if before is None or after is None:
        message, tag = (after, TAGS[ONLY_B]) if before is None else (before, TAGS[ONLY_A])
        assert message is not None
        body = tag.format(html.escape(str(message.get("content") or "") or _("empty")))
        return _turn(str(message["role"]), body)
    role = _word(before)
    if _word(before) != _word(after):
        role = f"{TAGS[ONLY_A].format(html.escape(_word(before)))} {TAGS[ONLY_B].format(html.escape(_word(after)))}"
        return _turn(role, _body(before, after), escape=False)
    return _turn(role, _body(before, after))


def _word(message: Message) -> str:
    return named.word(named.ROLES, str(message["role"]))


def _body(before: Message, after: Message) -> str:
    a, b = str(before.get("content") or ""), str(after.get("content") or "")
    if a == b:
        shown = a if len(a) <= datasets_row.FOLD_CHARS else f"{a[: datasets_row.FOLD_CHARS]} …"
        return html.escape(shown) or f"<i>{html.escape(_('empty'))}</i>"
    if max(len(a), len(b)) > LONGEST:
        pairs = ((ONLY_A, a[:LONGEST]), (ONLY_B, b[:LONGEST]))
    elif not a.strip() or not b.strip() or a.strip() == b.strip():
        # Of blanks alone a comparison by words sees nothing.
        pairs = ((ONLY_A, _visible(a)), (ONLY_B, _visible(b)))
    else:
        pairs = tuple((part.kind, part.text) for part in diff(a, b).parts)  # type: ignore[assignment]
    return "".join(TAGS[kind].format(html.escape(text)) for kind, text in pairs)


def _visible(text: str) -> str:
    """Blanks at the edges as marks, so that they are seen; ``empty`` for nothing."""
    if not text:
        return _("empty")
    core = text.strip()
    start = text.index(core) if core else len(text)
    blanks = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥", "\u3000": "□"})
    return text[:start].translate(blanks) + core + text[start + len(core) :].translate(blanks)


def _turn(who: str, body: str, *, escape: bool = True) -> str:
    shown = html.escape(named.word(named.ROLES, who)) if escape else who
    return f'<div class="row-turn"><div class="who"><b>{shown}</b></div><div class="said compared">{body}</div></div>'


def _other(name: str, before: Row, after: Row) -> str:
    """What became of the tools, or of what else is known of a row."""
    old, new = before.get(name), after.get(name)
    if not isinstance(old, dict) or not isinstance(new, dict):
        old, new = {name: old}, {name: new}
    lines = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if a != b:
            told = [
                tag.format(html.escape(str(value)[:500]))
                for tag, value in ((TAGS[ONLY_A], a), (TAGS[ONLY_B], b))
                if value
            ]
            lines.append(f"{html.escape(str(key))}: {' '.join(told)}")
    return f'<div class="row-turn"><div class="said compared">{"<br>".join(lines)}</div></div>'
