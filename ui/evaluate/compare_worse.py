"""What got worse: the subjects in which a run answers less than the first, those beyond chance first, and the way to their questions."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.i18n import _
from ui import errors
from ui.evaluate import compare_answers as evaluate_compare_answers
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import state as evaluate_state
from ui.evaluate.compare_chart import Bar

SHOWN = 8


def draw(found: Sequence[Bar]) -> None:
    """Draw the list; where nothing got worse, that. found: the differences in each subject."""
    worse = sorted((bar for bar in found if bar.value < 0), key=lambda bar: (bar.sure, bar.value))
    st.markdown("##### " + _("What got worse"))
    if not worse:
        st.markdown(":green[:material/check_circle:] " + _("In no subject it answers less than the first run."))
        return
    sure = sum(bar.sure < 0 for bar in worse)
    if sure:
        text = _("In {n} of {of} subjects it is worse beyond what chance explains.").format(n=sure, of=len(found))
        st.markdown(":orange[:material/trending_down:] " + text)
    else:
        st.caption(_("In none of these subjects the difference is more than chance may explain."))
    for bar in worse[:SHOWN]:
        _line(bar)
    if len(worse) > SHOWN:
        names = ", ".join(f"{bar.label} {evaluate_figures.points(bar.value)}" for bar in worse[SHOWN:])
        st.caption(_("And: {names}").format(names=errors.plain(names)))


def _line(bar: Bar) -> None:
    icon = ":orange[:material/trending_down:]" if bar.sure < 0 else ":gray[:material/remove:]"
    key = evaluate_state.key_of(bar.label)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"evaluate_worse_{key}"):
        st.markdown(f"{icon} **{errors.plain(bar.label)}** {errors.plain(bar.said)}", width="content")
        st.button(
            _("Questions that it lost"),
            key=f"evaluate_worse_open_{key}",
            type="tertiary",
            icon=":material/search:",
            on_click=evaluate_compare_answers.show_only,
            args=("a_only", bar.label),
        )
