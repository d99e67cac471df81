"""The raw transcript of a turn: for each step what the model was sent, and what it replied, to the letter."""

from __future__ import annotations

import json
import zlib
from typing import Any

import streamlit as st

from backend.agent.records import Step
from backend.chat import sent
from backend.chat.sent import Sent
from backend.errors import NotFoundError
from backend.i18n import _
from ui import errors
from ui.agent import state as agent_state
from ui.chat import sent as chat_sent

HEIGHT = 380


def dialog() -> None:
    """The transcript that was asked for, over the page."""
    wanted = agent_state.raw_wanted()
    if wanted is not None:
        body = st.dialog(_("Raw transcript"), width="large", icon=":material/data_object:")(draw)
        body(wanted)


def draw(turn: int) -> None:
    """One step at a time: a long turn has many."""
    steps = agent_state.store().steps([turn])
    if not steps:
        st.info(_("No step of it is recorded."), icon=":material/info:")
        return
    place = 0
    if len(steps) > 1:
        place = st.selectbox(
            _("Step"),
            range(len(steps)),
            key=f"agent_raw_step_{turn}",
            format_func=lambda index: _("Step {n} of {count}").format(n=steps[index].number, count=len(steps)),
            filter_mode=None,
        )
    _step(steps[place])


def _step(step: Step) -> None:
    found = _found(step.id)
    reply, prompt, request, response = st.tabs([_("Reply"), _("Prompt"), _("Request"), _("Response")])
    with reply:
        st.caption(_("As the model wrote it, before anything was read out of it."))
        if step.reply or not step.message:
            st.code(step.reply, language=None, wrap_lines=True, height=HEIGHT if len(step.reply) > 900 else "content")
        if step.message:
            _json(dict(step.message))
    with prompt:
        _prompt(found)
    with request:
        _json(found.request) if found else _nothing()
    with response:
        _json(found.response) if found else _nothing()


def _found(step: int) -> Sent | None:
    try:
        data = agent_state.store().sent(step)
        return Sent.unpacked(data) if data else None
    except (ValueError, TypeError, zlib.error, NotFoundError):
        return None


def _prompt(found: Sent | None) -> None:
    if found is None:
        _nothing()
    elif found.prompt:
        st.code(found.prompt, language=None, wrap_lines=True, height=HEIGHT)
    else:
        text = chat_sent.UNKNOWN[found.why or sent.UNREACHED]
        st.info(_(text).format(engine=errors.plain(found.engine)), icon=":material/info:")


def _nothing() -> None:
    st.info(_("Nothing is recorded for this step: no server was reached."), icon=":material/info:")


def _json(data: dict[str, Any]) -> None:
    st.code(json.dumps(data, ensure_ascii=False, indent=2), language="json", wrap_lines=True, height=HEIGHT)
