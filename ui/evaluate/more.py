"""What few have to change, folded: settings of the run, and the judge where a set needs one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.evaluate.records import Evaluator
from backend.i18n import _, ngettext
from backend.specs.evaluate import EvaluateSpec
from ui import spec_form
from ui.evaluate import state as evaluate_state

FIELDS = ("answer_tokens", "concurrency", "shots", "timeout_s", "seed", "name")
JUDGE = "evaluate_judge"


def draw(evaluator: Evaluator, several: bool) -> dict[str, Any]:
    """The fold; returns the fields that are not at their default. several: of models, which then name their runs."""
    values: dict[str, Any] = dict(st.session_state.get(evaluate_state.VALUES) or {})
    stamp = st.session_state.get(evaluate_state.DRAWN, 0)
    names = [name for name in FIELDS if _asked(name, evaluator, several)]
    names += ["by"] if evaluator == "opencompass" else []
    with st.expander(_("More settings"), icon=":material/tune:", type="compact", key="evaluate_more"):
        drawn = spec_form.draw_fields(EvaluateSpec, names, values, key=f"evaluate_spec_{stamp}")
    # Widgets that are not drawn are forgotten: what was set is kept here, also for another evaluator.
    st.session_state[evaluate_state.VALUES] = values | drawn
    return {name: value for name, value in drawn.items() if value != EvaluateSpec.model_fields[name].default}


def _asked(name: str, evaluator: Evaluator, several: bool) -> bool:
    if name == "shots":
        return evaluator != "opencompass"
    return not (name == "name" and several)


def judge(count: int, names: Sequence[str]) -> str:
    """Which of the models ``names`` marks the ``count`` questions that need it; empty where none does."""
    if not count:
        return ""
    text = ngettext("{n} question needs a judge", "{n} questions need a judge", count)
    with st.container(border=True, gap="xsmall", key="evaluate_judge_box"):
        st.markdown(":material/gavel: **" + text.format(n=f"{count:,}") + "**")
        if st.session_state.get(JUDGE) not in (None, *names):
            st.session_state[JUDGE] = None
        chosen = st.selectbox(
            _("Judge"),
            list(names),
            index=None,
            key=JUDGE,
            placeholder=_("Choose a model"),
            filter_mode=None,
            label_visibility="collapsed",
            persist_state="session",
        )
        st.caption(
            _(
                "A judge is a model, too: it errs, likes long answers and words like its own. Take one that is stronger than those "
                "that are judged, never one of them, and compare only scores of the same judge."
            )
        )
    return str(chosen or "")
