"""Sixth step: the report card of a run, which measures base and copy side by side; and one of models of one's own choice."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend import catalog
from backend.i18n import _
from backend.queue.rows import JobRow
from backend.specs.quantize import MOST_MODELS
from ui import context, empty, errors, words
from ui.jobs import card as job_card
from ui.quantize import done as quantize_done
from ui.quantize import links as quantize_links
from ui.quantize import look as quantize_look
from ui.quantize import report as quantize_report
from ui.quantize import state as quantize_state
from ui.quantize import submit as quantize_submit

LISTED = 50


def draw() -> None:
    """Draw the report card that the address names, else the newest; and the way to another one."""
    asked = st.query_params.get(quantize_state.JOB, "")
    job = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 16 else 0
    rows = _measured(job)
    row = next((one for one in rows if one.id == job), None)
    if row is None and rows:
        row = rows[0]
    if row is None:
        _empty()
    else:
        _choice(rows, row)
        moving = not row.done
        st.fragment(
            errors.guarded(partial(_body, row.id, moving), "quantize_report"), run_every=2 if moving else None
        )()
    _other()


def _measured(job: int) -> list[JobRow]:
    """Jobs with a report card, or about to have one, the newest first; ``job`` among them however old it is."""
    store = context.store()
    rows = {row.id: row for verb in quantize_links.VERBS for row in store.list(verb=verb, limit=LISTED)}
    if job and job not in rows:
        row = store.get(job)
        rows |= {job: row} if row.verb in quantize_links.VERBS else {}
    return [row for row in sorted(rows.values(), key=lambda row: -row.id) if _has(row)]


def _has(row: JobRow) -> bool:
    return quantize_look.has_report(row) or (row.verb == "report_card" and not row.done)


def _choice(rows: list[JobRow], row: JobRow) -> None:
    """Which report card, where there are several."""
    if len(rows) < 2:
        return
    titles = {one.id: f"{quantize_look.title(one)} · #{one.id} · {words.ago(one.ended or one.created)}" for one in rows}
    st.session_state["quantize_report_job"] = row.id
    st.selectbox(
        _("Report card"),
        list(titles),
        key="quantize_report_job",
        format_func=titles.__getitem__,
        on_change=_chosen,
        filter_mode="fuzzy" if len(rows) > 10 else None,
        label_visibility="collapsed",
        width=520,
    )


def _chosen() -> None:
    """Callback: another report card."""
    st.query_params.from_dict(quantize_links.report(int(st.session_state["quantize_report_job"])))


def _body(job_id: int, was_moving: bool) -> None:
    row = context.store().get(job_id)
    if row.done == was_moving:
        st.rerun()
    written = quantize_look.has_report(row)
    if not row.done or not written:
        job_card.draw(row, key=f"quantize_measuring_{job_id}", compact=True)
    if not written:
        return
    quantize_report.draw(row)
    for card in quantize_done.made(row)[:1]:
        quantize_done.next_steps(card, key=f"quantize_report_{job_id}", primary=True)


def _empty() -> None:
    text = _(
        "Here base and copy stand side by side, measured: size, speed, memory, and how much of its quality the copy "
        "keeps, with twenty answers to compare, and one sentence that says which to take."
    )
    with empty.state("scoreboard", _("No report card yet"), text, key="quantize_report_empty"):
        st.button(
            _("Choose a model"),
            key="quantize_report_new",
            type="primary",
            icon=":material/add:",
            on_click=quantize_state.go,
            args=("model",),
        )


def _other() -> None:
    """Any models of the list beside each other."""
    folded = st.expander(
        _("Measure other models beside each other"),
        icon=":material/add_chart:",
        type="compact",
        key="quantize_measure_other",
        on_change="rerun",
    )
    if not folded.open:
        return
    with folded:
        names = [card.name for card in catalog.models(context.workspace(), catalog.TRUST_S) if card.problem is None]
        chosen = st.multiselect(
            _("Models"),
            names,
            key="quantize_measure_models",
            max_selections=MOST_MODELS,
            placeholder=_("the base first, then its copies"),
            persist_state="session",
        )
        st.button(
            _("Measure {models}").format(models=errors.plain(", ".join(chosen))) if chosen else _("Measure"),
            key="quantize_measure",
            icon=words.verb_icon("report_card"),
            disabled=not chosen,
            help=None if chosen else _("Choose at least one model."),
            on_click=quantize_submit.measure,
            args=(list(chosen),),
        )
