"""What the Chat page works on, and what its buttons do. The truth is in the workspace; the session only knows what is
open, the draft of the settings, and what went wrong last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st

from backend.chat.branches import Branches
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams, parse_params
from backend.chat.records import Conversation, Message
from backend.chat.replies import Replies
from backend.chat.replies import replies as replies_of
from backend.errors import NotFoundError, PanelError
from ui import context
from ui.chat import attach as chat_attach
from ui.models import choice as model_choice

TAIL = 20
"""Messages drawn at first; older ones on demand."""
MODEL, PROMPT, SEARCH = "chat_model", "chat_prompt", "chat_search"
_OPEN, _PROBLEM, _SHOWN, _SENT = "chat_open", "chat_problem", "chat_shown", "chat_sent"
_END, _FOUND, _MOVE = "chat_end", "chat_found", "chat_move"
_EDITING, COLLECTING = "chat_editing", "chat_collecting"
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
            st.session_state[_PROBLEM] = (0, error.to_dict())
    here = found.id if found else ""
    if st.session_state.get(_OPEN) != here or _PARAMS not in st.session_state:
        st.session_state[_OPEN] = here
        st.session_state[_SHOWN] = TAIL
        for name in (_END, _EDITING, COLLECTING):
            st.session_state.pop(name, None)
        load_params(found.params if found else ChatParams())
        if found and found.model:
            st.session_state[MODEL] = found.model
    if st.query_params.get("model"):
        st.session_state[MODEL] = st.query_params["model"]
        del st.query_params["model"]
    return found


def models() -> dict[str, bool]:
    """See :func:`ui.models.choice.models`."""
    return model_choice.models(st.session_state.get(MODEL))


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


def problem(at: int = 0) -> dict[str, Any] | None:
    """What went wrong at the last press, at the message ``at`` or (0) on the page as a whole; asked for once."""
    place, error = st.session_state.get(_PROBLEM, (0, None))
    if error is None or place != at:
        return None
    del st.session_state[_PROBLEM]
    stored: dict[str, Any] = error
    return stored


def versions(messages: Sequence[Message]) -> dict[int, list[int]]:
    """The messages that have others in their place: the ids of all of them, oldest first."""
    return Branches(conversations()).alternatives(messages)


def drawn_to(message_id: int) -> None:
    """The page shows the branch that ends with this message: what is typed now is meant to follow it."""
    st.session_state[_END] = message_id


def found(conversation: str) -> int | None:
    """The message of ``conversation`` that was looked for, while the page shows what lies around it."""
    place = st.session_state.get(_FOUND)
    return place[1] if place and place[0] == conversation else None


def just_found() -> bool:
    """Whether the page has yet to move to the message that was looked for; asked for once."""
    return bool(st.session_state.pop(_MOVE, False))


def editing() -> int | None:
    """The message that is being edited."""
    return st.session_state.get(_EDITING)


def just_sent() -> bool:
    """Whether this page is drawn because something was sent; asked for once."""
    return bool(st.session_state.pop(_SENT, False))


# --- what the buttons do (callbacks: they run before the page is drawn)


def send(text: str | None = None) -> None:
    """Send what was typed, or ``text``; a refused message goes back into the input."""
    given = text if text is not None else st.session_state.get(PROMPT)
    if not given:
        return
    prompt = given if isinstance(given, str) else given.text
    here = st.session_state.get(_OPEN) or None
    try:
        files = chat_attach.taken(given)
        after = st.session_state.get(_END)
        answer = replies().ask(here, prompt, model=st.session_state[MODEL], params=params(), after=after, files=files)
    except PanelError as error:
        st.session_state[_PROBLEM] = (0, error.to_dict())
        if text is None:
            st.session_state[PROMPT] = prompt
            chat_attach.keep(given)
        return
    chat_attach.let_go()
    _asked()
    st.session_state[_OPEN] = answer.conversation
    st.query_params["c"] = answer.conversation


def again(answer: int | None = None) -> None:
    """Ask for another answer in place of ``answer`` (the last one); starts the model when it does not run."""
    with problems():
        replies().ask_again(st.session_state[_OPEN], model=st.session_state[MODEL], params=params(), instead_of=answer)
        _asked()


def edit(message_id: int | None) -> None:
    """Open the editor of an earlier message; None closes it."""
    st.session_state[_EDITING] = message_id


def resend(message_id: int, key: str) -> None:
    """Send the edited message: a new branch begins in the place of the old one."""
    with problems(at=message_id):
        replies().ask(
            st.session_state[_OPEN],
            st.session_state[key],
            model=st.session_state[MODEL],
            params=params(),
            instead_of=message_id,
        )
        _asked()


def _asked() -> None:
    """An answer is on its way: the page shows the end of the conversation, and nothing is half done."""
    st.session_state[_SENT] = True
    st.session_state[_SHOWN] = TAIL
    for name in (_FOUND, _EDITING, COLLECTING):
        st.session_state.pop(name, None)


def switch(message_id: int) -> None:
    """Show the branch that holds this message."""
    with problems():
        Branches(conversations()).show(message_id)
        st.session_state.pop(_EDITING, None)


def stop(message_id: int) -> None:
    """Stop the answer; what was said is kept."""
    with problems():
        replies().stop(message_id)


def start_model() -> None:
    """Start the chosen model, before anything was asked."""
    from backend.chat.waiting import start_server

    with problems():
        start_server(context.store(), context.workspace(), st.session_state[MODEL])


def new() -> None:
    """An empty conversation; it is stored with its first message."""
    st.session_state.pop(_OPEN, None)
    st.query_params.pop("c", None)


def show(conversation: str, message: int | None = None) -> None:
    """Open ``conversation``, at ``message`` where one is named: its branch is shown, and what lies around it."""
    st.query_params["c"] = conversation
    st.session_state.pop(_FOUND, None)
    if message is not None:
        turn_to(conversation, message)


def turn_to(conversation: str, message: int) -> None:
    """Have ``conversation``, which the address names, begin at ``message``: its branch is shown, and what lies around it."""
    with problems():
        Branches(conversations()).show(message)
        st.session_state[_FOUND] = (conversation, message)
        st.session_state[_MOVE] = True


def to_the_end() -> None:
    """Back from a place that was found to the newest messages."""
    st.session_state.pop(_FOUND, None)
    st.session_state[_SHOWN] = TAIL


def older() -> None:
    """Draw more of the past."""
    st.session_state[_SHOWN] = shown() + 50


def rename(conversation: str, key: str) -> None:
    with problems():
        conversations().rename(conversation, st.session_state[key])


def delete(conversation: str) -> None:
    """Forget ``conversation``; an answer being written there ends first."""
    with problems():
        for message in conversations().messages(conversation, limit=1):
            if message.running:
                replies().stop(message.id)
        conversations().delete(conversation)
        new()


def edited() -> None:
    """A setting was changed by hand."""
    values = {name: st.session_state.get(field_key(name), value) for name, value in params().model_dump().items()}
    with problems():
        st.session_state[_PARAMS] = parse_params(values)
        remember()


def remember() -> None:
    """Keep model and settings with the conversation that is open."""
    here = st.session_state.get(_OPEN)
    if here:
        with problems():
            conversations().remember(here, model=st.session_state[MODEL], params=params())


def dismiss_notice() -> None:
    with problems():
        conversations().dismiss_notice()


@contextmanager
def problems(at: int = 0) -> Iterator[None]:
    """What goes wrong inside becomes the card at the head of the page, or the one at the message ``at``."""
    try:
        yield
    except PanelError as error:
        st.session_state[_PROBLEM] = (at, error.to_dict())
