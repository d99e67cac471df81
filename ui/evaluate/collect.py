"""From questions to rows of a dataset: what was asked, and the right answer as the turn to learn. One, corrected where it has to be; or many at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from backend.chat.answers import MAX_PROMPT_CHARS
from backend.data.collected import MAX_NAME_CHARS, Added, Collected
from backend.errors import PanelError
from backend.evaluate import sets
from backend.evaluate.records import Answer, Outcome, Run
from backend.i18n import _, ngettext
from ui import collected_added, context, errors
from ui.evaluate import answer as evaluate_answer
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import look as evaluate_look

MOST = 300
"""Rows of one press: each is compared with those that are there, and is on the disk before the next."""
_ASKED, _STATE = "evaluate_collect_asked", "evaluate_collect_state"
_NAME, _ANSWER = "evaluate_collect_name", "evaluate_collect_answer"


@dataclass(frozen=True)
class Wanted:
    """What is to be sent: the question ``number`` of ``subject``, or all of ``outcome`` in which ``text`` occurs where there is no number."""

    run: int
    subject: str
    number: int | None = None
    outcome: Outcome | None = None
    text: str = ""


@dataclass(frozen=True)
class Sent:
    """What became of many. added: new rows. known: were there already. left: more than one press takes.
    patterns: left out, since their solution is a pattern and no answer. last: the last one that was added."""

    added: int
    known: int
    left: int
    patterns: int
    last: Added | None


def ask_for(run: int, subject: str, number: int) -> None:
    """Callback: open the dialog for one question."""
    _open(Wanted(run, subject, number))


def ask_for_many(run: int, outcome: Outcome, subject: str, text: str) -> None:
    """Callback: open the dialog for all questions with that outcome that are asked for."""
    _open(Wanted(run, subject, None, outcome, text))


def dialog() -> None:
    """The dialog that was asked for, over the page, until somebody closes it. Once on a page, outside of fragments."""
    wanted = st.session_state.get(_ASKED)
    if isinstance(wanted, Wanted):
        title = _("Send to dataset")
        st.dialog(title, width="large", icon=":material/dataset:", on_dismiss=_close)(draw)(wanted)


def draw(wanted: Wanted) -> None:
    """What goes into the dataset; afterwards, where it is."""
    state = st.session_state.get(_STATE)
    if isinstance(state, Added):
        collected_added.draw(state)
        return
    if isinstance(state, Sent):
        _sent(state)
        return
    if isinstance(state, dict):
        errors.show(state, key="evaluate_collect")
    try:
        run = evaluate_kept.store().run(wanted.run)
        answer = None if wanted.number is None else _answer(wanted)
    except PanelError as error:
        errors.show(error, key="evaluate_collect_gone")
        return
    _form(run, wanted, answer)


def _form(run: Run, wanted: Wanted, answer: Answer | None) -> None:
    usual = _("From evaluation")
    known = [collection.name for collection in Collected(context.workspace()).list()]
    with st.form("evaluate_collect_form", border=False):
        if answer is not None:
            st.html(f"{evaluate_answer.STYLE}{evaluate_answer.body(answer.question, [('', answer)])}")
            st.text_area(
                _("The answer that the model should give"),
                "" if answer.key in _patterns(run) else right_answer(answer),
                key=_ANSWER,
                height="content",
                max_chars=MAX_PROMPT_CHARS,
                help=_("Correct it here. A pattern is no answer: write one that matches it."),
            )
        else:
            st.markdown(_many_words(wanted))
        st.selectbox(
            _("Dataset"),
            [usual, *(name for name in known if name != usual)],
            key=_NAME,
            accept_new_options=True,
            help=_("Choose one, or type the name of a new one."),
        )
        st.caption(
            ":material/warning: "
            + _(
                "A model that has learned these questions cannot be judged by them any more: its score on '{name}' would say how well it remembers."
            ).format(name=errors.plain(evaluate_look.set_title(run)))
        )
        st.form_submit_button(
            _("Add to dataset"),
            key="evaluate_collect_add",
            type="primary",
            icon=":material/dataset:",
            on_click=_add,
            args=(wanted,),
        )


def _many_words(wanted: Wanted) -> str:
    _found, total = _some(wanted, 1)
    said = ngettext(
        "{n} question, with its prompt as it was sent and its solution as the answer to learn.",
        "{n} questions, each with its prompt as it was sent and its solution as the answer to learn.",
        min(total, MOST),
    )
    more = " " + _("One press takes {most}; {n} are left.").format(most=MOST, n=total - MOST) if total > MOST else ""
    return said.format(n=min(total, MOST)) + more


def _add(wanted: Wanted) -> None:
    """Callback: append the rows; what is wrong is shown in the dialog."""
    name = str(st.session_state.get(_NAME) or "")[: 2 * MAX_NAME_CHARS]
    try:
        run = evaluate_kept.store().run(wanted.run)
        if wanted.number is not None:
            answer = _answer(wanted)
            typed = str(st.session_state.get(_ANSWER) or "")
            st.session_state[_STATE] = _row(name, run, answer, typed)
        else:
            st.session_state[_STATE] = _rows(name, run, wanted)
    except PanelError as error:
        st.session_state[_STATE] = error.to_dict()


def _rows(name: str, run: Run, wanted: Wanted) -> Sent:
    found, total = _some(wanted, MOST)
    patterns = _patterns(run)
    taken = [answer for answer in found if answer.key not in patterns]
    made = [_row(name, run, _whole(wanted.run, answer), right_answer(answer)) for answer in taken]
    return Sent(
        sum(not each.duplicate for each in made),
        sum(each.duplicate for each in made),
        max(0, total - len(found)),
        len(found) - len(taken),
        made[-1] if made else None,
    )


def _patterns(run: Run) -> frozenset[str]:
    """Keys of the questions whose solution is a pattern, which nobody could say; only sets of one's own have such."""
    try:
        if sets.get(context.workspace(), run.set_name).kind != "own":
            return frozenset()
        return frozenset(each.key for each in sets.questions(context.workspace(), run.set_name) if each.rule == "regex")
    except PanelError:  # the set is gone
        return frozenset()


