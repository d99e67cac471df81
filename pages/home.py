"""Home. Its user wants to know: what runs, waits and has ended while I was away, and what does it mean; what failed, and what helps;
is this machine well, and what do I do next."""

from __future__ import annotations

import time

import streamlit as st

from backend.i18n import _
from backend.notices import news
from backend.queue import rebuild
from backend.queue.rows import LIVE, JobRow
from ui import context, errors, machine_view, next_step, pace, serving
from ui.jobs import card as job_card
from ui.notices import part as notices_part
from ui.notices import state as notices_state

SHOWN, FEW, LOOKED_AT = 6, 3, 50
WEEK_S = 7 * 24 * 3600

store = context.store()
counts = store.counts()
newcomer = not any(counts.values())
answering = serving.answering()

st.title(_("Welcome to TuneDeck") if newcomer else _("Home"), anchor=False)
if newcomer:
    st.markdown(
        _(
            "TuneDeck takes a language model through its whole life on this machine: you talk to it, teach it, "
            "serve it to others and measure it. No code needed."
        )
    )
serving.problem()
damaged = rebuild.notice(context.workspace())
if damaged is not None:
    read = errors.Action(_("I have read this"), rebuild.dismiss_notice, (context.workspace(),))
    errors.show(damaged, key="rebuilt", actions=[read])


def needing(told: set[int]) -> list[JobRow]:
    """What failed or was lost in the last week and was not tried again since; without what is told already."""
    failed = store.list(states=news.FAILED, limit=LOOKED_AT)
    rows = [row for row in failed if row.id not in told and time.time() - (row.ended or row.created) < WEEK_S]
    again = news.retried(store, rows)
    newest = {(row.verb, row.title): row for row in reversed(rows)}.values()
    return sorted((row for row in newest if row.id not in again), key=lambda row: -row.id)[:FEW]


def jobs() -> None:
    """What ended meanwhile; then what runs, waits, needs a person, and has ended: newest first, a few of each."""
    found = notices_state.look()
    notices_part.draw(found)
    told = {row.id for row in found.rows}
    groups = [
        (_("Running"), store.list(states=LIVE, limit=SHOWN)),
        (_("Waiting"), store.queue(SHOWN)),
        (_("Needs you"), needing(told)),
        (
            _("Finished"),
            [row for row in store.list(states=("succeeded", "cancelled"), limit=FEW) if row.id not in told],
        ),
    ]
    for title, rows in groups:
        if rows:
            st.subheader(title, anchor=False)
        for row in rows:
            job_card.draw(row, key=f"home_{row.id}", compact=True)
    if not found.rows and not any(rows for _title, rows in groups):
        st.caption(
            _("Nothing runs, waits or has ended yet. What you start appears here, and goes on without this page.")
        )
    if pace.now() != every or set(answering) != set(serving.answering()):
        st.rerun()  # the next step may be another one now, and the timer's pace too


left, right = st.columns([8, 5] if not newcomer else 2, gap="medium")
every = pace.now()
with left:
    if newcomer:
        with st.container(border=True, key="next_step"):
            next_step.draw(answering, newcomer=True)
    st.fragment(errors.guarded(jobs, "jobs"), run_every=every)()
with right:
    if not newcomer:
        with st.container(border=True, key="next_step"):
            next_step.draw(answering, newcomer=False)
    with st.container(key="machine"):  # as high as what it holds, not as what stands at the left
        machine_view.card(machine_view.read())
