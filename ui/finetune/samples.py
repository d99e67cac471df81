"""What it answers while it learns: the same questions again and again, beside what the base had said."""

from __future__ import annotations

import streamlit as st

from backend.finetune.files import Sample
from backend.finetune.record import Run
from backend.i18n import _
from ui import errors

LONG = 1500
"""Characters of an answer that are drawn."""


def draw(run: Run, *, key: str) -> None:
    """Draw the answers of ``run`` at the chosen step."""
    steps = list(run.answers)
    if not steps:
        _none(run)
        return
    learned = [step for step in steps if step > 0]
    step = _step(learned, f"{key}_step") if learned else 0
    base = run.answers.get(0, {})
    for number, sample in sorted(run.answers[step].items()):
        _question(sample, base.get(number), step, f"{key}_answer_{number}")


def _none(run: Run) -> None:
    if run.row.done:
        st.caption(_("This run asked no sample questions."))
    else:
        st.caption(_("The first answers come before the first step, from the base model; then more while it learns."))


def _step(steps: list[int], key: str) -> int:
    """The step to look at: the newest, and it stays the newest, until a person chose another one."""
    follows = st.session_state.get(f"{key}_newest")
    if st.session_state.get(key) in (None, follows) or st.session_state[key] not in steps:
        st.session_state[key] = steps[-1]
    st.session_state[f"{key}_newest"] = steps[-1]
    if len(steps) == 1:
        st.caption(_("After {step} steps").format(step=f"{steps[0]:,}"))
        return steps[0]
    return int(st.select_slider(_("After so many steps"), steps, key=key, format_func=lambda step: f"{step:,}"))


def _question(sample: Sample, base: Sample | None, step: int, key: str) -> None:
    with st.container(border=True, key=key, gap="xsmall"):
        st.markdown(f":material/help: **{errors.plain(_cut(sample.question))}**")
        if sample.expected:
            st.caption(_("The row says: {answer}").format(answer=errors.plain(_cut(sample.expected))))
        if not step:
            _answer(_("The base"), sample)
            return
        left, right = st.columns(2, gap="medium")
        with left:
            _answer(_("The base"), base)
        with right:
            same = base is not None and base.answer.strip() == sample.answer.strip()
            _answer(
                _("After {step} steps").format(step=f"{step:,}") + (" · " + _("the same as the base") if same else ""),
                sample,
            )


def _answer(who: str, sample: Sample | None) -> None:
    st.caption(who)
    if sample is None:
        st.caption(_("It was not asked."))
    else:
        st.markdown(errors.plain(_cut(sample.answer.strip())) or ":gray[" + _("It said nothing.") + "]")


def _cut(text: str) -> str:
    return text if len(text) <= LONG else text[:LONG] + " …"
