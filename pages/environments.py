"""Environments. Its user wants three things: to see which engines can be used now, to make one usable with one button, and
to learn whether this machine is all right, or why something has failed."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from ui import diagnose_view, doctor_view, sub_views
from ui.envs import list as envs_list

VIEWS = {"engines": envs_list.draw, "machine": doctor_view.draw, "log": diagnose_view.draw}

st.title(_("Environments"), anchor=False)
view = sub_views.sub_views(
    [
        ("engines", _("Engines"), ":material/package_2:"),
        ("machine", _("This machine"), ":material/monitor_heart:"),
        ("log", _("Explain a log"), ":material/search:"),
    ],
    current="engines",
    key="view",
)
VIEWS[view]()
