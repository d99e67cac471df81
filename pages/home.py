"""Home. Its user wants to know: what is this machine and is all well; what runs, waits, failed; what do I do next."""

from __future__ import annotations

import time

import streamlit as st

from backend.i18n import _
from backend.queue import rebuild
from backend.queue.rows import LIVE, JobRow
from ui import context, errors, job_card, machine_view, next_step, pace, serving

SHOWN = 6
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

left, right = st.columns(2, gap="medium")
with right:
    machine_view.card(machine_view.read())

with left, st.container(border=True, height="stretch", key="next_step"):
    next_step.draw(answering, newcomer=newcomer)


def needing() -> list[JobRow]:
    """What failed or was lost in the last week and was not tried again since."""
    recent, seen, found = store.list(limit=200), set(), []
    for row in recent:
        fresh = row.state in ("failed", "lost") and time.time() - (row.ended or row.created) < WEEK_S
        if fresh and (row.verb, row.title) not in seen:
            found.append(row)
        seen.add((row.verb, row.title))
    return found[:3]


def jobs() -> None:
    """Running, waiting, what needs a person, what ended: newest first, a few of each."""
    groups = [
        (_("Running"), store.list(states=LIVE, limit=SHOWN)),
        (_("Waiting"), store.queue()[:SHOWN]),
        (_("Needs you"), needing()),
        (_("Finished"), store.list(states=("succeeded", "cancelled"), limit=3)),
    ]
    for title, rows in groups:
        if rows:
            st.subheader(title, anchor=False)
        for start in range(0, len(rows), 2):
            for column, row in zip(st.columns(2, gap="medium"), rows[start : start + 2], strict=False):
                with column:
                    job_card.draw(row, key=f"home_{row.id}", compact=True)
    if not any(rows for _title, rows in groups):
        st.caption(
            _("Nothing runs, waits or has ended yet. What you start appears here, and goes on without this page.")
        )
    if pace.now() != every or set(answering) != set(serving.answering()):
        st.rerun()  # the next step may be another one now, and the timer's pace too


every = pace.now()
st.fragment(errors.guarded(jobs, "jobs"), run_every=every)()
