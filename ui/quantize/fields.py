"""Single settings of a quantization as widgets: label, limits and help are the spec's, and a change is kept at once."""

from __future__ import annotations

from typing import Any, get_args

import streamlit as st

from backend.i18n import _
from backend.specs.quantize import QuantizeSpec
from ui import spec_form
from ui.quantize import state as quantize_state
from ui.quantize import words as quantize_words

STEPS = {"samples": 16, "sample_tokens": 64, "group_size": 32}
"""What one press of plus or minus changes."""
DRAWN = "quantize_drawn"
"""Field -> what its widget was drawn with."""


def draw(name: str, value: Any, *, placeholder: str | None = None, disabled: bool = False) -> None:
    """Draw the widget of the field ``name``, which shows ``value``."""
    info = QuantizeSpec.model_fields[name]
    key = f"quantize_set_{name}"
    label = spec_form.label(name, info)
    common: dict[str, Any] = {
        "key": key,
        "help": _(info.description) if info.description else None,
        "on_change": _set,
        "args": (name,),
        "disabled": disabled,
    }
    if name in quantize_words.CHOICES:
        _fill(name, value, key)
        options = list(get_args(info.annotation))
        st.selectbox(
            label, options, format_func=lambda one: quantize_words.choice(name, one), filter_mode=None, **common
        )
    elif isinstance(value, bool):
        _fill(name, value, key)
        st.toggle(label, **common)
    elif isinstance(value, int):
        low, high = spec_form.limits(info, int)
        _fill(name, min(max(value, low), high), key)  # the plan says what is wrong with a value outside of them
        st.number_input(label, min_value=low, max_value=high, step=STEPS.get(name, 1), **common)
    else:
        _fill(name, str(value), key)
        st.text_input(label, placeholder=placeholder, **common)


def _fill(name: str, value: Any, key: str) -> None:
    st.session_state[key] = value
    st.session_state.setdefault(DRAWN, {})[name] = value


def _set(name: str) -> None:
    """Callback: what the widget of the field ``name`` says."""
    value = st.session_state.get(f"quantize_set_{name}")
    if value is None or value == st.session_state.get(DRAWN, {}).get(name):
        return  # nobody changed it: see quantize_state.change
    quantize_state.change({name: value})
