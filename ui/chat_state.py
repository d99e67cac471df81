"""What the Chat page works on, and what its buttons do. The truth is in the workspace; the session only knows what is
open, the draft of the settings, and what went wrong last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from backend import catalog
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams, parse_params
from backend.chat.records import Conversation
from backend.chat.replies import Replies
from backend.chat.replies import replies as replies_of
from backend.engines import ENGINES
from backend.errors import NotFoundError, PanelError
from backend.servers import running_servers
from ui import context

TAIL = 20
"""Messages drawn at first; older ones on demand."""
MODEL, PROMPT, SEARCH = "chat_model", "chat_prompt", "chat_search"
_OPEN, _PROBLEM, _SHOWN, _SENT = "chat_open", "chat_problem", "chat_shown", "chat_sent"
_PARAMS, _DRAWN = "chat_params", "chat_params_drawn"


def replies() -> Replies:
    """The answers that this panel writes."""
    return replies_of(context.workspace(), context.store())


def conversations() -> Conversations:
    """What was said in this workspace."""
    return replies().conversations


def open_conversation() -> Conversation | None:
    """The conversation in the address (``?c=``), or None for a new one; loads its model and settings when it changed."""
    wanted = st.query_params.get("c", "")
    found: Conversation | None = None
    if wanted:
        try:
            found = conversations().get(wanted)
        except NotFoundError as error:
            del st.query_params["c"]
            st.session_state[_PROBLEM] = error.to_dict()
    here = found.id if found else ""
    if st.session_state.get(_OPEN) != here or _PARAMS not in st.session_state:
        st.session_state[_OPEN] = here
        st.session_state[_SHOWN] = TAIL
        load_params(found.params if found else ChatParams())
        if found and found.model:
            st.session_state[MODEL] = found.model
    if st.query_params.get("model"):
        st.session_state[MODEL] = st.query_params["model"]
        del st.query_params["model"]
    return found


def models() -> dict[str, bool]:
    """Models that can talk, by name, and whether each answers now: those that answer first."""
    names = {server.model: True for server in running_servers(context.store()) if server.ready}
    for card in catalog.models(context.workspace()):
        # A model without a template cannot take a conversation; the Models page says why one cannot be served.
        if card.chat_template and ENGINES["transformers"].refuses(card) is None:
            names.setdefault(card.name, False)
    chosen = st.session_state.get(MODEL)
    if chosen:
        names.setdefault(chosen, False)  # what was asked before stays named, also when it is gone
    return names


def params() -> ChatParams:
    """How the open conversation is asked."""
    found: ChatParams = st.session_state[_PARAMS]
    return found


def field_key(name: str) -> str:
    """Key of the widget of the parameter ``name``.

    A widget that is folded away takes up a new value only as its default, and keeps its old one under its old key: so
    values that we set ourselves come with new keys.
    """
    return f"chat_param_{name}_{st.session_state[_DRAWN]}"


def load_params(values: ChatParams) -> None:
    """Put ``values`` into force and into the widgets; call before they are drawn."""
    st.session_state[_PARAMS] = values
    st.session_state[_DRAWN] = st.session_state.get(_DRAWN, 0) + 1


def shown() -> int:
    """How many of the newest messages are drawn."""
    return int(st.session_state.get(_SHOWN, TAIL))


def problem() -> dict[str, Any] | None:
    """What went wrong at the last press; asked for once."""
    stored: dict[str, Any] | None = st.session_state.pop(_PROBLEM, None)
    return stored


def just_sent() -> bool:
    """Whether this page is drawn because something was sent; asked for once."""
    return bool(st.session_state.pop(_SENT, False))


# --- what the buttons do (callbacks: they run before the page is drawn)


def send(text: str | None = None) -> None:
    """Send what was typed, or ``text``; a refused message goes back into the input."""
    prompt = text if text is not None else st.session_state.get(PROMPT)
    if not prompt:
        return
    here = st.session_state.get(_OPEN) or None
    try:
        answer = replies().ask(here, prompt, model=st.session_state[MODEL], params=params())
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        if text is None:
            st.session_state[PROMPT] = prompt
        return
    st.session_state[_SENT] = True
    st.session_state[_SHOWN] = TAIL
    st.session_state[_OPEN] = answer.conversation
    st.query_params["c"] = answer.conversation


def again() -> None:
    """Ask for another answer to the last prompt; starts the model when it does not run."""
    with _problems():
        replies().ask_again(st.session_state[_OPEN], model=st.session_state[MODEL], params=params())
        st.session_state[_SENT] = True


def stop(message_id: int) -> None:
    """Stop the answer; what was said is kept."""
    with _problems():
        replies().stop(message_id)


def start_model() -> None:
    """Start the chosen model, before anything was asked."""
    from backend.chat.waiting import start_server

    with _problems():
        start_server(context.store(), context.workspace(), st.session_state[MODEL])


def new() -> None:
    """An empty conversation; it is stored with its first message."""
    st.session_state.pop(_OPEN, None)
    st.query_params.pop("c", None)


def show(conversation: str) -> None:
    """Open ``conversation``."""
    st.query_params["c"] = conversation


def older() -> None:
    """Draw more of the past."""
    st.session_state[_SHOWN] = shown() + 50


def rename(conversation: str, key: str) -> None:
    with _problems():
        conversations().rename(conversation, st.session_state[key])


def delete(conversation: str) -> None:
    """Forget ``conversation``; an answer being written there ends first."""
    with _problems():
        for message in conversations().messages(conversation, limit=1):
            if message.running:
                replies().stop(message.id)
        conversations().delete(conversation)
        new()


def edited() -> None:
    """A setting was changed by hand."""
    values = {name: st.session_state.get(field_key(name), value) for name, value in params().model_dump().items()}
    with _problems():
        st.session_state[_PARAMS] = parse_params(values)
        remember()


def remember() -> None:
    """Keep model and settings with the conversation that is open."""
    here = st.session_state.get(_OPEN)
    if here:
        with _problems():
            conversations().remember(here, model=st.session_state[MODEL], params=params())


def dismiss_notice() -> None:
    with _problems():
        conversations().dismiss_notice()


@contextmanager
def _problems() -> Iterator[None]:
    """What goes wrong inside becomes the card at the head of the page."""
    try:
        yield
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
