"""Addresses of the Fine-tune page: a run, and a new run that begins with what another one had."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from backend.i18n import _
from backend.workspace import ROOT

PAGE = ROOT / "pages" / "finetune.py"
VERBS = ("finetune", "rehearse")
"""Kinds of jobs that are runs."""


def run(job_id: int) -> dict[str, str]:
    """The address of run ``job_id``, as query parameters."""
    return {"view": "runs", "job": str(job_id)}


def new_run(job_id: int, fields: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The address of a new run with the settings of ``job_id``, in which ``fields`` of the spec are different."""
    return {"view": "new", "from_job": str(job_id), **{name: _text(value) for name, value in (fields or {}).items()}}


def set_up(job_id: int, fields: Mapping[str, Any] | None = None) -> None:
    """Callback of a button on the Fine-tune page: the form of :func:`new_run`."""
    st.query_params.from_dict(new_run(job_id, fields))


def draw(job_id: int, key: str) -> None:
    """The way to run ``job_id`` from a card; ``key`` is unique on the page. A link to the page that it stands on would change
    nothing, so there it is a button."""
    if st.session_state.get("page_shown") == PAGE.stem:  # see ui/shell.py
        st.button(
            _("Open run"),
            key=f"{key}_run",
            icon=":material/monitoring:",
            type="tertiary",
            on_click=st.query_params.from_dict,
            args=(run(job_id),),
        )
    elif PAGE.is_file():
        st.page_link(PAGE, label=_("Open run"), icon=":material/monitoring:", query_params=run(job_id))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
