"""The ways to the Evaluate page: from a job's card to its scores, from a model to its form, and to models side by side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.compare import pairs
from backend.i18n import _
from backend.workspace import ROOT
from ui import context

PAGE = ROOT / "pages" / "evaluate.py"
VERBS = ("evaluate",)
"""Kinds of jobs that are shown there."""
MOST_RUNS = 8


def address(run: int) -> dict[str, str]:
    """The address of the scores of ``run``, as query parameters."""
    return {"view": "results", "run": str(run)}


def of_job(job: int) -> dict[str, str]:
    """The address of what ``job`` measures, also before its run is begun."""
    return {"view": "results", "job": str(job)}


def form(*models: str, questions: str = "") -> dict[str, str | list[str]]:
    """The address of the form with ``models`` chosen, each as one ``model`` of its own, and with a set of questions."""
    address: dict[str, str | list[str]] = {"view": "run"}
    if models:
        address["model"] = list(models)
    if questions:
        address["set"] = questions
    return address


def side_by_side(runs: Sequence[int]) -> dict[str, str]:
    """The address of the comparison of ``runs``, the first one being what the others are held against."""
    return {"view": "compare", "runs": ",".join(str(run) for run in runs[:MOST_RUNS])}


def draw(job: int) -> None:
    """The link to the scores of ``job``; nothing on the page that shows them."""
    if _elsewhere():
        st.page_link(PAGE, label=_("Open scores"), icon=":material/fact_check:", query_params=of_job(job))


def evaluate(*models: str, label: str = "") -> None:
    """The link to the form that evaluates ``models``: base and tuned, for example."""
    if _elsewhere():
        text = label or _("Evaluate it")
        st.page_link(PAGE, label=text, icon=":material/fact_check:", query_params=form(*models))


def with_base(model: str, label: str) -> None:
    """The link ``label`` to the form with ``model`` and what it was made from; with the model alone where that is not on the list."""
    pair = pairs.base_and_tuned(context.workspace(), model)
    if pair is None:
        evaluate(model)
    else:
        evaluate(*pair, label=label)


def compare(runs: Sequence[int], label: str = "") -> None:
    """The link that lays ``runs`` side by side."""
    if PAGE.is_file() and len(runs) > 1:
        text = label or _("Compare these runs")
        st.page_link(PAGE, label=text, icon=":material/compare_arrows:", query_params=side_by_side(runs))


def _elsewhere() -> bool:
    return st.session_state.get("page_shown") != PAGE.stem and PAGE.is_file()  # see ui/shell.py
