"""Questions as they are asked, and what counts as right: three before a set is made, and all of a set, page by page."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from backend.errors import PanelError
from backend.evaluate import sets, wording
from backend.evaluate.questions import Question, QuestionSet
from backend.i18n import _
from ui import context, errors
from ui.evaluate import state as evaluate_state
from ui.evaluate import words as evaluate_words

PAGE = 5
LONG = 1500


def draw(questions: Sequence[Question], *, key: str) -> None:
    """Each as a person reads it, with its solution; ``key`` is unique on the page."""
    for place, question in enumerate(questions):
        with st.container(border=True, key=f"{key}_{place}", gap="xsmall"):
            _one(question, f"{key}_{place}")


def fold(found: QuestionSet, *, key: str) -> None:
    """*Look at the questions* of a set: a subject, a page of it."""
    usable = {one.name: one for one in found.subjects if not one.problem}
    folded = st.expander(
        _("Look at the questions"), icon=":material/visibility:", type="compact", key=f"{key}_fold", on_change="rerun"
    )
    if not folded.open or not usable:
        return
    with folded:
        name = next(iter(usable))
        left, right = st.columns([3, 1], vertical_alignment="bottom")
        if len(usable) > 1:
            name = left.selectbox(
                _("Subject"),
                list(usable),
                key=f"{key}_subject",
                format_func=lambda name: f"{usable[name].title or name} ({usable[name].questions:,})",
                filter_mode="fuzzy" if len(usable) > 10 else None,
            )
        pages = max(1, -(-usable[name].questions // PAGE))
        number = 1
        if pages > 1:
            number = int(right.number_input(_("Page of {n}").format(n=f"{pages:,}"), 1, pages, key=f"{key}_page"))
        try:
            rows = sets.questions(context.workspace(), found.name, [name])
        except PanelError as error:
            errors.show(error, key=f"{key}_problem")
            return
        draw(rows[(number - 1) * PAGE : number * PAGE], key=f"{key}_{evaluate_state.key_of(name)}")


def _one(question: Question, key: str) -> None:
    st.text(_cut(wording.shown(question)))
    right = [_solution(question), *question.accept]
    mark = ":green[:material/check:] " if question.rule != "judge" else ":material/gavel: "
    st.markdown(mark + errors.plain(" | ".join(_cut(text) for text in right)))
    st.caption(errors.plain(evaluate_words.rule(question.rule)))
    with st.popover(_("What is sent"), icon=":material/send:", type="tertiary", key=f"{key}_sent"):
        text = json.dumps(wording.messages(question), ensure_ascii=False, indent=1)
        st.code(_cut(text, 4 * LONG), language="json", wrap_lines=True)


def _solution(question: Question) -> str:
    text = wording.option(question, question.answer) if question.rule == "choice" else ""
    return f"{question.answer}. {text}" if text else question.answer


def _cut(text: str, most: int = LONG) -> str:
    return text if len(text) <= most else text[:most] + " …"
