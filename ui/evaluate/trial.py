"""Ten questions first: they tell how long all would take, and show how the model answers. Nothing of it is kept as a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.evaluate.records import Outcome
from backend.i18n import _, ngettext
from backend.queue.rows import JobRow
from backend.specs.evaluate import EvaluateSpec
from ui import context, errors, pace
from ui.evaluate import look as evaluate_look
from ui.evaluate import state as evaluate_state
from ui.jobs import card as job_card

COUNT = 10
LOOK_BACK = 30
LEFT_OUT = ("by", "config", "name", "into")
"""Fields of an evaluation that mean nothing to its trial."""
LONG = 600


def spec_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of the trial for an evaluation with ``spec``."""
    return {name: value for name, value in spec.items() if name not in LEFT_OUT} | {"trial": COUNT}


def draw(unknown: Sequence[Mapping[str, Any]], specs: Sequence[Mapping[str, Any]]) -> None:
    """The button for those of ``specs`` whose time is ``unknown``, and the trials of them that there are."""
    found = {number: row for number, spec in enumerate(specs) if (row := newest(spec)) is not None}
    trying = [row for row in found.values() if not row.done]
    asked = [
        spec for spec in unknown if not any(specs[number] == spec for number, row in found.items() if not row.done)
    ]
    if asked and not trying:
        text = ngettext("Try {n} question", "Try {n} questions", COUNT).format(n=COUNT)
        st.button(
            text,
            key="evaluate_trial",
            icon=":material/experiment:",
            help=_(
                "About a minute. Then the time is measured, not unknown, and you see how it answers. No score is kept."
            ),
            on_click=_begin,
            args=(asked,),
        )
    for number, row in found.items():
        if not row.done or row.state in ("failed", "lost"):
            _follow(row.id, f"evaluate_trial_{number}", moving=not row.done)
        elif row.state == "succeeded" and len(specs) == 1:
            result(row)


def newest(spec: Mapping[str, Any]) -> JobRow | None:
    """The newest trial of exactly this."""
    wanted = EvaluateSpec.model_validate(spec_of(spec)).model_dump(mode="json")
    for row in context.store().list(verb="evaluate", limit=LOOK_BACK):
        known = _spec(str(context.store().job_dir(row.id)), row.id)
        if known.get("trial") and all(known.get(name, value) == value for name, value in wanted.items()):
            return row
    return None


# The spec of a job never changes, and the form looks for a trial at every choice.
@st.cache_resource(show_spinner=False, max_entries=2 * LOOK_BACK)
def _spec(folder: str, job: int) -> dict[str, Any]:
    return context.store().spec(job)


def result(row: JobRow) -> None:
    """What a trial that ended came to: seconds a question, and the answers, folded."""
    found = context.store().result(row.id) or {}
    answers = [each for each in found.get("answers") or () if isinstance(each, dict)]
    if not answers:
        return
    counts = [
        f"{int(found.get(name) or 0)} {evaluate_look.OUTCOMES[name].word}"
        for name in evaluate_look.OUTCOMES
        if found.get(name)
    ]
    each = found.get("seconds_per_question")
    said = _("Tried {n}: {time} s each").format(n=len(answers), time=f"{each:.2g}") if each else ""
    st.caption(":material/experiment: " + errors.plain(" · ".join(filter(None, [said, *counts]))))
    fold = st.expander(
        _("The {n} answers").format(n=len(answers)),
        icon=":material/forum:",
        type="compact",
        key=f"evaluate_tried_{row.id}",
        on_change="rerun",
    )
    if fold.open:
        with fold:
            for number, answer in enumerate(answers):
                _answer(answer, f"evaluate_tried_{row.id}_{number}")


def _answer(answer: Mapping[str, Any], key: str) -> None:
    outcome: Outcome = answer.get("outcome") if answer.get("outcome") in evaluate_look.OUTCOMES else "failed"  # type: ignore[assignment]
    with st.container(border=True, key=key, gap="xsmall"):
        st.markdown(f"{evaluate_look.outcome(outcome)} · {errors.plain(str(answer.get('subject', '')))}")
        st.text(_cut(answer.get("question")))
        read = _("read: {taken}").format(taken=_cut(answer.get("taken")) or "–")
        right = _("solution: {gold}").format(gold=_cut(answer.get("gold")))
        st.caption(errors.plain(f"{read} · {right}"))
        st.code(_cut(answer.get("said")) or _("(nothing)"), language=None, wrap_lines=True)


def _cut(text: object) -> str:
    shown = str(text or "").strip()
    return shown if len(shown) <= LONG else shown[:LONG] + " …"


def _begin(specs: Sequence[Mapping[str, Any]]) -> None:
    """Callback: a trial for each."""
    evaluate_state.try_some([spec_of(spec) for spec in specs])


def _follow(job: int, key: str, *, moving: bool) -> None:
    """The trial's card, redrawn by itself; what it measured changes the plan around it."""

    def card() -> None:
        row = context.store().get(job)
        job_card.draw(row, key=key, compact=True)
        if row.done == moving:
            st.rerun()

    st.fragment(errors.guarded(card, key), run_every=pace.MOVING_S if moving else None)()
