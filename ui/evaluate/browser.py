"""The questions behind a number: all, right, wrong, not extracted, not answered; by subject and by text; a page at a time.

The address holds all of it, so that a link leads another person to the same question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from backend.evaluate.records import Answer, Outcome, Run, Tally
from backend.i18n import _, ngettext
from ui import errors
from ui.evaluate import answer as evaluate_answer
from ui.evaluate import collect as evaluate_collect
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import look as evaluate_look
from ui.evaluate import state as evaluate_state

PAGE = 10
ONLY, SUBJECT, QUERY, AT = "only", "subject", "q", "at"
"""The address's parameters: an outcome, a subject, a text, and the first row that is shown, from 1."""
ALL = "all"
_QUERY_KEY, _SUBJECT_KEY = "evaluate_browser_query", "evaluate_browser_subject"


def draw(run: Run, tallies: Sequence[Tally]) -> None:
    """Draw the controls and the questions that they ask for."""
    if not sum(tally.asked for tally in tallies):
        _none(run)
        return
    only, subject, text = _controls(tallies)
    first = max(1, evaluate_kept.number(evaluate_kept.asked(AT)))
    found, total = evaluate_kept.store().answers(
        run.id, subject=subject or None, outcome=only, search=text, offset=first - 1, limit=PAGE
    )
    if not found and total:  # the address asks for more rows than there are
        first = 1
        found, total = evaluate_kept.store().answers(
            run.id, subject=subject or None, outcome=only, search=text, limit=PAGE
        )
    if not total:
        st.caption(_("No question is like that. Change the choice above."))
        return
    evaluate_answer.style()
    _many(run, only, subject, text, total)
    for answer in found:
        _row(run, answer)
    paging(first, len(found), total, "evaluate_paging")


def show_only(outcome: Outcome, subject: str = "") -> None:
    """Callback: the questions with that outcome, of all subjects or of one."""
    evaluate_kept.set_asked(evaluate_kept.PART, "questions")
    evaluate_kept.set_asked(ONLY, outcome)
    evaluate_kept.set_asked(SUBJECT, subject)
    for name in (QUERY, AT):
        evaluate_kept.set_asked(name, "")


def _none(run: Run) -> None:
    if run.source == "import":
        st.caption(_("What was imported holds scores only, no answers, so there are no questions to look at."))
    else:
        st.caption(_("No question has been answered yet."))


def _controls(tallies: Sequence[Tally]) -> tuple[Outcome | None, str, str]:
    """(outcome, subject, text) that are asked for; empty: any."""
    subjects = [tally.subject for tally in tallies if tally.asked]
    asked = evaluate_kept.asked(SUBJECT)
    subject = asked if asked in subjects else ""
    counts = _counts([tally for tally in tallies if not subject or tally.subject == subject])
    offered = [ALL, *(name for name in evaluate_look.OUTCOMES if counts[name] or name in ("right", "wrong"))]
    only = evaluate_kept.asked(ONLY)
    st.session_state["evaluate_browser_only"] = only if only in offered else ALL
    st.segmented_control(
        _("Which questions"),
        offered,
        key="evaluate_browser_only",
        required=True,
        format_func=lambda name: _option(name, counts),
        label_visibility="collapsed",
        on_change=_changed,
    )
    with st.container(horizontal=True, vertical_alignment="bottom", key="evaluate_browser_controls"):
        text = search_field(_QUERY_KEY, _changed)
        if len(subjects) > 1:
            st.session_state[_SUBJECT_KEY] = subject
            st.selectbox(
                _("Subject"),
                ["", *subjects],
                key=_SUBJECT_KEY,
                format_func=lambda name: name or _("All subjects"),
                filter_mode="fuzzy" if len(subjects) > 10 else None,
                label_visibility="collapsed",
                width=280,
                on_change=_changed,
            )
    chosen = next((name for name in evaluate_look.OUTCOMES if name == only and name in offered), None)
    return chosen, subject, text


def search_field(key: str, changed: Callable[[], None]) -> str:
    """The field for a text; what the address has of it."""
    text = evaluate_kept.asked(QUERY)
    st.session_state[key] = text
    st.text_input(
        _("Search"),
        key=key,
        placeholder=_("Text in question or answer"),
        icon=":material/search:",
        width=280,
        label_visibility="collapsed",
        on_change=changed,
    )
    return text


