"""Which model answers, whether it is up, and how it is asked: the bar above a conversation."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from backend.chat.params import (
    MAX_ANSWER_TOKENS,
    MAX_SYSTEM_CHARS,
    PRESET_HELP,
    PRESET_NAMES,
    PRESETS,
    ChatParams,
    preset_of,
    with_preset,
)
from backend.engines import serving
from backend.errors import PanelError
from backend.i18n import _
from ui import context, errors, words
from ui.chat import messages as chat_messages
from ui.chat import state as chat_state
from ui.models import choice as model_choice

_PRESET = "chat_preset"
_FIELD_HELP = {name: field.description or "" for name, field in ChatParams.model_fields.items()}
_COMING_UP = ("queued", "starting", "running")


def pick() -> bool:
    """Draw the choice of the model and its state; returns whether it answers now."""
    return model_choice.pick(chat_state.MODEL, chat_state.models(), chat_state.remember)


def settings() -> None:
    """How the model is asked, folded away."""
    now = chat_state.params()
    with st.popover(_("Chat settings"), icon=":material/tune:", key="chat_settings"):
        st.session_state[_PRESET] = preset_of(now)
        st.segmented_control(
            _("Style"),
            list(PRESETS),
            key=_PRESET,
            format_func=lambda name: _(PRESET_NAMES[name]),
            help=_(PRESET_HELP),
            on_change=_preset_chosen,
            disabled=now.deterministic,
        )
        _switch("deterministic", _("Deterministic"), now.deterministic)
        st.text_area(
            _("System prompt"),
            now.system,
            max_chars=MAX_SYSTEM_CHARS,
            placeholder=_("For example: You are a patient teacher. Answer in two sentences."),
            **_common("system"),
        )
        fixed: dict[str, Any] = {"disabled": now.deterministic}
        st.slider(_("Temperature"), 0.0, 2.0, now.temperature, step=0.05, **fixed, **_common("temperature"))
        st.slider(_("Top-p"), 0.05, 1.0, now.top_p, step=0.05, **fixed, **_common("top_p"))
        st.number_input(
            _("Longest answer (tokens)"), 1, MAX_ANSWER_TOKENS, now.max_tokens, step=64, **_common("max_tokens")
        )
        seed: dict[str, Any] = {"placeholder": _("new each time"), **fixed, **_common("seed")}
        st.number_input(_("Seed"), 0, 2**31 - 1, now.seed, step=1, **seed)
        _switch("trim_blanks", _("Trim blanks"), now.trim_blanks)


def ready_card(up: bool) -> None:
    """For an empty conversation: the model's state, the button that starts it, and how it comes up."""
    model = st.session_state[chat_state.MODEL]
    job = None if up else serving.find(context.store(), model)
    if up:
        return
    if job is None:
        text = _("**{model}** is not running. Start it, or just send a message: it starts by itself.")
        st.markdown(text.format(model=errors.plain(model)))
        st.button(
            _("Start {model}").format(model=model),
            key="chat_start",
            type="primary",
            icon=":material/play_arrow:",
            on_click=chat_state.start_model,
        )
        return
    _starting(job.id, model)


@st.fragment(run_every=0.5)
def _starting(job_id: int, model: str) -> None:
    """The job that starts the model, drawn until it answers or ends."""
    try:
        row = context.store().get(job_id)
    except PanelError:
        st.rerun()
    if chat_state.models().get(model) or row.state not in _COMING_UP:
        st.rerun()
    with st.container(border=True, key="chat_starting"):
        chat_messages.starting(row, model, words.duration(time.time() - (row.started or row.created)))


def _switch(name: str, label: str, value: bool) -> None:
    """A setting that is on or off, with its explanation in sight: one that is only hovered over is not understood."""
    how = _common(name)
    st.toggle(label, value, key=how["key"], on_change=how["on_change"])
    st.caption(how["help"])


def _common(name: str) -> dict[str, Any]:
    return {"key": chat_state.field_key(name), "help": _(_FIELD_HELP[name]), "on_change": chat_state.edited}


def _preset_chosen() -> None:
    name = st.session_state.get(_PRESET)
    if name:
        chat_state.load_params(with_preset(chat_state.params(), name))
        chat_state.remember()
