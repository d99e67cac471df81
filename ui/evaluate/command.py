"""The exact settings of an evaluation, folded: they also run in a shell on the server, without the panel."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.i18n import _
from backend.workspace import ROOT

CONFIG = "config.py"
"""As the file is called that the config fold gives to download."""


def draw(specs: Sequence[Mapping[str, Any]]) -> None:
    """The fold; one line for each of ``specs``."""
    if not specs:
        return
    with st.expander(_("Exact command"), icon=":material/terminal:", type="compact", key="evaluate_command"):
        st.markdown(_("What the button does. It also runs in a shell on the server, without the panel."))
        text = "\n".join(line(spec) for spec in specs)
        st.code(f"cd {shlex.quote(str(ROOT))}\n{text}", language="bash", wrap_lines=True)


def line(spec: Mapping[str, Any]) -> str:
    """``python -m backend eval run --model starter --set bundled``."""
    parts = [sys.executable, "-m", "backend", "eval", "run"]
    for name, value in spec.items():
        parts += option(name, value)
    return shlex.join(parts)


def option(name: str, value: Any) -> list[str]:
    """The option of the field ``name``, with its value."""
    known = {"questions": "set", "timeout_s": "timeout"}
    if name == "config":
        return ["--config", CONFIG]
    if name == "subjects":
        return ["--subjects", ",".join(map(str, value))]
    return [f"--{known.get(name, name).replace('_', '-')}", str(value)]
