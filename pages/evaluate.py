"""Evaluate. Its user wants three things: to press one button and learn how good a model is on questions that one trusts, with the
time known before; to see whether the new model is better than its base; and to bring questions or a data folder of one's own."""

from __future__ import annotations

from importlib import import_module

import streamlit as st

from backend.i18n import _
from ui import sub_views
from ui.evaluate import state as evaluate_state

st.title(_("Evaluate"), anchor=False)
if not evaluate_state.finished():
    st.caption(
        _(
            "How good is a model, and is the new one better? It is asked questions whose answers are known, and each "
            "score says how sure it is."
        )
    )
view = sub_views.sub_views(
    [
        ("run", _("Evaluate"), ":material/play_circle:"),
        ("results", _("Results"), ":material/table:"),
        ("compare", _("Compare"), ":material/bar_chart:"),
        ("sets", _("Question sets"), ":material/library_books:"),
    ],
    current="run",
    key="view",
)
evaluate_state.notices()
# Each view brings what it needs: who looks at a score need not wait for the list of models.
import_module(f"ui.evaluate.{view}").draw()
