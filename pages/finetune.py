"""Fine-tune. Its user wants three things: to say what a model is to learn from what, and by when; to see at once whether that
fits and how long it takes; and to press one button, then watch it learn and compare what came of it."""

from __future__ import annotations

from importlib import import_module

import streamlit as st

from backend.i18n import _
from ui import context, sub_views
from ui.finetune import state as finetune_state

st.title(_("Fine-tune"), anchor=False)
if not context.store().list(verb="finetune", states=("succeeded",), limit=1):
    st.caption(_("Teach a model with your rows. It goes on when you close this page, and you can watch it learn."))
view = sub_views.sub_views(
    [
        ("new", _("New run"), ":material/add_circle:"),
        ("runs", _("Runs"), ":material/monitoring:"),
        ("compare", _("Compare"), ":material/stacked_bar_chart:"),
    ],
    current="new",
    key="view",
)
if view == "new":
    finetune_state.read()  # where the address asks for a run that is gone, the notices say so
finetune_state.notices()
# Each view brings what it needs: who looks at a run need not wait for a plan.
import_module("ui.finetune.launch" if view == "new" else f"ui.finetune.{view}").draw()
