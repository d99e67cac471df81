"""Quantize. Its user wants three things: to say which model shall become smaller, and see at once what that brings and takes; to
press one button and watch it; and to read, measured, what the smaller copy is still good for."""

from __future__ import annotations

from importlib import import_module

import streamlit as st

from backend.i18n import _
from ui import context, sub_views
from ui.quantize import state as quantize_state

st.title(_("Quantize"), anchor=False)
if not context.store().list(verb="quantize", states=("succeeded",), limit=1):
    st.caption(
        _(
            "Make a copy of a model that takes less room and memory, and see measured what it costs. "
            "The model itself stays as it is."
        )
    )
step = sub_views.sub_views(
    [
        (name, _(title), f":material/counter_{place}:")
        for place, (name, title) in enumerate(quantize_state.STEPS.items(), 1)
    ],
    current="model",
    key=quantize_state.STEP,
)
if step in quantize_state.CHOSEN:
    quantize_state.read()  # where the address asks for a run that is gone, the notices say so
quantize_state.notices()
# Each step brings what it needs: who looks at a run need not wait for a plan.
if step in quantize_state.CHOSEN:
    import_module("ui.quantize.wizard").draw(step)
else:
    import_module("ui.quantize.runs" if step == "run" else "ui.quantize.reports").draw()