def _row(name: str, run: Run, answer: Answer, solution: str) -> Added:
    turns: list[dict[str, Any]] = [
        {"role": role or "user", "content": text} for role, text in evaluate_answer.messages(answer.prompt)
    ]
    while turns and turns[-1]["role"] == "assistant":  # a beginning that the model was to go on with
        turns.pop()
    lineage = {
        "source": "evaluate",
        "evaluation": run.id,
        "set": run.set_name,
        "subject": answer.subject,
        "question": answer.key,
        "model": run.model,
        "collected": datetime.now(UTC).isoformat(timespec="seconds"),
        "original": answer.said,
    }
    return Collected(context.workspace()).add(
        name, [*turns, {"role": "assistant", "content": solution.strip()}], lineage
    )


def right_answer(answer: Answer) -> str:
    """The solution as a model would say it: of a choice the option's text and its letter."""
    if len(answer.gold) == 1 and answer.gold.isalpha():
        lead = f"{answer.gold}. "
        option = next((line[len(lead) :] for line in answer.question.splitlines() if line.startswith(lead)), "")
        return f"{option.strip()} ({answer.gold})" if option.strip() else answer.gold
    return answer.gold


def _answer(wanted: Wanted) -> Answer:
    return evaluate_kept.store().answer(wanted.run, wanted.subject, wanted.number or 0)


def _whole(run: int, answer: Answer) -> Answer:
    return evaluate_kept.store().answer(run, answer.subject, answer.number)


def _some(wanted: Wanted, limit: int) -> tuple[list[Answer], int]:
    return evaluate_kept.store().answers(
        wanted.run, subject=wanted.subject or None, outcome=wanted.outcome, search=wanted.text, limit=limit
    )


def _sent(sent: Sent) -> None:
    said = ngettext("{n} row was added.", "{n} rows were added.", sent.added).format(n=sent.added)
    if sent.known:
        said += " " + ngettext("{n} was there already.", "{n} were there already.", sent.known).format(n=sent.known)
    st.markdown(":green[:material/check_circle:] " + said)
    if sent.left:
        text = ngettext(
            "{n} question is left: one press takes {most}.",
            "{n} questions are left: one press takes {most}.",
            sent.left,
        )
        st.caption(text.format(n=sent.left, most=MOST))
    if sent.patterns:
        text = ngettext(
            "{n} question was left out: its solution is a pattern, and no answer that could be learned.",
            "{n} questions were left out: their solutions are patterns, and no answers that could be learned.",
            sent.patterns,
        )
        st.caption(text.format(n=sent.patterns))
    if sent.last is not None:
        collected_added.draw(sent.last)


def _open(wanted: Wanted) -> None:
    st.session_state[_ASKED] = wanted
    st.session_state.pop(_STATE, None)


def _close() -> None:
    st.session_state.pop(_ASKED, None)
    st.session_state.pop(_STATE, None)
