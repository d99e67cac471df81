"""Which model works, whether it is up, and how it is asked to call tools: the bar above a conversation with an agent."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.agent.options import Options
from backend.chat.params import MAX_ANSWER_TOKENS, MAX_SYSTEM_CHARS
from backend.i18n import N_, _
from ui.agent import state as agent_state
from ui.agent import words as agent_words
from ui.models import choice as model_choice

_HELP = {name: field.description or "" for name, field in Options.model_fields.items()}
_LANGUAGES = {"en": N_("English"), "zh": N_("Chinese")}


def pick() -> None:
    """Draw the choice of the model and its state."""
    model_choice.pick(agent_state.MODEL, agent_state.models(), agent_state.remember)


def settings() -> None:
    """How it is asked, and how far it may go; folded away."""
    now = agent_state.options()
    with st.popover(_("Agent settings"), icon=":material/tune:", key="agent_settings"):
        forms = list(agent_words.FORMS)
        st.selectbox(
            _("Form of calling tools"),
            forms,
            forms.index(now.protocol),
            format_func=lambda name: _(agent_words.FORMS[name]),
            filter_mode=None,
            **_common("protocol"),
        )
        _toggle("repair", _("Repairs"), now.repair)
        st.number_input(_("Most steps"), 1, 200, now.most_steps, step=1, **_common("most_steps"))
        st.number_input(_("Most seconds"), 5, 86_400, now.most_seconds, step=60, **_common("most_seconds"))
        st.text_area(
            _("System prompt"),
            now.system,
            max_chars=MAX_SYSTEM_CHARS,
            placeholder=_("For example: Work out every figure with a tool. Answer in two sentences."),
            **_common("system"),
        )
        st.slider(_("Temperature"), 0.0, 2.0, now.temperature, step=0.05, **_common("temperature"))
        limit = _common("max_tokens")
        st.number_input(_("Longest reply (tokens)"), 16, MAX_ANSWER_TOKENS, now.max_tokens, step=64, **limit)
        placeholder = _("new each time")
        st.number_input(_("Seed"), 0, 2**31 - 1, now.seed, step=1, placeholder=placeholder, **_common("seed"))
        st.segmented_control(
            _("Language of the instructions"),
            list(_LANGUAGES),
            default=now.lang,
            format_func=lambda code: _(_LANGUAGES[code]),
            required=True,
            **_common("lang"),
        )


def _toggle(name: str, label: str, value: bool) -> None:
    """Its explanation is in sight: one that is only hovered over is not understood."""
    how = _common(name)
    st.toggle(label, value, key=how["key"], on_change=how["on_change"], args=how["args"])
    st.caption(how["help"])


def _common(name: str) -> dict[str, Any]:
    key = agent_state.field_key(name)
    return {"key": key, "help": _(_HELP[name]), "on_change": _edited, "args": (name, key)}


def _edited(name: str, key: str) -> None:
    agent_state.change(**{name: st.session_state[key]})
