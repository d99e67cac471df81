"""Review, a view of one dataset: read row by row with the keyboard, or write in a table; then save it as a new version.

What is decided is on the disk at once (:mod:`backend.data.review`): a reload, another tab, a colleague see the same.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from backend.data.versions import Version
from backend.i18n import N_, _, ngettext
from ui import errors
from ui.datasets import change as datasets_change
from ui.datasets import review_row as datasets_review_row
from ui.datasets import review_state as state
from ui.datasets import review_table as datasets_review_table
from ui.datasets import state as datasets_state
from ui.datasets.review_state import ANY, LOOKS, Places, Seen

WAYS = {"one": N_("One at a time"), "table": N_("Table")}
_STATE, _FINDING, _TEXT, _WAY = "review_state", "review_finding", "review_text", "review_way"


def draw(version: Version) -> None:
    """Draw progress, filters, the rows one by one or as a table, and what leads to a new version."""
    with_page = True

    def body() -> None:
        nonlocal with_page
        problem = st.session_state.get(datasets_state.PROBLEM)
        if problem and not with_page:  # else it stands at the head of the page already
            errors.show(problem, key="review_problem")
        with_page = False
        _body(version)

    st.fragment(errors.guarded(body, "review"))()


def _body(version: Version) -> None:
    all_ = state.seen(version)
    _progress(all_)
    shown = _filters(all_)
    if st.session_state.get(_WAY) == "table" or not len(all_):
        datasets_review_table.draw(all_, shown)
    else:
        datasets_review_row.draw(all_, shown)
    _save(all_)


def _progress(all_: Seen) -> None:
    counts, total = all_.counts(), len(all_)
    done = total - counts["todo"]
    parts = [_("reviewed {done} of {total}").format(done=f"{done:,}", total=f"{total:,}")]
    parts += [f"{LOOKS[name].word} {counts[name]:,}" for name in ("accepted", "edited", "rejected") if counts[name]]
    st.progress(done / total if total else 0.0, " · ".join(parts))


def _filters(all_: Seen) -> Places:
    """What is shown, as places of rows."""
    if not len(all_):
        return np.zeros(0, np.int64)
    counts = {ANY: len(all_), **all_.counts()}
    names = {ANY: _("All"), **{name: look.word for name, look in LOOKS.items()}}
    with st.container(horizontal=True, vertical_alignment="bottom", key="review_filters"):
        wanted = st.segmented_control(
            _("Show"),
            [ANY, *LOOKS],
            key=_STATE,
            default="todo" if counts["todo"] else ANY,
            required=True,
            format_func=lambda name: f"{names[name]} {counts[name]:,}",
            on_change=_from_the_first,
            persist_state="session",
        )
        codes = state.findings(all_.version)
        finding = ""
        if codes:
            finding = (
                st.selectbox(
                    _("Doctor's finding"),
                    ["", *codes],
                    key=_FINDING,
                    format_func=lambda code: _finding(code, codes),
                    width=240,
                    on_change=_from_the_first,
                    persist_state="session",
                )
                or ""
            )
        text = st.text_input(
            _("Text in the row"),
            key=_TEXT,
            icon=":material/search:",
            width=200,
            on_change=_from_the_first,
            persist_state="session",
        )
        st.segmented_control(
            _("How"),
            list(WAYS),
            key=_WAY,
            default="one",
            required=True,
            format_func=lambda way: _(WAYS[way]),
            persist_state="session",
        )
    return state.narrowed(all_, wanted or ANY, finding, text or "")


def _finding(code: str, counts: dict[str, int]) -> str:
    from backend.data.doctor import CHECKS

    return f"{_(CHECKS[code].title)} {counts[code]:,}" if code in counts else _("any or none")


def _from_the_first() -> None:
    """Callback: another choice begins at its first row."""
    st.query_params.pop(datasets_state.ROW, None)
    st.session_state.pop("review_table_page", None)


def _save(all_: Seen) -> None:
    counts = all_.counts()
    changes = [
        (
            counts["edited"] - len(all_.added),
            ngettext("{n} row changed", "{n} rows changed", counts["edited"] - len(all_.added)),
        ),
        (len(all_.added), ngettext("{n} row added", "{n} rows added", len(all_.added))),
        (counts["rejected"], ngettext("{n} row left out", "{n} rows left out", counts["rejected"])),
    ]
    told = [text.format(n=f"{n:,}") for n, text in changes if n]
    st.divider()
    only = False
    if counts["todo"] and counts["todo"] < len(all_):
        only = st.checkbox(
            _("Leave out the rows that nobody has looked at"),
            key="review_only",
            help=_("They stay in the version that you see now."),
        )
        if only:
            left = ngettext("{n} row not reviewed left out", "{n} rows not reviewed left out", counts["todo"])
            told.append(left.format(n=f"{counts['todo']:,}"))
    with st.container(horizontal=True, vertical_alignment="center", key="review_saving"):
        saved = st.button(
            _("Save as a new version"),
            key="review_save",
            type="primary" if counts["todo"] == 0 and told else "secondary",
            icon=":material/save:",
            disabled=not told,
            on_click=_make,
            args=(all_.version, only),
        )
        why = _("Nothing to save yet: no row was changed, added or rejected. What you accepted is kept.")
        st.caption(", ".join(told) if told else why, width="content")
    if saved:
        st.rerun()  # the head of the page shows the version


def _make(version: Version, only: bool) -> None:
    step = {"do": "review", **({"only_reviewed": True} if only else {})}
    datasets_change.run(version, [step], _("Saved as version {version}. It is the current one now."))
