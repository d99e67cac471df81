"""Memory. Its user wants three things: to see what is free now and who has the rest, to learn when more will be free, and to
find out what happened at three in the morning."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from ui import memory_alerts, memory_live, memory_past, sub_views

st.title(_("Memory"), anchor=False)
memory_alerts.draw()
view = sub_views.sub_views(
    [
        ("live", _("Now"), "activity"),
        ("past", _("The past"), "clock-history"),
        ("compare", _("Compare"), "bar-chart-steps"),
    ],
    current="live",
    key="view",
)
if view == "compare":
    from ui import memory_compare  # what it needs, the other views need not wait for

    memory_compare.draw()
elif view == "past":
    memory_past.draw()
else:
    memory_live.draw()
