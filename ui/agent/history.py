"""What agents were asked before: the list of conversations with its search, and the name and end of the one that is open."""

from __future__ import annotations

import streamlit as st

from backend.agent.records import Conversation
from backend.agent.store import MOST_TITLE
from backend.i18n import _
from ui import errors, words
from ui.agent import state as agent_state

PAGE = 30
_LIMIT = "agent_history_limit"


def popover(here: str) -> None:
    """The list, behind a button."""
    with st.popover(_("History"), icon=":material/history:", key="agent_history"):
        wanted = st.text_input(
            _("Search conversations"),
            key=agent_state.SEARCH,
            placeholder=_("Search conversations"),
            label_visibility="collapsed",
            icon=":material/search:",
        )
        limit = int(st.session_state.get(_LIMIT, PAGE))
        found = agent_state.store().conversations(limit=limit + 1, text=wanted or "")
        if not found:
            st.caption(_("Nothing found.") if wanted else _("Your conversations will be listed here."))
        with st.container(key="agent_list", gap="xxsmall"):
            for conversation in found[:limit]:
                _entry(conversation, here)
        if len(found) > limit:
            st.button(
                _("Show more"),
                key="agent_history_more",
                icon=":material/expand_more:",
                on_click=st.session_state.update,
                args=({_LIMIT: limit + PAGE},),
            )


def _entry(conversation: Conversation, here: str) -> None:
    st.button(
        errors.plain(conversation.title) or _("Untitled"),
        key=f"agent_open_{conversation.id}",
        type="secondary" if conversation.id == here else "tertiary",
        help=f"{words.ago(conversation.updated)} · {errors.plain(conversation.model)}",
        on_click=agent_state.show,
        args=(conversation.id,),
        width="stretch",
    )


def head(conversation: Conversation) -> None:
    """The name of the open conversation, with rename and delete."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="agent_head"):
        st.markdown(f"**{errors.plain(conversation.title)}**", width="content")
        with st.popover(_("Rename or delete"), icon=":material/edit:", type="tertiary", key="agent_name"):
            key = f"agent_title_{conversation.id}"
            st.text_input(_("Name"), conversation.title, key=key, max_chars=MOST_TITLE)
            st.button(
                _("Rename"),
                key="agent_rename",
                icon=":material/edit:",
                on_click=agent_state.rename,
                args=(conversation.id, key),
            )
            st.divider()
            count = agent_state.store().count(conversation.id)
            st.caption(_("Deleting forgets its {n} questions, their steps and their files for good.").format(n=count))
            sure = st.checkbox(_("Yes, forget all of it"), key=f"agent_sure_{conversation.id}")
            st.button(
                _("Delete conversation"),
                key="agent_delete",
                icon=":material/delete:",
                disabled=not sure,
                on_click=agent_state.delete,
                args=(conversation.id,),
            )
