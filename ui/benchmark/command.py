"""The exact settings of a benchmark, folded: they also run in a shell on the server, without the panel."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

import streamlit as st

from backend.i18n import _
from backend.workspace import ROOT


def draw(verb: str, spec: dict[str, Any]) -> None:
    """Draw the fold for a job of ``verb`` with ``spec``."""
    with st.expander(_("Exact command"), icon=":material/terminal:", key=f"benchmark_command_{verb}", type="compact"):
        st.markdown(_("The job that the button makes. It also runs in a shell on the server, without the panel."))
        text = shlex.quote(json.dumps(spec, ensure_ascii=False))
        job = shlex.join([sys.executable, "-m", f"jobs.{verb}", f"{verb}.json"])
        st.code(f"cd {shlex.quote(str(ROOT))} && echo {text} > {verb}.json && {job}", language="bash", wrap_lines=True)
