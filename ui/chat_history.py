"""What was said before: the list of conversations with its search, and the name and end of the one that is open."""

from __future__ import annotations

import streamlit as st

from backend.chat.conversations import MAX_TITLE_CHARS
from backend.chat.records import Conversation
from backend.i18n import _
from ui import chat_state, errors, words

PAGE = 30


def listing(here: str, *, where: str) -> None:
    """The conversations, newest first. ``where`` tells the two places apart (beside the chat, and in a popover)."""
    search = st.text_input(
        _("Search conversations"),
        key=f"chat_search_{where}",
        placeholder=_("Search conversations"),
        label_visibility="collapsed",
        icon=":material/search:",
    )
    limit = int(st.session_state.get(f"chat_history_{where}", PAGE))
    found = chat_state.conversations().list(search or "", limit=limit + 1)
    if not found:
        st.caption(_("Nothing found.") if search else _("Your conversations will be listed here."))
    with st.container(key=f"chat_list_{where}", gap="xxsmall"):
        for conversation in found[:limit]:
            st.button(
                errors.plain(conversation.title) or _("Untitled"),
                key=f"chat_open_{where}_{conversation.id}",
                type="secondary" if conversation.id == here else "tertiary",
                help=f"{words.ago(conversation.updated)} · {errors.plain(conversation.model)}",
                on_click=chat_state.show,
                args=(conversation.id,),
                width="stretch",
            )
    if len(found) > limit:
        st.button(
            _("Show more"),
            key=f"chat_more_{where}",
            icon=":material/expand_more:",
            on_click=lambda: st.session_state.update({f"chat_history_{where}": limit + PAGE}),
        )


def head(conversation: Conversation) -> None:
    """The name of the open conversation, with rename and delete."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="chat_head"):
        st.markdown(f"**{errors.plain(conversation.title)}**", width="content")
        with st.popover(_("Rename or delete"), icon=":material/edit:", type="tertiary"):
            key = f"chat_title_{conversation.id}"
            st.text_input(_("Name"), conversation.title, key=key, max_chars=MAX_TITLE_CHARS)
            st.button(
                _("Rename"),
                key="chat_rename",
                icon=":material/edit:",
                on_click=chat_state.rename,
                args=(conversation.id, key),
            )
            st.divider()
            count = chat_state.conversations().count(conversation.id)
            st.caption(_("Deleting forgets its {n} messages for good.").format(n=count))
            st.button(
                _("Delete conversation"),
                key="chat_delete",
                icon=":material/delete:",
                on_click=chat_state.delete,
                args=(conversation.id,),
            )
