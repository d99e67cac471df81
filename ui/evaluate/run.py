"""*Evaluate*: four questions at most, beside them what will happen; one press begins it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.evaluate import sets
from backend.evaluate.questions import QuestionSet
from backend.i18n import _
from ui import context, errors
from ui.evaluate import command as evaluate_command
from ui.evaluate import config as evaluate_config
from ui.evaluate import evaluator as evaluate_evaluator
from ui.evaluate import listing as evaluate_listing
from ui.evaluate import model as evaluate_model
from ui.evaluate import more as evaluate_more
from ui.evaluate import plan as evaluate_plan
from ui.evaluate import presets as evaluate_presets
from ui.evaluate import questions as evaluate_questions
from ui.evaluate import state as evaluate_state
from ui.evaluate.model import Offered


def draw() -> None:
    """Draw the form, which redraws itself alone while somebody chooses."""
    st.fragment(errors.guarded(_form, "evaluate_run"))()


def _form() -> None:
    every = sets.listed(context.workspace())
    offered = evaluate_model.offered()
    _follow(offered, every)
    evaluate_presets.draw(every)
    if not offered.names:
        evaluate_model.nobody()
    left, right = st.columns([4, 5], gap="medium")
    with left, st.container(border=True, height="stretch", key="evaluate_choices"):
        made = _asked(offered, every)
    if made is None:
        return
    with right, st.container(border=True, height="stretch", key="evaluate_plan"):
        evaluate_plan.draw(made, offered)
    evaluate_model.refused(offered)
    if made.specs:
        evaluate_config.draw(made.specs[0])
        if made.specs[0]["evaluator"] == "opencompass":
            evaluate_listing.draw()
    evaluate_command.draw(made.specs)
    evaluate_state.redraw_if_pressed()


def _asked(offered: Offered, every: list[QuestionSet]) -> evaluate_plan.Made | None:
    """The questions of the form, and what they come to."""
    models, elsewhere = evaluate_model.draw(offered)
    chosen = evaluate_questions.draw(every)
    if chosen is None:
        st.markdown(_("There are no questions here."))
        return None
    evaluator = evaluate_evaluator.draw()
    judged = evaluate_questions.judged(chosen.found)
    fields: dict[str, Any] = {"evaluator": evaluator}
    several = len(models) + bool(elsewhere) > 1
    judge = evaluate_more.judge(judged if evaluator == "tunedeck" else 0, offered.names)
    fields |= evaluate_more.draw(evaluator, several)
    if judge:
        fields["judge"] = judge
    if not several:
        fields |= evaluate_config.own(fields)
    return evaluate_plan.make(models, elsewhere, chosen, fields, judged)


def _follow(offered: Offered, every: list[QuestionSet]) -> None:
    """Fill the form as the address asks; names that are not there are left out."""
    asked = evaluate_state.asked()
    if not asked:
        return
    fields: dict[str, Any] = {}
    fields |= evaluate_presets.fields(asked.get("preset", [""])[-1], every)
    models = [name for name in asked.get("model", []) if name in offered.names]
    if models:
        fields["models"] = list(dict.fromkeys(models))[: evaluate_model.MOST]
    named = asked.get("set", [""])[-1]
    if any(one.name == named for one in every):
        fields["questions"] = named
    if "subject" in asked:
        fields["subjects"] = asked["subject"]
    limit = asked.get("limit", [""])[-1]
    if limit.isascii() and limit.isdigit() and len(limit) < 7:
        fields["limit"] = int(limit)
    evaluator = asked.get("evaluator", [""])[-1]
    if evaluator in evaluate_evaluator.offered():
        fields["evaluator"] = evaluator
    evaluate_state.fill(fields)
