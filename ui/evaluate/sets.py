"""*Question sets*: what can be asked here, and the ways to more: a folder, a file, an upload, or a dataset of one's own."""

from __future__ import annotations

import streamlit as st

from backend.errors import PanelError
from backend.evaluate import sets
from backend.evaluate.questions import QuestionSet
from backend.i18n import _, ngettext
from ui import context, errors
from ui.evaluate import asked as evaluate_asked
from ui.evaluate import bring as evaluate_bring
from ui.evaluate import links as evaluate_links
from ui.evaluate import make as evaluate_make
from ui.evaluate import questions as evaluate_questions
from ui.evaluate import remarks as evaluate_remarks
from ui.evaluate import state as evaluate_state
from ui.evaluate import words as evaluate_words

SHOWN = 50


def draw() -> None:
    """Draw the list, or what somebody is about to add."""
    if evaluate_bring.chosen():
        evaluate_bring.draw()
    elif evaluate_make.chosen():
        evaluate_make.draw()
    else:
        _list()


def _list() -> None:
    every = sets.listed(context.workspace())
    for found in every[:SHOWN]:
        _card(found)
    if len(every) > SHOWN:
        st.caption(_("{n} more sets are not shown.").format(n=len(every) - SHOWN))
    st.subheader(_("Add questions"), anchor=False)
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch", key="evaluate_bring_box"):
        evaluate_bring.ways_in()
    with right, st.container(border=True, height="stretch", key="evaluate_make_box"):
        evaluate_make.way_in()


def _card(found: QuestionSet) -> None:
    key = f"evaluate_set_{evaluate_state.key_of(found.name)}"
    with st.container(border=True, key=key, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{errors.plain(evaluate_questions.title(found))}**", width="content")
            st.markdown(f":gray-badge[{errors.plain(evaluate_words.kind(found.kind))}]", width="content")
        st.caption(errors.plain(facts(found)), help=errors.plain(str(found.path or "")) or None)
        if found.problem:
            message, hint = PanelError.from_dict(found.problem).localized()
            st.markdown(f":red[:material/error:] {errors.plain(message)} {errors.plain(hint)}")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if found.questions and not found.problem:
                st.button(
                    _("Evaluate a model on it"),
                    key=f"{key}_use",
                    icon=":material/play_circle:",
                    type="tertiary",
                    on_click=evaluate_state.go,
                    args=(evaluate_links.form(questions=found.name),),
                )
            if found.kind != "bundled":
                _removal(found, key)
        if not found.problem:
            _told(found, key)
            evaluate_asked.fold(found, key=key)


def facts(found: QuestionSet) -> str:
    """``1,346 questions · 52 subjects · version 3fa9…``."""
    usable = [one for one in found.subjects if not one.problem]
    parts = [evaluate_words.questions(found.questions), evaluate_words.subjects(len(usable))]
    if found.name != evaluate_questions.title(found) and found.kind != "bundled":
        parts.append(_("called {name}").format(name=found.name))
    if found.version:
        parts.append(_("version {version}").format(version=found.version[:6]))
    return " · ".join(parts)


def _told(found: QuestionSet, key: str) -> None:
    """What was found when it was looked at; folded."""
    if found.kind == "bundled":
        return
    try:
        told = sets.told(context.workspace(), found.name)
    except PanelError as error:
        told = [error.to_dict()]
    if not told:
        return
    text = ngettext("{n} remark", "{n} remarks", len(told)).format(n=len(told))
    fold = st.expander(text, icon=":material/warning:", type="compact", key=f"{key}_told", on_change="rerun")
    if fold.open:
        with fold:
            evaluate_remarks.draw(told, most=50)


def _removal(found: QuestionSet, key: str) -> None:
    """Removing a set, asked once more."""
    with st.popover(_("Remove"), icon=":material/delete:", type="tertiary", key=f"{key}_remove"):
        inside = found.path is not None and found.path.is_relative_to(context.workspace().question_sets)
        st.markdown(
            _("The questions are deleted here. Runs that asked them stay, with their answers.")
            if inside
            else _("It is taken off the list. Its folder stays as it is, and so do runs that asked it.")
        )
        st.button(
            _("Remove {name}").format(name=errors.plain(evaluate_questions.title(found))),
            key=f"{key}_remove_yes",
            icon=":material/delete:",
            on_click=_remove,
            args=(found.name,),
        )


def _remove(name: str) -> None:
    """Callback: forget the set."""
    with evaluate_state.problems():
        sets.remove(context.workspace(), name)
        evaluate_state.say(_("'{name}' is removed.").format(name=name))
