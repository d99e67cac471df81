"""What two answers do not share, marked: struck through what only the first has, underlined what only the second has."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from backend.compare.diff import ONLY_A, ONLY_B, SAME, Difference, Part, diff
from backend.compare.records import LETTERS, Turn
from backend.i18n import _

# Half transparent, so that both themes lend the text its colour; the lines say the same without any colour.
STYLE = """<style>
.compared { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.7; }
.compared del, .compared ins { border-radius: 3px; padding: 0 1px; box-decoration-break: clone;
  -webkit-box-decoration-break: clone; }
.compared del { background: rgba(213, 94, 0, 0.2); text-decoration: line-through 1.5px; }
.compared ins { background: rgba(0, 114, 178, 0.2); text-decoration: underline 2px; text-underline-offset: 3px; }
</style>"""
TAGS = {SAME: "{}", ONLY_A: "<del>{}</del>", ONLY_B: "<ins>{}</ins>"}


def draw(turn: Turn, names: Sequence[str], key: str) -> None:
    """Offer to mark the differences of two answers of ``turn``; ``names`` stand over the columns, as Markdown."""
    said = [place for place, answer in enumerate(turn.answers) if answer is not None and answer.content]
    if len(said) < 2:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if not st.toggle(_("Show what differs"), key=f"{key}_on"):
            return
        first, second = said[0], said[1]
        if len(said) > 2:
            couples = [(a, b) for a in said for b in said if a < b]
            chosen = st.segmented_control(
                _("Which two"),
                couples,
                key=f"{key}_pair",
                default=couples[0],
                required=True,
                format_func=lambda couple: f"{LETTERS[couple[0]]} – {LETTERS[couple[1]]}",
                label_visibility="collapsed",
            )
            first, second = chosen or couples[0]
        beside = st.segmented_control(
            _("How"),
            ["beside", "inline"],
            key=f"{key}_how",
            default="beside",
            required=True,
            format_func=lambda how: _("Side by side") if how == "beside" else _("In one text"),
            label_visibility="collapsed",
        )
    texts = [answer.content if answer else "" for answer in turn.answers]
    found = diff(texts[first], texts[second])
    st.caption(_legend(found, LETTERS[first], LETTERS[second]))
    if found.same:
        return
    st.html(STYLE)
    if beside == "inline":
        st.html(_marked(found.parts))
        return
    for column, place, side in zip(st.columns(2, gap="small"), (first, second), (ONLY_A, ONLY_B), strict=True):
        with column, st.container(border=True, key=f"{key}_{side}"):
            st.markdown(names[place])
            st.html(_marked(found.side(side)))


def _legend(found: Difference, a: str, b: str) -> str:
    if found.same:
        return ":material/check: " + _("Both answers are the same, word for word.")
    text = _("Struck through: only in {a} ({n}). Underlined: only in {b} ({m}). {share} of the words are in both.")
    return text.format(a=a, b=b, n=found.only_a, m=found.only_b, share=f"{found.likeness:.0%}")


def _marked(parts: Sequence[Part]) -> str:
    return f'<div class="compared">{"".join(TAGS[part.kind].format(html.escape(part.text)) for part in parts)}</div>'
