"""Pickled weights on the Models page: the button that writes them as safetensors, and the conversions on their way."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _
from backend.memory import planned
from backend.memory.sample import HOST
from backend.queue.rows import JobRow
from backend.specs import parse
from backend.specs.convert import ConvertSpec
from backend.workspace import ROOT
from ui import context, errors, once
from ui.fit import meter as fit_meter
from ui.fit import now as fit_now

CODE = "model_pickled"
"""The problem that a conversion solves; its parameter ``folder`` says where."""
JOBS_PAGE = ROOT / "pages" / "jobs.py"
_LIVE = ("queued", "starting", "running", "stopping")


def under_way() -> list[JobRow]:
    """The conversions that wait or run."""
    return context.store().list(states=_LIVE, verb="convert", limit=100)


def actions(problem: PanelError, name: str = "") -> list[errors.Action]:
    """The way on for the error card of ``problem``; none where converting does not help. name: on the list, afterwards."""
    folder = str(problem.params.get("folder", ""))
    if problem.code != CODE or not folder:
        return []
    return [errors.Action(_label(), _submit, (folder, name), ":material/sync_alt:", help=_help())]


def button(problem: PanelError, name: str, key: str) -> None:
    """The same in a list, where a card would be too much; on its way, the link to its job."""
    row = next((row for row in under_way() if _folder(row) == str(problem.params.get("folder", ""))), None)
    if row is not None:
        st.page_link(
            JOBS_PAGE,
            label=_("Job {job} converts it").format(job=row.id),
            icon=":material/sync_alt:",
            query_params={"job": str(row.id)},
        )
        return
    for action in actions(problem, name):
        forecast(problem)
        action.draw(f"convert_{key}", primary=False)


def forecast(problem: PanelError) -> None:
    """Whether there is memory for it; nothing where converting does not help, or nobody can tell."""
    folder = str(problem.params.get("folder", ""))
    found = planned.converting(Path(folder)) if problem.code == CODE and folder else None
    if found is not None:
        help_ = _("Converting holds one file at a time. What it reads beyond that is given back when memory is short.")
        st.caption(fit_meter.line(found.estimate, fit_now.budget(HOST), found.later), help=help_)


def _label() -> str:
    return _("Convert to safetensors")


def _help() -> str:
    return _("Writes the weights into a new folder, running no code of the file; the folder itself stays as it is.")


def _folder(row: JobRow) -> str:
    spec = context.store().spec(row.id)
    return str(spec.get("path", ""))


def _submit(folder: str, name: str) -> None:
    """Callback: make the job; one that is under way is not begun twice."""
    for place in ("models_problem", "models_said"):
        st.session_state.pop(place, None)
    try:
        spec = parse("convert", {"path": folder, "name": name or Path(folder).name})
        assert isinstance(spec, ConvertSpec)
        same = next((row for row in under_way() if _folder(row) == spec.path), None)
        row = same or context.store().submit(
            "convert", spec.model_dump(mode="json"), submit_key=once.submit_key(f"convert-{spec.path}")
        )
    except PanelError as error:
        st.session_state["models_problem"] = error.to_dict()
        return
    st.session_state["models_said"] = _("Job {job} converts it; it comes onto the list when it is done.").format(
        job=row.id
    )
