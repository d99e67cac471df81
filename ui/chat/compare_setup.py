"""A comparison before its first question: which models stand side by side, and how each of them is asked."""

from __future__ import annotations

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
)
from backend.compare.asking import MAX_SEED
from backend.compare.records import LETTERS, MOST
from backend.engines import serving
from backend.i18n import _
from backend.servers import asleep
from ui import context, errors, words
from ui.chat import compare_state as state
from ui.chat import state as chat_state

_FIELD_HELP = {name: field.description or "" for name, field in ChatParams.model_fields.items()}


def draw() -> bool:
    """Draw the columns to be filled; returns whether they can be asked."""
    slots = state.draft()
    if not slots:
        st.caption(_("No model can talk yet"))
        return False
    models = chat_state.models()
    for column, place in zip(st.columns(len(slots), gap="small"), range(len(slots)), strict=True):
        with column, st.container(border=True, key=f"compare_slot_{place}"):
            _column(place, slots[place], models, len(slots))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if len(slots) < MOST:
            st.button(_("Add a column"), key="compare_add", icon=":material/add_column_right:", on_click=state.add)
        st.toggle(
            _("Blind"),
            key=state.BLIND,
            help=_("The names are hidden and the order is shuffled until you have voted, so that no name sways you."),
        )
    return len(slots) > 1


def seed() -> None:
    """The seed of the next question: the same for all columns."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="compare_seed_box"):
        st.number_input(
            _("Seed"),
            0,
            MAX_SEED,
            step=1,
            key=state.SEED,
            width=160,
            help=_("The same for all columns: with it, chance is no reason why answers differ."),
        )
        st.button(_("New seed"), key="compare_new_seed", icon=":material/casino:", on_click=state.other_seed)


def summary(params: ChatParams) -> str:
    """How a column is asked, in one line."""
    sampling, name = params.sampling(), preset_of(params)
    parts = [_("Deterministic") if params.deterministic else _(PRESET_NAMES[name]) if name else ""]
    if not parts[0]:
        parts = [
            _("temperature {t}").format(t=f"{sampling['temperature']:g}"),
            _("top-p {p}").format(p=f"{sampling['top_p']:g}"),
        ]
    parts.append(_("at most {n} tokens").format(n=f"{params.max_tokens:,}"))
    if params.system.strip():
        parts.append(_("with a system prompt"))
    return " · ".join(parts)


def _column(place: int, slot: state.Slot, models: dict[str, bool], count: int) -> None:
    model, key = slot.contender.model, f"compare_model_{slot.key}"
    known = list(dict.fromkeys([*models, model]))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
        st.markdown(f"**{LETTERS[place]}**", width="content")
        _state(model, models)
    st.selectbox(
        _("Model of column {letter}").format(letter=LETTERS[place]),
        known,
        index=known.index(model),
        key=key,
        filter_mode=None,
        label_visibility="collapsed",
        on_change=state.choose,
        args=(place, key),
    )
    _settings(place, slot)
    st.caption(summary(slot.contender.params))
    if count > 2:
        st.button(
            _("Remove column {letter}").format(letter=LETTERS[place]),
            key=f"compare_remove_{slot.key}",
            type="tertiary",
            icon=":material/close:",
            on_click=state.remove,
            args=(place,),
        )


def _state(model: str, models: dict[str, bool]) -> None:
    if models.get(model) and asleep(context.store(), model):
        help_text = _("It wakes by itself when you send a message.")
        st.markdown(f":gray-badge[:material/bedtime: {_('asleep')}]", width="content", help=help_text)
    elif models.get(model):
        st.markdown(f":green-badge[:material/check_circle: {_('running')}]", width="content")
    elif serving.find(context.store(), model):
        st.markdown(words.STATES["starting"].chip, width="content")
    elif model in models:
        help_text = _("It starts by itself when you send a message.")
        st.markdown(f":gray-badge[:material/stop_circle: {_('not running')}]", width="content", help=help_text)
    else:
        st.markdown(f":orange-badge[:material/help: {_('not on the list')}]", width="content")


def _settings(place: int, slot: state.Slot) -> None:
    now = slot.contender.params

    def how(field: str) -> dict[str, Any]:
        key = f"compare_{field}_{slot.key}"
        return {"key": key, "help": _(_FIELD_HELP[field]), "on_change": state.edit, "args": (place, field, key)}

    label = _("Settings of column {letter}").format(letter=LETTERS[place])
    with st.popover(label, icon=":material/tune:", key=f"compare_settings_{place}"):
        key = f"compare_preset_{place}"
        st.session_state[key] = preset_of(now)
        st.segmented_control(
            _("Style"),
            list(PRESETS),
            key=key,
            format_func=lambda name: _(PRESET_NAMES[name]),
            help=_(PRESET_HELP),
            on_change=state.preset,
            args=(place, key),
        )
        st.text_area(
            _("System prompt"),
            now.system,
            max_chars=MAX_SYSTEM_CHARS,
            placeholder=_("For example: You are a patient teacher. Answer in two sentences."),
            **how("system"),
        )
        st.slider(_("Temperature"), 0.0, 2.0, now.temperature, step=0.05, **how("temperature"))
        st.slider(_("Top-p"), 0.05, 1.0, now.top_p, step=0.05, **how("top_p"))
        st.number_input(
            _("Longest answer (tokens)"), 1, MAX_ANSWER_TOKENS, now.max_tokens, step=64, **how("max_tokens")
        )


def names(comparison_labels: list[str], hidden: bool) -> list[str]:
    """What stands over each column, as Markdown: its letter, and who it is unless that is hidden."""
    if hidden:
        return [f"**{letter}**" for letter, _label in zip(LETTERS, comparison_labels, strict=False)]
    return [f"**{letter}** · {errors.plain(label)}" for letter, label in zip(LETTERS, comparison_labels, strict=False)]
