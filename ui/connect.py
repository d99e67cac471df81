"""How a program reaches a model that runs here: the address as this person's browser sees it, curl and Python."""

from __future__ import annotations

import json
import shlex
from urllib.parse import urlsplit

import streamlit as st

from backend.i18n import _
from backend.workspace import ROOT

KEY_VARIABLE = "TUNEDECK_KEY"
SETTINGS_PAGE = ROOT / "pages" / "settings.py"


def origin() -> str:
    """Scheme, host and port of the panel as the browser sees it (through a tunnel that is another port than ours)."""
    parts = urlsplit(st.context.url or "")
    if parts.scheme and parts.netloc:
        return f"{parts.scheme}://{parts.netloc}"
    return f"http://127.0.0.1:{st.get_option('server.port')}"


def curl(base_url: str, model: str, prompt: str) -> str:
    """A shell command that asks ``model`` one question; the key comes from a variable, not from the history."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}]}, ensure_ascii=False)
    return (
        f"curl {shlex.quote(base_url + '/chat/completions')} \\\n"
        f'  -H "Authorization: Bearer ${KEY_VARIABLE}" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def python(base_url: str, model: str, prompt: str) -> str:
    """The same with the ``openai`` package, streaming."""
    return (
        "import os\n\n"
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url={json.dumps(base_url)}, api_key=os.environ["{KEY_VARIABLE}"])\n'
        "stream = client.chat.completions.create(\n"
        f"    model={json.dumps(model, ensure_ascii=False)},\n"
        f'    messages=[{{"role": "user", "content": {json.dumps(prompt, ensure_ascii=False)}}}],\n'
        "    stream=True,\n"
        ")\n"
        "for chunk in stream:\n"
        "    if chunk.choices:\n"
        '        print(chunk.choices[0].delta.content or "", end="", flush=True)\n'
    )


def draw(model: str) -> None:
    """Address, key and examples for ``model``."""
    base_url, prompt = origin() + "/v1", _("Who are you?")
    st.markdown(
        _(
            "Anything that speaks the OpenAI protocol can use this model, through the same port as this page. "
            "It needs an API key; make one on the Settings page and put it into the variable {variable}."
        ).format(variable=f"`{KEY_VARIABLE}`")
    )
    if SETTINGS_PAGE.is_file():
        st.page_link(SETTINGS_PAGE, label=_("Make an API key"), icon=":material/key:")
    st.caption(_("Base URL"))
    st.code(base_url, language=None)
    st.caption(_("Model name"))
    st.code(model, language=None)
    shell, code = st.tabs(["curl", "Python"])
    shell.code(f"export {KEY_VARIABLE}=...\n" + curl(base_url, model, prompt), language="bash", wrap_lines=True)
    code.code(python(base_url, model, prompt), language="python", wrap_lines=True)
