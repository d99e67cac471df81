"""Everything about one job: its card, phases, charts, log, exact command, spec, and what can be done with it."""

from __future__ import annotations

import json
import shlex
import time
from datetime import datetime
from functools import partial
from pathlib import Path

import streamlit as st

from backend import catalog
from backend.errors import PanelError
from backend.i18n import _
from backend.queue.rows import JobRow
from backend.queue.series import Phase, Series
from backend.specs import spec_class
from backend.workspace import ROOT
from ui import charts, context, errors, log_view, made_models, once, spec_form, words
from ui.jobs import card as job_card
from ui.jobs import forecast as job_forecast
from ui.jobs import memory as job_memory
from ui.jobs import why as job_why

SECTIONS = ("overview", "log", "command", "again")
TIMELINE = 8
"""Phases shown; a run that alternates between training and evaluating has hundreds."""


def draw(job_id: int) -> None:
    """Draw the details of job ``job_id``; the part that changes is redrawn every second while the job waits or works.

    Raises:
        NotFoundError: there is no such job.
    """
    moving = not context.store().get(job_id).done
    st.fragment(errors.guarded(partial(_body, job_id, moving), "job"), run_every=1 if moving else None)()


def _body(job_id: int, was_moving: bool) -> None:
    if st.query_params.get("job") != str(job_id):
        st.rerun()  # it was deleted here, or another one was opened
    row = context.store().get(job_id)
    if row.done == was_moving:
        st.rerun()  # it ended or was resumed: the page starts or stops to redraw itself
    job_card.draw(row, key=f"job_{job_id}", links=False)
    section = _section(job_id)
    if section == "overview":
        _overview(row)
    elif section == "log":
        log_view.draw(row, key=f"log_{job_id}")
    elif section == "command":
        _command(row)
    else:
        _again(row)
    if row.done:
        _delete(row)


def _section(job_id: int) -> str:
    """The chosen section, kept in the URL so that a reload and another tab show the same."""
    names = {
        "overview": _("Overview"),
        "log": _("Log"),
        "command": _("Command"),
        "again": _("Run again"),
    }
    key = f"job_section_{job_id}"
    asked = st.query_params.get("tab", "")
    if key not in st.session_state:
        st.session_state[key] = asked if asked in SECTIONS else SECTIONS[0]

    def remember() -> None:
        st.query_params["tab"] = st.session_state[key]

    chosen = st.segmented_control(
        _("Section"),
        SECTIONS,
        key=key,
        format_func=names.__getitem__,
        required=True,
        label_visibility="collapsed",
        on_change=remember,
    )
    return chosen or SECTIONS[0]


@st.cache_resource(show_spinner=False, max_entries=16)
def _series(job_dir: str) -> Series:
    return Series(Path(job_dir))


def _overview(row: JobRow) -> None:
    series = _series(str(context.store().job_dir(row.id))).update()
    _timeline(row, series.phases)
    job_forecast.draw(row)
    job_memory.draw(row)
    if series.curves:
        charts.metrics(series.curves, key=f"chart_{row.id}")
    made = context.store().artifacts(row.id) if row.done else []
    if made:
        st.subheader(_("What it made"))
        for item in made:
            st.markdown(
                f"**{errors.plain(str(item.get('label') or item.get('kind')))}** · {words.stamp(item.get('t'))}"
            )
            st.code(str(item.get("path", "")), language=None, wrap_lines=True)


def _timeline(row: JobRow, phases: list[Phase]) -> None:
    """The phases of the newest attempt, each with how long it took; the last one of a live job goes on."""
    begun = row.started or 0.0
    shown = [phase for phase in phases if phase.t >= begun - 1][-TIMELINE:]
    if not shown:
        return
    ends = [phase.t for phase in shown[1:]] + [row.ended if row.done and row.ended else time.time()]
    parts = []
    for phase, end in zip(shown, ends, strict=True):
        last = phase is shown[-1] and row.live
        colour, icon = ("violet", ":material/sync:") if last else ("gray", ":material/check:")
        took = words.duration(max(0.0, end - phase.t))
        parts.append(f":{colour}-badge[{icon} {errors.plain(words.phase_word(phase.name))} · {took}]")
    st.markdown(" → ".join(parts), help=_("Phases of this attempt, and how long each took"))


