"""The way back to the course, in one line: on the page to which it led, and on Home for who is in the middle of it."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from backend.workspace import ROOT
from ui import context, errors

PAGE = ROOT / "pages" / "course.py"
FILE = "course.json"
EVERY_S = 5
WRAPPED = "<style>.st-key-course_way a p { white-space: normal; }</style>"
"""On a phone the label takes two lines; Streamlit would cut it off."""
NOT_ON = ("", "course")
"""Addresses of pages that have a way of their own."""


def draw(page: str) -> None:
    """Draw the line above ``page`` for a person who came there from the course; nothing for all others. It notices by itself when the
    step is done."""
    if page in NOT_ON or not (context.workspace().root / FILE).is_file():
        return  # nobody takes the course: nothing of it is loaded
    from backend.course import progress

    if progress.read(context.workspace()).away is not None:
        st.fragment(errors.guarded(_line, "course_line"), run_every=EVERY_S)()


def way(*, newcomer: bool) -> None:
    """The quiet way to the course on Home: for a newcomer, and for who has begun it."""
    label = _label(newcomer) if PAGE.is_file() else ""
    if label:
        with st.container(key="course_way"):
            st.html(WRAPPED)
            st.page_link(PAGE, label=label, icon=":material/menu_book:")


def _label(newcomer: bool) -> str:
    """What leads there; empty where nothing does."""
    if (context.workspace().root / FILE).is_file():
        from backend.course import progress
        from backend.course.lessons import number

        found = progress.read(context.workspace())
        if found.next is None:
            return ""
        if found.under_way:
            told = _("Go on with the course: step {n}, {title}")
            return told.format(n=number(found.next.id), title=_(found.next.title))
    return _("Or take the course, which leads through every step") if newcomer else ""


def _line() -> None:
    from backend.course.lessons import STEPS, number
    from ui.course import state as course_state

    found = course_state.watched(steps=[_at()])
    step = found.away
    if step is None:
        return
    place = {"n": number(step.id), "all": len(STEPS)}
    done = step.id in found.done
    label = (
        _("Course: step {n} of {all} is done. Go on with the course").format(**place)
        if done
        else _("Course: step {n} of {all}. Back to the course").format(**place)
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="course_line"):
        icon = ":material/check_circle:" if done else ":material/menu_book:"
        st.page_link(PAGE, label=label, icon=icon, help=_(step.title), width="content")
        st.button(
            _("Hide"),
            key="course_line_away",
            icon=":material/close:",
            type="tertiary",
            help=_("Hide this line. The course is in the menu."),
            on_click=course_state.put_away,
        )


def _at() -> str:
    from backend.course import progress

    return progress.read(context.workspace()).at
