"""Addresses of the Quantize page, and the ways to it: from a model, from a job, with the settings of an earlier copy."""

from __future__ import annotations

import streamlit as st

from backend.catalog import ModelCard
from backend.i18n import _
from backend.workspace import ROOT

PAGE = ROOT / "pages" / "quantize.py"
VERBS = ("quantize", "report_card")
"""Kinds of jobs that are shown there."""


def run(job_id: int) -> dict[str, str]:
    """The address of job ``job_id``, as query parameters."""
    return {"step": "run", "job": str(job_id)}


def report(job_id: int) -> dict[str, str]:
    """The address of the report card that job ``job_id`` measured, as query parameters."""
    return {"step": "report", "job": str(job_id)}


def set_up(job_id: int) -> None:
    """Callback of a button on the Quantize page: the plan with the settings of ``job_id``."""
    st.query_params.from_dict({"step": "plan", "from_job": str(job_id)})


def draw(row_id: int, key: str) -> None:
    """The way to job ``row_id`` from a card; ``key`` is unique on the page. A link to the page that it stands on would change
    nothing, so there it is a button."""
    if st.session_state.get("page_shown") == PAGE.stem:  # see ui/shell.py
        st.button(
            _("Show this run"),
            key=f"{key}_run",
            icon=":material/monitoring:",
            type="tertiary",
            on_click=st.query_params.from_dict,
            args=(run(row_id),),
        )
    elif PAGE.is_file():
        st.page_link(PAGE, label=_("Show this run"), icon=":material/monitoring:", query_params=run(row_id))


def from_model(card: ModelCard) -> None:
    """The link from the model of ``card``; nothing where it is no whole model with weights that can be rounded."""
    if card.problem is None and not card.adapter_of and not card.quantization:
        smaller(card.name, _("Make smaller"))


def smaller(name: str, label: str) -> None:
    """The link ``label`` to the wizard with the model ``name`` chosen."""
    st.page_link(
        PAGE,
        label=label,
        icon=":material/compress:",
        query_params={"step": "method", "model": name},
        width="content",
    )