def _command(row: JobRow) -> None:
    store = context.store()
    st.markdown(_("The exact command. It also runs in a shell on the server, without the panel."))
    st.code(f"cd {shlex.quote(str(ROOT))} && {shlex.join(store.command(row.id))}", language="bash", wrap_lines=True)
    st.markdown(_("Its settings, as they were submitted:"))
    st.code(json.dumps(store.spec(row.id), ensure_ascii=False, indent=2), language="json", wrap_lines=True)
    st.markdown(_("Its folder on the server:"))
    st.code(str(store.job_dir(row.id)), language=None, wrap_lines=True)
    rows = []
    for number in log_view.attempts(row):
        info = (store.job_dir(row.id) / f"attempt-{number}.log").stat()
        rows.append(
            {
                _("Attempt"): number,
                _("Log"): words.size(info.st_size),
                _("Last line written"): datetime.fromtimestamp(info.st_mtime, words.timezone()).isoformat(
                    " ", "seconds"
                ),
            }
        )
    if rows:
        st.dataframe(rows, hide_index=True, width="content", alt=_("Attempts of this job"))


def _again(row: JobRow) -> None:
    """Run again with changes: the spec as a form or as JSON; what is wrong is said about all fields at once."""
    store = context.store()
    key = f"again_{row.id}"
    try:
        cls = spec_class(row.verb)
    except PanelError as error:
        errors.show(error, key=key)
        return
    st.markdown(_("A new job with these settings. Job {job} stays as it is.").format(job=row.id))
    change, reason = job_why.proposed(row)
    if change:
        st.markdown(":material/tune: " + errors.plain(_("Already changed below: {what}").format(what=reason)))
    mode = st.segmented_control(
        _("Edit as"),
        ["form", "json"],
        key=f"{key}_mode",
        default="form",
        required=True,
        format_func=lambda m: _("Form") if m == "form" else "JSON",
    )
    with st.form(f"{key}_form", enter_to_submit=False):
        title = st.text_input(_("Name"), row.title, key=f"{key}_title", max_chars=200)
        spec = store.spec(row.id) | change
        values = spec_form.draw(cls, spec, key=key) if mode == "form" else {}
        text = ""
        if mode == "json":
            text = st.text_area(
                _("Settings as JSON"), json.dumps(spec, ensure_ascii=False, indent=2), key=f"{key}_json", height=320
            )
        sent = st.form_submit_button(
            _("Run {name} again").format(name=words.verb_word(row.verb)), type="primary", icon=":material/replay:"
        )
    if not sent:
        return
    try:
        data = spec_form.from_json(text) if mode == "json" else values
        new = store.submit(row.verb, data, title=title or "", submit_key=once.submit_key(key), parent=row.id)
    except PanelError as error:
        errors.show(error, key=key)
        return
    st.query_params.from_dict({"job": str(new.id)})
    st.rerun()


def _delete(row: JobRow) -> None:
    """Delete in two clicks; the second one says what it frees."""
    key = f"delete_{row.id}"
    if not st.session_state.get(f"{key}_asked"):
        st.button(_("Delete job"), key=key, icon=":material/delete:", type="tertiary", on_click=_ask, args=(key, True))
        return
    freed = words.size(context.store().folder_bytes(row.id))
    with st.container(border=True, key=f"{key}_box"):
        st.markdown(
            _(
                "Delete job {job} with its log, its figures and what it made? This frees {size} and cannot be undone."
            ).format(job=row.id, size=freed)
        )
        going = made_models.inside(context.store().job_dir(row.id))
        if going:
            st.markdown(
                ":orange[:material/warning:] "
                + errors.plain(
                    _("These models on the list lie in its folder, and go with it: {names}.").format(
                        names=", ".join(going)
                    )
                )
            )
        with st.container(horizontal=True):
            st.button(
                _("Delete and free {size}").format(size=freed),
                key=f"{key}_yes",
                icon=":material/delete:",
                type="primary",
                on_click=_really_delete,
                args=(row.id, key),
            )
            st.button(_("Keep it"), key=f"{key}_no", on_click=_ask, args=(key, False))
        stored = st.session_state.get(f"{key}_problem")
        if stored:
            errors.show(stored, key=key)


def _ask(key: str, asked: bool) -> None:
    st.session_state[f"{key}_asked"] = asked
    st.session_state.pop(f"{key}_problem", None)


def _really_delete(job_id: int, key: str) -> None:
    going = made_models.inside(context.store().job_dir(job_id))
    try:
        freed = context.store().delete(job_id)
        for name in going:
            catalog.remove(context.workspace(), name)
    except PanelError as error:
        st.session_state[f"{key}_problem"] = error.to_dict()
        return
    _ask(key, False)
    st.query_params.clear()
    st.session_state["jobs_said"] = _("Job {job} is deleted; {size} freed.").format(job=job_id, size=words.size(freed))
