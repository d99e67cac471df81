"""What a model and its copies answer to the same questions, side by side, with what differs from the base marked."""

from __future__ import annotations

import html

import streamlit as st

from backend.compare.diff import ONLY_B, diff
from backend.i18n import _
from backend.quantize import report_table
from backend.quantize.report_records import Answer, Report, Said
from ui import errors
from ui.chat.compare_diff import STYLE, TAGS

SHOWN, LONG = 20, 600
"""Questions that are drawn, and characters of each text."""
ALIKE = 0.3
"""Share of the words from which it helps to see what is missing."""


def draw(found: Report, key: str) -> None:
    """Draw the fold with the answers; nothing where none were given."""
    views = {name: some for name, some in views_of(found).items() if some}
    if not views or len(found.models) < 2:
        return
    fold = st.expander(
        _("Answers side by side"), icon=":material/compare:", key=f"{key}_answers", on_change="rerun", type="compact"
    )
    if not fold.open:
        return
    with fold:
        names = {"differ": _("Where they differ"), "lost": _("No longer right"), "across": _("Across all")}
        chosen = str(
            st.segmented_control(
                _("Which answers"),
                list(views),
                default=next(iter(views)),
                format_func=lambda name: f"{names[name]} ({len(views[name])})",
                key=f"{key}_view",
                required=True,
                label_visibility="collapsed",
            )
        )
        st.html(STYLE)
        some = report_table.spread(views.get(chosen, []), SHOWN)
        for number, place in enumerate(some):
            _answer(found, found.answers[place], f"{key}_answer_{number}")
        if len(some) < len(views[chosen]):
            st.caption(_("{shown} of {n}, evenly taken from all.").format(shown=len(some), n=len(views[chosen])))
        st.caption(_("Underlined: what the base does not say. Struck through: what only the base says."))


def views_of(found: Report) -> dict[str, list[int]]:
    """Which answers can be looked at: view -> places."""
    lost = [at for at, one in enumerate(found.answers) if _lost(one)]
    return {"differ": report_table.differing(found), "lost": lost, "across": list(range(len(found.answers)))}


def _lost(one: Answer) -> bool:
    base, *copies = one.said
    return bool(base and base.right and any(said is not None and said.right is False for said in copies))


def _answer(found: Report, one: Answer, key: str) -> None:
    with st.container(border=True, key=key, gap="xsmall"):
        st.markdown(f"**{errors.plain(_cut(one.question))}**")
        if one.expected:
            st.caption(errors.plain(_("Expected: {answer}").format(answer=_cut(one.expected))))
        base = one.said[0] if one.said else None
        columns = st.columns(max(1, len(one.said)), gap="medium")
        for place, (column, said) in enumerate(zip(columns, one.said, strict=False)):
            with column:
                _said(found.models[place].name, said, base if place else None)


def _said(who: str, said: Said | None, base: Said | None) -> None:
    if said is None:
        st.caption(f"{errors.plain(who)} · " + _("not asked"))
        return
    mark = {
        True: ":green[:material/check:] " + _("right"),
        False: ":red[:material/close:] " + _("wrong"),
        None: ":gray[" + _("not counted") + "]",
    }[said.right]
    same = base is not None and base.text == said.text
    st.caption(f"{errors.plain(who)} · {mark}" + (" · " + _("the same answer") if same else ""))
    if not said.text:
        st.markdown(":gray[" + _("It said nothing.") + "]")
    else:
        st.html(
            f'<div class="compared">{_marked(_cut(said.text), _cut(base.text) if base is not None else None)}</div>'
        )
    if not said.ended:
        st.markdown(":small[:gray[" + _("(it did not end)") + "]]")


def _marked(text: str, base: str | None) -> str:
    """``text`` as HTML, with what ``base`` does not have underlined, and what only that has struck through where the two are
    much alike: the base's own answer stands beside it."""
    if base is None or base == text:
        return html.escape(text)
    found = diff(base, text)
    parts = found.parts if found.likeness >= ALIKE else found.side(ONLY_B)
    return "".join(TAGS[part.kind].format(html.escape(part.text)) for part in parts)


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LONG else text[:LONG] + " …"
