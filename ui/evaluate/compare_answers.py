"""Two runs question by question: right in one and wrong in the other, wrong in both; both answers side by side, and the exact prompts."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.evaluate.pairing import Counts, Pairs, Which
from backend.evaluate.records import Answer
from backend.i18n import N_, _
from ui import errors
from ui.evaluate import answer as evaluate_answer
from ui.evaluate import browser as evaluate_browser
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import look as evaluate_look
from ui.evaluate import state as evaluate_state

WHICH: dict[Which, str] = {
    "a_only": N_("{a} right, {b} wrong"),
    "b_only": N_("{b} right, {a} wrong"),
    "both_wrong": N_("neither right"),
    "both_right": N_("both right"),
    "all": N_("all"),
}
ONLY = "pair"
"""The address's parameter with one of :data:`WHICH`."""
_ONLY_KEY, _QUERY_KEY, _SUBJECT_KEY = "evaluate_pair_only", "evaluate_pair_query", "evaluate_pair_subject"


def draw(pairs: Pairs, letters: tuple[str, str], names: tuple[str, str]) -> None:
    """Draw the controls and the questions that they ask for. letters: of both runs, for the choices; names: for the answers."""
    if not pairs.all.n:
        st.caption(_("These two runs have no answered question in common."))
        return
    which, subject, text = _controls(pairs, letters)
    first = max(1, evaluate_kept.number(evaluate_kept.asked(evaluate_browser.AT)))
    found, total = _page(pairs, which, subject, text, first)
    if not found and total:  # the address asks for more rows than there are
        first = 1
        found, total = _page(pairs, which, subject, text, first)
    if not total:
        st.caption(_("No question is like that. Change the choice above."))
        return
    evaluate_answer.style()
    for one, other in found:
        _row(pairs, one, other, names)
    evaluate_browser.paging(first, len(found), total, "evaluate_pair_paging")


def _page(pairs: Pairs, which: Which, subject: str, text: str, first: int) -> tuple[list[tuple[Answer, Answer]], int]:
    return evaluate_kept.store().different(
        pairs.a,
        pairs.b,
        which,
        subject=subject or None,
        search=text,
        offset=first - 1,
        limit=evaluate_browser.PAGE,
    )


def _controls(pairs: Pairs, letters: tuple[str, str]) -> tuple[Which, str, str]:
    """(which, subject, text) that are asked for."""
    subjects = list(pairs.subjects)
    asked = evaluate_kept.asked(evaluate_browser.SUBJECT)
    subject = asked if asked in subjects else ""
    counts = _counts(pairs.subjects[subject] if subject else pairs.all)
    only = evaluate_kept.asked(ONLY)
    which = next(
        (name for name in WHICH if name == only), next(name for name in WHICH if counts[name] or name == "all")
    )
    st.session_state[_ONLY_KEY] = which
    a, b = letters
    st.segmented_control(
        _("Which questions"),
        list(WHICH),
        key=_ONLY_KEY,
        required=True,
        format_func=lambda name: f"{_(WHICH[name]).format(a=a, b=b)} {counts[name]:,}",
        label_visibility="collapsed",
        on_change=_changed,
    )
    with st.container(horizontal=True, vertical_alignment="bottom", key="evaluate_pair_controls"):
        text = evaluate_browser.search_field(_QUERY_KEY, _changed)
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
    return which, subject, text


def _counts(found: Counts) -> dict[Which, int]:
    return {
        "a_only": found.a_only,
        "b_only": found.b_only,
        "both_wrong": found.neither,
        "both_right": found.both,
        "all": found.n,
    }


def _changed() -> None:
    """Callback: what the controls say goes into the address, and the first page is shown."""
    state = st.session_state
    evaluate_kept.set_asked(ONLY, str(state.get(_ONLY_KEY) or ""))
    if _SUBJECT_KEY in state:
        evaluate_kept.set_asked(evaluate_browser.SUBJECT, str(state[_SUBJECT_KEY] or ""))
    evaluate_kept.set_asked(evaluate_browser.QUERY, str(state.get(_QUERY_KEY) or "").strip())
    evaluate_kept.set_asked(evaluate_browser.AT, "")


def show_only(which: Which, subject: str) -> None:
    """Callback: the questions of ``subject`` of which ``which`` is true."""
    evaluate_kept.set_asked(evaluate_kept.SHOW, "questions")
    evaluate_kept.set_asked(ONLY, which)
    evaluate_kept.set_asked(evaluate_browser.SUBJECT, subject)
    for name in (evaluate_browser.QUERY, evaluate_browser.AT):
        evaluate_kept.set_asked(name, "")


def _row(pairs: Pairs, one: Answer, other: Answer, names: tuple[str, str]) -> None:
    key = f"evaluate_pair_{evaluate_state.key_of(one.subject)}_{one.number}"
    with st.container(border=True, key=key, gap="xsmall"):
        place = _("{subject}, question {n}").format(subject=errors.plain(one.subject), n=f"{one.number + 1:,}")
        marks = [
            f"{errors.plain(name.split(' ')[0])} {evaluate_look.outcome(answer.outcome)}"
            for name, answer in zip(names, (one, other), strict=True)
        ]
        with st.container(
            horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key=f"{key}_head"
        ):
            st.markdown(f"{' · '.join(marks)} · {place}", width="content")
            evaluate_browser.send(pairs.a, one, key)
        st.html(evaluate_answer.body(one.question, _sides(names, (one, other))))
        for run, answer, name, side in zip((pairs.a, pairs.b), (one, other), names, "ab", strict=True):
            label = _("Exact prompt and whole answer of {name}").format(name=errors.plain(name))
            evaluate_answer.opened(run, answer, f"{key}_{side}", label)


def _sides(names: Sequence[str], answers: Sequence[Answer]) -> list[tuple[str, Answer]]:
    return list(zip(names, answers, strict=True))
