"""Datasets. Its user wants three things: to get rows in from what they have and hear what is wrong with which of them, to look
at the rows and make them better without losing an earlier state, and to see what will be learned and take the rows along."""

from __future__ import annotations

from importlib import import_module

import streamlit as st

from backend.i18n import _
from ui import sub_views
from ui.datasets import one as datasets_one
from ui.datasets import state as datasets_state

name = st.query_params.get(datasets_state.SET, "")
if name:
    version = datasets_one.head(name)
    part = sub_views.sub_views(
        [
            ("rows", _("Rows"), ":material/list:"),
            ("doctor", _("Doctor"), ":material/monitor_heart:"),
            ("tokens", _("What is trained"), ":material/ink_highlighter:"),
            ("review", _("Review"), ":material/check_box:"),
            ("split", _("Split"), ":material/pie_chart:"),
            ("versions", _("Versions"), ":material/history:"),
            ("export", _("Export"), ":material/file_export:"),
        ],
        current="rows",
        key=datasets_state.PART,
    )
    datasets_state.notices()
    datasets_one.under_way(name, part)
    # Each view brings what it needs: a person who reads rows need not wait for tokenizers.
    import_module(f"ui.datasets.{part}").draw(version)
else:
    st.title(_("Datasets"), anchor=False)
    if not datasets_state.sets().list():
        st.caption(_("Examples that a model learns from: get them in, have them examined, make them better."))
    view = sub_views.sub_views(
        [
            ("list", _("Your datasets"), ":material/library_books:"),
            ("import", _("Import"), ":material/upload:"),
            ("make", _("Make"), ":material/auto_fix_high:"),
        ],
        current="list",
        key="view",
    )
    datasets_state.notices()
    import_module("ui.datasets.importing" if view == "import" else f"ui.datasets.{view}").draw()
