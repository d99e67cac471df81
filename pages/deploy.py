"""Deploy. Its user wants three things: to put this model up for so many people within the memory there is, to see whether
the running servers are well and how loaded, and to connect a program to one."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from ui import errors, serving, sub_views
from ui.deploy import connect as deploy_connect
from ui.deploy import form as deploy_form
from ui.deploy import servers as deploy_servers

st.title(_("Deploy"), anchor=False)
servers = deploy_servers.live()
if not servers:
    st.caption(
        _(
            "Serve a model to colleagues and programs, through this panel's own port. A server goes on when you close the page."
        )
    )
view = sub_views.sub_views(
    [("servers", _("Servers"), ":material/dns:"), ("connect", _("Connect"), ":material/cable:")],
    current="servers",
    key="view",
)
said = st.session_state.pop("deploy_said", None)
if said:
    st.toast(errors.plain(said), icon=":material/play_circle:")
if view == "connect":
    deploy_connect.draw()
else:
    serving.problem()
    if servers:  # who has one comes to see how it is
        deploy_servers.draw()
        st.subheader(_("Start a server"), anchor=False)
        deploy_form.draw()
    else:
        deploy_form.draw()
        deploy_servers.draw()
