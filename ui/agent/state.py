"""What the Agent page works on, and what its buttons do. The truth is in the workspace; the session only knows what is
open, how the next question is asked, and what went wrong last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from backend import i18n
from backend import workspace as workspace_module
from backend.agent import working
from backend.agent.options import Options, parse_options
from backend.agent.records import Conversation, Turn
from backend.agent.store import AgentStore
from backend.errors import NotFoundError, PanelError
from ui import context
from ui.models import choice as model_choice

TAIL, MORE = 20, 50
"""Turns drawn at first; so many more on demand."""
MODEL, PROMPT, SEARCH = "agent_model", "agent_prompt", "agent_search"
_OPEN, _PROBLEM, _SHOWN = "agent_open", "agent_problem", "agent_shown"
_OPTIONS, _DRAWN, _RAW = "agent_options", "agent_options_drawn", "agent_raw"


@st.cache_resource(show_spinner=False, max_entries=4)
def _open_store(root: str) -> AgentStore:
    return AgentStore(context.workspace())


def store() -> AgentStore:
    """The conversations with agents; shared by all sessions and threads."""
    return _open_store(str(workspace_module.default_root()))


def open_conversation() -> Conversation | None:
    """The conversation in the address (``?c=``), or None for a new one; loads its model and options when it changed."""
    wanted = st.query_params.get("c", "")
    found: Conversation | None = None
    if wanted:
        try:
            found = store().conversation(wanted)
        except NotFoundError as error:
            del st.query_params["c"]
            st.session_state[_PROBLEM] = error.to_dict()
    here = found.id if found else ""
    if st.session_state.get(_OPEN) != here or _OPTIONS not in st.session_state:
        st.session_state[_OPEN] = here
        st.session_state[_SHOWN] = TAIL
        load(found.options if found else Options(lang="zh" if i18n.current().startswith("zh") else "en"))
        if found:
            st.session_state.pop(MODEL, None)
    # The choice is forgotten with its widget, on another page.
    if found and found.model and not st.session_state.get(MODEL):
        st.session_state[MODEL] = found.model
    if st.query_params.get("model"):
        st.session_state[MODEL] = st.query_params["model"]
        del st.query_params["model"]
    return found


def models() -> dict[str, bool]:
    """See :func:`ui.models.choice.models`."""
    return model_choice.models(st.session_state.get(MODEL))


def options() -> Options:
    """How the next question is asked."""
    found: Options = st.session_state[_OPTIONS]
    return found


def field_key(name: str) -> str:
    """Key of the widget of the option ``name``; values that we set ourselves come with new keys, which take them up."""
    return f"agent_option_{name}_{st.session_state[_DRAWN]}"


def load(values: Options) -> None:
    """Put ``values`` into force and into the widgets; call before they are drawn."""
    st.session_state[_OPTIONS] = values
    st.session_state[_DRAWN] = st.session_state.get(_DRAWN, 0) + 1


def shown() -> int:
    """How many of the newest turns are drawn."""
    return int(st.session_state.get(_SHOWN, TAIL))


def problem() -> dict[str, Any] | None:
    """What went wrong at the last press; asked for once."""
    found: dict[str, Any] | None = st.session_state.pop(_PROBLEM, None)
    return found


def live_problem() -> dict[str, Any] | None:
    """The same, for a part that redraws itself: it stands there until the next press."""
    found: dict[str, Any] | None = st.session_state.get(_PROBLEM)
    return found


def raw_wanted() -> int | None:
    """The turn whose raw transcript is to be shown; asked for once."""
    found: int | None = st.session_state.pop(_RAW, None)
    return found


# --- what the buttons do (callbacks: they run before the page is drawn)


def send(text: str | None = None) -> None:
    """Ask what was typed, or ``text``; a refused question goes back into the input."""
    given = text if text is not None else st.session_state.get(PROMPT)
    model = st.session_state.get(MODEL)
    if not given or not model:
        return
    here = st.session_state.get(_OPEN) or None
    try:
        turn = store().ask(here, str(given), model=model, options=options())
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        if text is None:
            st.session_state[PROMPT] = given
        return
    st.session_state[_OPEN] = turn.conversation
    st.session_state[_SHOWN] = TAIL
    st.query_params["c"] = turn.conversation
    _have_worked_at(turn)


def go_on(turn: Turn, **changed: object) -> None:
    """Have ``turn`` worked at again, with ``changed`` options."""
    with problems():
        wanted = parse_options({**turn.options.model_dump(), **changed}) if changed else None
        again = store().go_on(turn.id, options=wanted)
        if wanted is not None:
            load(wanted)
        _have_worked_at(again)


def stop(turn: int) -> None:
    """Stop it; what was found is kept."""
    with problems():
        store().request_stop(turn)


def decide(step: int, place: int, yes: bool) -> None:
    """The person's word on a call."""
    with problems():
        store().decide(step, place, yes)


def always(conversation: str, step: int, place: int, tool: str) -> None:
    """Yes to this call, and to all that come of ``tool`` in this conversation."""
    with problems():
        found = store().conversation(conversation)
        unasked = tuple(dict.fromkeys((*found.options.unasked, tool)))
        st.session_state[_OPTIONS] = options().model_copy(update={"unasked": unasked})
        store().remember(conversation, model=found.model, options=found.options.model_copy(update={"unasked": unasked}))
        store().decide(step, place, True)


def new() -> None:
    """An empty conversation; it is stored with its first question."""
    st.session_state.pop(_OPEN, None)
    st.query_params.pop("c", None)


def show(conversation: str) -> None:
    st.query_params["c"] = conversation


def older() -> None:
    """Draw more of the past."""
    st.session_state[_SHOWN] = shown() + MORE


def raw(turn: int) -> None:
    """Open the raw transcript of ``turn``; nothing can be drawn in a callback yet."""
    st.session_state[_RAW] = turn


def rename(conversation: str, key: str) -> None:
    with problems():
        store().rename(conversation, st.session_state[key])


def delete(conversation: str) -> None:
    """Forget ``conversation``; who works at it finds it gone and ends."""
    with problems():
        store().delete(conversation)
        new()


def change(**values: object) -> None:
    """Options were changed by hand: they hold from now on, and are kept with the open conversation."""
    with problems():
        st.session_state[_OPTIONS] = parse_options({**options().model_dump(), **values})
        remember()


def dismiss_notice() -> None:
    """The person has read what happened to the file."""
    with problems():
        store().dismiss_notice()


def remember() -> None:
    """Keep model and options with the conversation that is open."""
    here = st.session_state.get(_OPEN)
    if here:
        with problems():
            store().remember(here, model=st.session_state[MODEL], options=options())


@contextmanager
def problems() -> Iterator[None]:
    """What goes wrong inside becomes the card at the head of the page, in place of what went wrong before."""
    st.session_state.pop(_PROBLEM, None)
    try:
        yield
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


def _have_worked_at(turn: Turn) -> None:
    working.ensure(context.workspace(), turn.conversation)
