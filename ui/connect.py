"""How a program reaches a model that runs here: the address as this person's browser sees it, and two examples."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from backend.deploy import connect
from backend.i18n import _
from backend.workspace import ROOT

SETTINGS_PAGE, DEPLOY_PAGE = ROOT / "pages" / "settings.py", ROOT / "pages" / "deploy.py"


def origin() -> str:
    """Scheme, host and port of the panel as the browser sees it (through a tunnel that is another port than ours)."""
    parts = urlsplit(st.context.url or "")
    if parts.scheme and parts.netloc:
        return f"{parts.scheme}://{parts.netloc}"
    return f"http://127.0.0.1:{st.get_option('server.port')}"


def draw(model: str) -> None:
    """Address, key and two examples for ``model``, short enough for a card; the Deploy page has them all."""
    here, prompt = origin(), _("Who are you?")
    st.markdown(
        _(
            "Anything that speaks the OpenAI protocol can use this model, through the same port as this page. "
            "It needs an API key; make one on the Settings page and put it into the variable {variable}."
        ).format(variable=f"`{connect.KEY_VARIABLE}`")
    )
    with st.container(horizontal=True):
        if SETTINGS_PAGE.is_file():
            st.page_link(SETTINGS_PAGE, label=_("Make an API key"), icon=":material/key:")
        link(model, _("All examples"))
    names(here, model)
    shell, code = st.tabs(["curl", "Python"])
    shell.code(f"{connect.export()}\n{connect.curl(here, model, prompt)}", language="bash", wrap_lines=True)
    code.code(connect.openai(here, model, prompt), language="python", wrap_lines=True)


def names(here: str, model: str) -> None:
    """What every client asks for: the base URL and the model's name."""
    address, name = st.columns(2)
    address.caption(_("Base URL"))
    address.code(f"{here}/v1", language=None, wrap_lines=True)
    name.caption(_("Model name"))
    name.code(model, language=None, wrap_lines=True)


def link(model: str, label: str) -> None:
    """The way to the *Connect* part of the Deploy page, with ``model`` chosen there."""
    if DEPLOY_PAGE.is_file():
        asked = {"view": "connect", "model": model}
        st.page_link(DEPLOY_PAGE, label=label, icon=":material/cable:", query_params=asked)


def deploy_link(model: str) -> None:
    """The way to the Deploy page, where ``model`` is served with settings of one's own."""
    if DEPLOY_PAGE.is_file():
        st.page_link(DEPLOY_PAGE, label=_("Deploy with settings"), icon=":material/dns:", query_params={"model": model})
