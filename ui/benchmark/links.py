"""The way to a result on the Benchmark page from a job's card, and to a measurement of a server."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from backend.workspace import ROOT

PAGE = ROOT / "pages" / "benchmark.py"
VERBS = ("bench", "bench_matrix")
"""Kinds of jobs that are shown there."""


def address(job: int) -> dict[str, str]:
    """The address of the result of ``job``, as query parameters."""
    return {"view": "results", "job": str(job)}


def measure(server: str) -> None:
    """The link to the form that measures the running ``server``."""
    if PAGE.is_file():
        query = {"view": "measure", "model": server}
        st.page_link(PAGE, label=_("Measure it"), icon=":material/speed:", query_params=query)


def draw(job: int) -> None:
    """The link to the result of ``job``; nothing on the page that shows it."""
    if st.session_state.get("page_shown") != PAGE.stem and PAGE.is_file():  # see ui/shell.py
        st.page_link(PAGE, label=_("Open result"), icon=":material/monitoring:", query_params=address(job))
