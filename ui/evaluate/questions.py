"""Second and third question of the form: which questions, of which subjects, and how many of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from backend.evaluate import sets
from backend.evaluate.questions import QuestionSet, Subject
from backend.finetune.intervals import wilson
from backend.i18n import _
from ui import context
from ui.evaluate import state as evaluate_state
from ui.evaluate import words as evaluate_words

GROUP = "group:"
"""Before the name of a group among the subjects: no file of a subject is called like this."""
FEW = 5
MOST_LIMIT = 1_000_000


@dataclass(frozen=True)
class Chosen:
    """What is asked. subjects: names, empty for all. limit: of each subject, 0 for all."""

    found: QuestionSet
    subjects: tuple[str, ...] = ()
    limit: int = 0

    @property
    def asked(self) -> list[Subject]:
        """The subjects that are asked: those that can be."""
        return [
            one for one in self.found.subjects if not one.problem and (not self.subjects or one.name in self.subjects)
        ]

    @property
    def count(self) -> int:
        """How many questions that is."""
        return sum(min(self.limit, one.questions) if self.limit else one.questions for one in self.asked)


def draw(every: Sequence[QuestionSet]) -> Chosen | None:
    """Draw both; None where there is no set."""
    if not every:
        return None
    named = {one.name: one for one in every}
    if st.session_state.get(evaluate_state.SET) not in named:
        st.session_state[evaluate_state.SET] = next((one.name for one in every if not one.problem), every[0].name)
    name = st.selectbox(
        _("Questions"),
        list(named),
        key=evaluate_state.SET,
        format_func=lambda name: label(named[name]),
        filter_mode="fuzzy" if len(named) > 10 else None,
        on_change=evaluate_state.own,
        persist_state="session",
    )
    found = named[str(name)]
    subjects = _subjects(found)
    return Chosen(found, subjects, _limit())


def label(found: QuestionSet) -> str:
    """``Bundled questions · 120``."""
    return f"{title(found)} · {found.questions:,}"


def title(found: QuestionSet) -> str:
    """What people call the set."""
    return found.title or found.name


def groups(found: QuestionSet) -> dict[str, list[str]]:
    """Group -> the subjects of it that can be asked."""
    known: dict[str, list[str]] = {}
    for one in found.subjects:
        if one.group and not one.problem:
            known.setdefault(one.group, []).append(one.name)
    return known


def resolved(found: QuestionSet, picked: Iterable[str]) -> tuple[str, ...]:
    """The subjects that ``picked`` names, groups among them; empty for all."""
    known, names = groups(found), {one.name for one in found.subjects if not one.problem}
    chosen: set[str] = set()
    for each in picked:
        chosen |= set(known.get(each.removeprefix(GROUP), ())) if each.startswith(GROUP) else {each} & names
    return () if chosen == names else tuple(one.name for one in found.subjects if one.name in chosen)


def _subjects(found: QuestionSet) -> tuple[str, ...]:
    usable = {one.name: one for one in found.subjects if not one.problem}
    known = groups(found)
    options = [*(GROUP + name for name in known), *usable] if len(known) > 1 else list(usable)
    kept = [name for name in st.session_state.get(evaluate_state.SUBJECTS) or [] if name in options]
    if kept != st.session_state.get(evaluate_state.SUBJECTS):
        st.session_state[evaluate_state.SUBJECTS] = kept
    if len(usable) < 2:
        return ()

    def shown(option: str) -> str:
        if option.startswith(GROUP):
            name = option.removeprefix(GROUP)
            inside = sum(usable[each].questions for each in known[name])
            counted = evaluate_words.subjects(len(known[name]))
            return f"{evaluate_words.group(name)}: {counted}, {evaluate_words.questions(inside)}"
        one = usable[option]
        return f"{one.title or one.name} ({one.questions:,})"

    count = len(resolved(found, kept)) or len(usable)
    head = _("Subjects: all {n}") if count == len(usable) else _("Subjects: {n} of {all}")
    with st.expander(
        head.format(n=count, all=len(usable)), icon=":material/category:", type="compact", key="evaluate_subjects_fold"
    ):
        picked = st.multiselect(
            _("Subjects"),
            options,
            key=evaluate_state.SUBJECTS,
            format_func=shown,
            placeholder=_("All of them"),
            label_visibility="collapsed",
            on_change=evaluate_state.own,
            persist_state="session",
        )
    return resolved(found, picked)


def _limit() -> int:
    st.session_state.setdefault(evaluate_state.AMOUNT, "all")
    st.session_state.setdefault(evaluate_state.LIMIT, FEW)
    with st.container(horizontal=True, vertical_alignment="bottom", key="evaluate_amount_row"):
        amount = st.segmented_control(
            _("How many"),
            ("all", "some"),
            key=evaluate_state.AMOUNT,
            required=True,
            format_func=lambda name: _("All") if name == "all" else _("Some of each subject"),
            help=_(
                "Fewer are quicker and say less surely how good a model is. They are drawn at random, always the same."
            ),
            on_change=evaluate_state.own,
            persist_state="session",
        )
        if amount != "some":
            return 0
        number = st.number_input(
            _("Of each subject"),
            1,
            MOST_LIMIT,
            key=evaluate_state.LIMIT,
            step=5,
            width=140,
            on_change=evaluate_state.own,
            persist_state="session",
        )
    return int(number)


def margin(count: int) -> float:
    """How many percentage points a score of ``count`` questions may be off at most (95 %)."""
    low, high = wilson(count // 2, count) if count else (0.0, 1.0)
    return 50 * (high - low)


@st.cache_data(show_spinner=False, max_entries=32)
def _judged(root: str, name: str, version: str) -> int:
    return sum(question.rule == "judge" for question in sets.questions(context.workspace(), name))


def judged(found: QuestionSet) -> int:
    """How many questions of the set another model has to mark; only a set of one's own can have such."""
    if found.kind != "own" or found.problem:
        return 0
    return _judged(str(context.workspace().root), found.name, found.version)
