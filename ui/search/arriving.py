"""What a link to the Chat page may name beside the conversation: the message at which it opens (``/chat?c=…&m=12``)."""

from __future__ import annotations

import streamlit as st

from backend.errors import PanelError

CONVERSATION, MESSAGE = "c", "m"
_ARRIVED = "search_arrived"


def arrive(page: str) -> None:
    """Have the page that is about to be drawn begin at the message in its address, once. page: as in its address.

    The address stays as it is: to change it, as the list of conversations does, would put a page between this one and the way back.
    """
    if page != "chat":
        st.session_state.pop(_ARRIVED, None)
        return
    message, conversation = st.query_params.get(MESSAGE, ""), st.query_params.get(CONVERSATION, "")
    if not conversation or not message.isascii() or not message.isdigit() or len(message) > 15:
        return
    if st.session_state.get(_ARRIVED) == (conversation, message):
        return
    st.session_state[_ARRIVED] = (conversation, message)
    from ui.chat import state as chat_state  # who goes elsewhere need not load it

    try:
        found = chat_state.conversations().message(int(message))
    except PanelError:
        return  # it was deleted: the conversation opens at its end
    if found.conversation == conversation:  # else another one was opened since, with the rest of the address as it was
        chat_state.turn_to(conversation, found.id)
