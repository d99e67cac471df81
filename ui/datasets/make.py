"""Make, a view of the Datasets page: the ways to rows for those who have none, a card each; then the form of the chosen one."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import streamlit as st

from backend.i18n import N_, _
from ui.datasets import list as datasets_list
from ui.datasets import make_result as datasets_make_result
from ui.datasets import state as datasets_state

KIND = "kind"
"""The address's parameter with the way that was chosen, so that a reload and a link show the same."""


class Way(NamedTuple):
    """title: verb and object. module: of :mod:`ui.datasets`, whose ``draw`` is the form; empty: it is drawn here."""

    title: str
    about: str
    icon: str
    module: str = ""


WAYS = {
    "name": Way(
        N_("Teach a name"),
        N_("Who the model is and who made it, asked and answered in hundreds of wordings."),
        ":material/badge:",
        "make_name",
    ),
    "role": Way(
        N_("A role to play"),
        N_("A character with a way of speaking, topics, and things that it declines."),
        ":material/theater_comedy:",
        "make_role",
    ),
    "documents": Way(
        N_("From documents"),
        N_("Questions and answers from PDF, Word, Markdown, text or web pages, written by a model that runs here."),
        ":material/description:",
        "documents",
    ),
    "chats": Way(
        N_("From my chats"),
        N_("Collected answers, whole conversations, winners of comparisons, traces of an agent."),
        ":material/forum:",
        "make_chats",
    ),
    "mix": Way(
        N_("Mix datasets"),
        N_("Several datasets in one, with weights: a new skill beside what must not be forgotten."),
        ":material/shuffle:",
        "mix",
    ),
    "hand": Way(
        N_("By hand"),
        N_("An empty table: type questions and the answers that you want."),
        ":material/edit_note:",
    ),
}


def draw() -> None:
    """Draw the cards, or the form of the way that the address names."""
    kind = st.query_params.get(KIND, "")
    if kind not in WAYS:
        _cards()
        return
    way = WAYS[kind]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(f"{way.icon} {_(way.title)}", anchor=False, width="content")
        st.button(
            _("Other ways"),
            key="make_back",
            icon=":material/arrow_back:",
            type="tertiary",
            on_click=_choose,
            args=("",),
        )
    if kind != "documents":  # which tells more about itself
        st.caption(_(way.about))
    if way.module:
        import_module(f"ui.datasets.{way.module}").draw()
    else:
        _by_hand()


def _cards() -> None:
    st.caption(_("No rows yet? Six ways to them. Whatever you make can be read, corrected and mixed afterwards."))
    for names in (list(WAYS)[:3], list(WAYS)[3:]):
        for name, column in zip(names, st.columns(3, gap="medium"), strict=True):
            way = WAYS[name]
            with column, st.container(border=True, height="stretch", key=f"make_card_{name}"):
                st.button(
                    _(way.title),
                    key=f"make_{name}",
                    type="primary" if name == "name" else "secondary",
                    icon=way.icon,
                    on_click=_choose,
                    args=(name,),
                    width="stretch",
                )
                st.caption(_(way.about))


def _choose(kind: str) -> None:
    """Callback: the form of ``kind``, or the cards."""
    st.session_state.pop(datasets_state.PROBLEM, None)
    st.query_params.from_dict({"view": "make", **({KIND: kind} if kind else {})})


def _by_hand() -> None:
    """An empty set, opened where rows are typed. A name that is taken is refused: its rows must not vanish from sight."""
    with st.container(width=480):
        name = datasets_make_result.name(_("By hand"), key="hand", note=False)
    taken = datasets_state.sets().exists(name)
    st.button(
        _("Make '{name}' and type rows").format(name=datasets_make_result.label(name)),
        key="make_hand_go",
        type="primary",
        icon=":material/edit_note:",
        disabled=taken,
        on_click=_empty,
        args=(name,),
    )
    if taken:
        st.caption(_("There is one of this name. Choose another name, or open it and add rows under Review."))
        st.button(
            _("Open {name}").format(name=datasets_make_result.label(name)),
            key="make_hand_open",
            icon=":material/dataset:",
            on_click=datasets_list.open_set,
            args=(name,),
            kwargs={"part": "review"},
        )


def _empty(name: str) -> None:
    with datasets_state.problems():
        with datasets_state.sets().write(name, steps=[]):
            pass  # a version without rows
        datasets_list.open_set(name, part="review")
