"""Why a job failed, where the job itself cannot say: the diagnosis of its log, and buttons for what helps."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from backend.diagnosis import Finding, diagnose
from backend.errors import PanelError
from backend.i18n import _
from backend.memory.moments import NO_MEMORY, NO_MEMORY_IN_LOG
from backend.queue import folder
from backend.queue.rows import JobRow
from backend.specs import takes
from backend.workspace import ROOT
from ui import context
from ui.errors import Action, Why

JOBS_PAGE, SETTINGS_PAGE, ENVIRONMENTS_PAGE, MEMORY_PAGE = (
    ROOT / "pages" / f"{name}.py" for name in ("jobs", "settings", "environments", "memory")
)
VAGUE = (
    "job_crashed",
    "job_killed",
    "job_no_result",
    "engine_crashed",
    "engine_load_failed",
    "engine_killed",
    "env_pip_failed",
    "awq_failed",
    "opencompass_failed",
    "lm_eval_failed",
)
"""Errors that only say that a program ended; all others know their cause."""
ON_SETTINGS = ("hubs", "hub_token", "index", "proxy")
BUTTONS = 3
COUNT_UP_TO = 32 << 20
"""A larger log is not read through for the numbers of its lines: a page must not wait for that."""


def finding(row: JobRow) -> Finding | None:
    """The likeliest cause of the failure of ``row``, told from its log; None where its error says it, or nobody knows."""
    if row.state != "failed" or row.error.get("code") not in VAGUE:
        return None
    log = folder.log_file(context.store().job_dir(row.id), row.attempt)
    try:
        stat = log.stat()
    except OSError:
        return None
    engine = str(context.store().spec(row.id).get("engine", ""))
    about = tuple(name for name in (engine, row.verb) if name and name != "auto")
    return _finding(str(log), stat.st_size, stat.st_mtime_ns, _exit_code(row), about)


def why(row: JobRow, found: Finding) -> Why:
    """What the error card shows of ``found``."""
    fixes = [fix for fix in found.fixes() if _fits(row, fix)]
    return Why(
        cause=found.cause(),
        line=found.line,
        text=found.text if found.line else "",
        helps=tuple(fix["text"] for fix in fixes if fix["kind"] != "command"),
        commands=tuple((fix["hint"], fix["text"]) for fix in fixes if fix["kind"] == "command"),
    )


def summary(row: JobRow, found: Finding) -> tuple[str, str]:
    """(cause, what helps most) for a card with little room."""
    helps = why(row, found).helps
    return found.cause(), helps[0] if helps else ""


def actions(row: JobRow, found: Finding) -> list[Action]:
    """A button for everything of ``found`` that the panel can do, the likeliest first."""
    fixes = [fix for fix in found.fixes() if _fits(row, fix)]
    # One way into the form: with the first fix that names a value.
    into = next((fix for fix in fixes if "value" in fix), next((fix for fix in fixes if fix["kind"] == "spec"), None))
    fixes = [fix for fix in fixes if fix["kind"] != "spec" or fix is into]
    made = {action.label: action for fix in reversed(fixes) if (action := _action(row, fix)) is not None}
    return list(reversed(made.values()))[:BUTTONS]


def memory_then(row: JobRow, found: Finding | None) -> Action | None:
    """Where the memory was not enough: the way to the minute in which it was not. None where it failed of something else."""
    short = row.error.get("code") in NO_MEMORY or (found is not None and found.code in NO_MEMORY_IN_LOG)
    if row.state != "failed" or not short or row.ended is None:
        return None
    query = {"view": "past", "at": f"{row.ended:.0f}", "job": str(row.id)}
    hint = _("Who had the memory when it was not enough, and what happened before.")
    return Action(
        _("See the memory at that minute"), icon=":material/memory_alt:", help=hint, page=MEMORY_PAGE, query=query
    )


def proposed(row: JobRow) -> tuple[dict[str, Any], str]:
    """(what to change of the job's settings, why): the value that the fix in the address names; nothing without one."""
    field = st.query_params.get("fix", "")
    found = finding(row) if field else None
    for fix in found.fixes() if found else []:
        if fix.get("field") == field and "value" in fix and _fits(row, fix):
            return {field: fix["value"]}, fix["text"]
    return {}, ""


@st.cache_data(show_spinner=False, max_entries=256)
def _finding(path: str, size: int, mtime_ns: int, exit_code: int | None, about: tuple[str, ...]) -> Finding | None:
    """Read once per state of the file; size and time are in the arguments for that."""
    try:
        found = diagnose(Path(path), exit_code=exit_code, about=about, count_up_to=COUNT_UP_TO)
    except PanelError:  # the log is gone or no text: then there is nothing to tell
        return None
    return found[0] if found else None


def _exit_code(row: JobRow) -> int | None:
    params = row.error.get("params") or {}
    code = params.get("exit_code", params.get("exit"))
    if isinstance(code, int):
        return code
    name = str(params.get("signal", ""))
    return -signal.Signals[name].value if name in signal.Signals.__members__ else None


def _fits(row: JobRow, fix: dict[str, Any]) -> bool:
    """Whether the fix can be meant for this job: not every kind of job has every field, or the value in it."""
    if fix["kind"] != "spec":
        return True
    try:
        return takes(row.verb, fix["field"], fix.get("value"))
    except PanelError:
        return False


def _action(row: JobRow, fix: dict[str, Any]) -> Action | None:
    label = fix["text"].rstrip(".。")
    if fix["kind"] == "spec":
        query = {"job": str(row.id), "tab": "again", "fix": fix["field"]}
        show = partial(_show_again, row.id)
        return Action(_("Change and run again"), show, (), ":material/edit:", help=label, page=JOBS_PAGE, query=query)
    if fix["kind"] == "environment" and ENVIRONMENTS_PAGE.is_file():
        query = {"engine": str(fix["engine"])} if fix.get("engine") else {}
        return Action(
            _("Open Environments"), icon=":material/inventory_2:", help=label, page=ENVIRONMENTS_PAGE, query=query
        )
    if fix["kind"] == "setting" and fix["name"] in ON_SETTINGS:
        return Action(_("Open Settings"), icon=":material/settings:", help=label, page=SETTINGS_PAGE)
    return None


def _show_again(job_id: int) -> None:
    st.session_state[f"job_section_{job_id}"] = "again"
