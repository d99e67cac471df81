"""Memory. Its user wants three things: to see what is free now and who has the rest, to learn when more will be free, and to
find out what happened at three in the morning."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from ui import sub_views
from ui.memory import alerts as memory_alerts
from ui.memory import live as memory_live
from ui.memory import past as memory_past

st.title(_("Memory"), anchor=False)
memory_alerts.draw()
view = sub_views.sub_views(
    [
        ("live", _("Now"), ":material/monitoring:"),
        ("past", _("The past"), ":material/history:"),
        ("compare", _("Compare"), ":material/stacked_bar_chart:"),
    ],
    current="live",
    key="view",
)
if view == "compare":
    from ui.memory import compare as memory_compare

    memory_compare.draw()
elif view == "past":
    memory_past.draw()
else:
    memory_live.draw()
