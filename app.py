"""What people start: ``make run``, which is ``streamlit run app.py`` on a free port of this machine only.

One port carries everything: the token gate lets in who has the link, ``/v1`` is the OpenAI gateway with keys of its own,
and the rest is Streamlit, whose script is ``ui/shell.py``. Starting needs neither torch nor pandas; the model servers
and all long work are processes of their own, kept by the watcher that starts with the panel and outlives it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config

from backend import i18n
from backend.errors import PanelError
from backend.i18n import _
from backend.settings import load
from backend.web import panel
from backend.web.address import check_bind, host_names, is_loopback, link, ssh_line
from backend.web.gate import Gate
from backend.web.gateway import Gateway
from backend.web.keys import Keys
from backend.web.running import Running
from backend.web.token import Token
from backend.workspace import open_workspace

i18n.use(i18n.from_environment())
# Without an address Streamlit listens on all of them.
host = config.get_option("server.address") or "0.0.0.0"  # noqa: S104
try:
    workspace = open_workspace()
    check_bind(host, allow_remote=load(workspace).allow_remote)
    token = Token(workspace)
    token.ensure()
except PanelError as error:
    sys.exit("\n".join(error.localized()))
hosts = list(dict.fromkeys([*config.get_option("server.allowedHosts"), *host_names(host)]))
config.set_option("server.allowedHosts", hosts)
gateway = Gateway(Keys(workspace), Running(workspace))


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    port = config.get_option("server.port")
    async with panel.opened(workspace, host, port, gateway.end):
        lines = [
            _("TuneDeck is open in the workspace {path}").format(path=workspace.root),
            f"  {link(host, port, token.current() or '')}",
            _("From another computer, run this there first and open the link then:"),
            f"  {ssh_line(port)}",
            _("Ctrl-C closes the panel; jobs and model servers go on."),
        ]
        if not is_loopback(host):
            lines.append(_("This address is open to the network, and nothing that goes over it is encrypted."))
        sys.stdout.write("\n" + "\n".join(lines) + "\n\n")
        sys.stdout.flush()
        yield
    await gateway.close()


gate = Middleware(Gate, token=token, hosts=hosts, api=gateway)
app = st.App("ui/shell.py", middleware=[gate], lifespan=lifespan)
