"""The button under a plan, and what it does; and the job that measures models beside each other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.i18n import _
from backend.quantize.plan import Plan, checked
from backend.queue.rows import JobRow
from backend.specs.quantize import QuantizeSpec
from ui import context, errors, once, words
from ui.quantize import links as quantize_links
from ui.quantize import state as quantize_state
from ui.quantize import words as quantize_words

PRESSED = "quantize_pressed"


def spec_of(made: Plan) -> dict[str, Any]:
    """The spec of the job as the plan ``made`` settled it; what is at its default is not named."""
    return made.spec.model_dump(mode="json", exclude_defaults=True)


def button(made: Plan) -> None:
    """Draw it for ``made``; off where that cannot run, which stands above it."""
    kind = made.kind
    label = quantize_words.button(made.spec.model, kind) if kind is not None else _("Quantize")
    st.button(
        errors.plain(label),
        key="quantize_start",
        type="primary",
        icon=words.verb_icon("quantize"),
        disabled=not made.runs,
        on_click=_start,
        args=(spec_of(made),),
    )
    if not made.runs:
        st.caption(_("What is marked red above has to be mended first."))
        return
    said = []
    if made.seconds is not None:
        until = words.clock(time.time() + made.seconds.likely)
        said.append(_("Started now, it is done about {time}.").format(time=until))
    if made.spec.report:
        said.append(_("Then a report card measures both, which takes a few minutes more."))
    if said:
        st.caption(" ".join(said))


def measure(models: Sequence[str], fields: dict[str, Any] | None = None) -> None:
    """Callback: a job that measures ``models`` beside each other, the base first."""
    row = _submit("report_card", {"models": list(models), **(fields or {})})
    if row is not None:
        st.query_params.from_dict(quantize_links.report(row.id))


def _start(spec: dict[str, Any]) -> None:
    """Callback: make the job, and go where it can be watched."""
    with quantize_state.problems():
        # What was true when the page was drawn may not be true any more.
        made = checked(context.workspace(), QuantizeSpec.model_validate(spec))
        row = _submit("quantize", spec_of(made))
        if row is not None:
            st.query_params.from_dict(quantize_links.run(row.id))
    st.session_state[PRESSED] = True


def _submit(verb: str, spec: dict[str, Any]) -> JobRow | None:
    """The job; None where it was refused, which the head of the page says then."""
    row: JobRow | None = None
    with quantize_state.problems():
        row = context.store().submit(verb, spec, submit_key=once.submit_key(verb))
        st.session_state[quantize_state.SAID] = _("Job {job} is on its way.").format(job=row.id)
    return row
