"""Benchmark. Its user wants three things: to know how fast a server answers and how many people it carries, to find the best
set-up of a model without sitting beside it, and to take the table along."""

from __future__ import annotations

from importlib import import_module

import streamlit as st

from backend.i18n import _
from ui import sub_views
from ui.benchmark import state as benchmark_state

st.title(_("Benchmark"), anchor=False)
if not benchmark_state.finished():
    st.caption(
        _(
            "How fast does it answer, how many people does it carry, and which set-up is the best? Measured on this machine."
        )
    )
view = sub_views.sub_views(
    [
        ("measure", _("Measure a server"), ":material/speed:"),
        ("matrix", _("Compare set-ups"), ":material/table:"),
        ("results", _("Results"), ":material/query_stats:"),
    ],
    current="measure",
    key="view",
)
benchmark_state.notices()
# Each view brings what it needs: who looks at a result need not wait for the list of models.
import_module(f"ui.benchmark.{view}").draw()
