"""Models. Its user wants three things: to see which models are here and whole, to get one in (from a folder, a folder of
folders, a hub), and to use, inspect or remove one."""

from __future__ import annotations

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _
from ui import errors, serving, sub_views
from ui.models import add as models_add
from ui.models import convert as models_convert
from ui.models import download as models_download
from ui.models import list as models_list

VIEWS = {"list": models_list.draw, "add": models_add.draw, "download": models_download.draw}

st.title(_("Models"), anchor=False)
st.caption(
    _(
        "Models on this machine. Start one, and it answers on the Chat page and to programs that speak the OpenAI protocol."
    )
)
view = sub_views.sub_views(
    [
        ("list", _("On this server"), ":material/deployed_code:"),
        ("add", _("Add a folder"), ":material/create_new_folder:"),
        ("download", _("Download"), ":material/cloud_download:"),
    ],
    current="list",
    key="view",
)
if st.session_state.get("models_view") != view:
    # What went wrong in one part is no news in another.
    st.session_state["models_view"] = view
    st.session_state.pop("models_problem", None)
if view == "list":
    serving.problem()
stored = st.session_state.get("models_problem")
if stored:
    ways = models_convert.actions(PanelError.from_dict(stored), st.session_state.get("add_name", "").strip())
    errors.show(stored, key="models", actions=ways)
    models_convert.forecast(PanelError.from_dict(stored))
said = st.session_state.pop("models_said", None)
if said:
    st.toast(errors.plain(said), icon=":material/check_circle:")
VIEWS[view]()