def _counts(tallies: Sequence[Tally]) -> dict[str, int]:
    return {name: sum(getattr(tally, name) for tally in tallies) for name in evaluate_look.OUTCOMES}


def _option(name: str, counts: dict[str, int]) -> str:
    if name == ALL:
        return f"{_('All')} {sum(counts.values()):,}"
    look = next(look for outcome, look in evaluate_look.OUTCOMES.items() if outcome == name)
    return f"{look.icon} {look.word} {counts[name]:,}"


def _changed() -> None:
    """Callback: what the controls say goes into the address, and the first page is shown."""
    state = st.session_state
    only = str(state.get("evaluate_browser_only") or ALL)
    evaluate_kept.set_asked(ONLY, "" if only == ALL else only)
    if _SUBJECT_KEY in state:
        evaluate_kept.set_asked(SUBJECT, str(state[_SUBJECT_KEY] or ""))
    evaluate_kept.set_asked(QUERY, str(state.get(_QUERY_KEY) or "").strip())
    evaluate_kept.set_asked(AT, "")


def _many(run: Run, only: Outcome | None, subject: str, text: str, total: int) -> None:
    """All that are shown, at once, into a dataset: those that were wrong, since from the others there is nothing to learn."""
    if only not in ("wrong", "unread"):
        return
    said = ngettext("Send {n} question to a dataset", "Send all {n} questions to a dataset", total)
    st.button(
        said.format(n=f"{min(total, evaluate_collect.MOST):,}"),
        key="evaluate_collect_many",
        type="tertiary",
        icon=":material/dataset:",
        on_click=evaluate_collect.ask_for_many,
        args=(run.id, only, subject, text),
        help=_("Each with its prompt and the right answer, as rows that a model can be taught with."),
    )


def _row(run: Run, answer: Answer) -> None:
    key = f"evaluate_answer_{evaluate_state.key_of(answer.subject)}_{answer.number}"
    with st.container(border=True, key=key, gap="xsmall"):
        with st.container(
            horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key=f"{key}_head"
        ):
            st.markdown(evaluate_answer.head(answer), help=_(evaluate_look.ABOUT[answer.outcome]), width="content")
            send(run.id, answer, key)
        st.html(evaluate_answer.body(answer.question, [("", answer)]))
        evaluate_answer.opened(run.id, answer, key)


def send(run: int, answer: Answer, key: str) -> None:
    """The button that makes a row of one question."""
    st.button(
        _("Send to dataset"),
        key=f"{key}_send",
        type="tertiary",
        icon=":material/dataset:",
        on_click=evaluate_collect.ask_for,
        args=(run, answer.subject, answer.number),
    )


def paging(first: int, shown: int, total: int, key: str) -> None:
    """Which rows these are, and the ways to the others."""
    last = first - 1 + shown
    with st.container(horizontal=True, vertical_alignment="center", key=key):
        if total <= PAGE:
            st.caption(ngettext("{n} question", "{n} questions", total).format(n=f"{total:,}"), width="content")
            return
        _turn(_("First page"), ":material/first_page:", 1, first == 1, key)
        _turn(_("Previous page"), ":material/arrow_back:", max(1, first - PAGE), first == 1, key)
        text = _("{first}–{last} of {total}").format(first=f"{first:,}", last=f"{last:,}", total=f"{total:,}")
        st.caption(text, width="content")
        _turn(_("Next page"), ":material/arrow_forward:", last + 1, last >= total, key)
        _turn(_("Last page"), ":material/last_page:", (total - 1) // PAGE * PAGE + 1, last >= total, key)


def _turn(label: str, icon: str, row: int, off: bool, key: str) -> None:
    st.button(label, key=f"{key}_{icon[10:-1]}", icon=icon, disabled=off, on_click=_to, args=(row,))


def _to(row: int) -> None:
    """Callback: begin with ``row``."""
    evaluate_kept.set_asked(AT, str(row) if row > 1 else "")


def examples(answers: Sequence[Answer]) -> None:
    """A few answers side by side, at least one, to see what is meant."""
    evaluate_answer.style()
    for column, answer in zip(st.columns(len(answers), gap="small"), answers, strict=True):
        with column, st.container(border=True, gap="xsmall", height="stretch"):
            st.caption(errors.plain(f"{answer.subject} · {answer.number + 1}"))
            st.html(evaluate_answer.body(answer.question, [("", answer)]))
