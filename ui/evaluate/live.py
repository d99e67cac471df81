"""An evaluation while it runs: its card, the accuracy so far and how sure it is, and each subject with what came of it.

What is redrawn every two seconds is one row of the queue, two counting queries and a table of plain HTML.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend.errors import PanelError
from backend.evaluate.records import Outcome, Run, Tally
from backend.i18n import _, ngettext
from backend.queue.rows import JobRow
from ui import context, errors, pace, words
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import links as evaluate_links
from ui.evaluate import live_table as evaluate_live_table
from ui.evaluate import look as evaluate_look
from ui.evaluate import state as evaluate_state
from ui.evaluate import trial as evaluate_trial
from ui.jobs import card as job_card

OVER = ("cancelled", "lost", "failed")
WAITING = ("queued", "starting", "running", "stopping")
MOST_OTHERS = 8


def draw(job_id: int) -> None:
    """Draw the job ``job_id``: how it moves, or why it stopped and how it goes on; nothing of one that ended well.

    Raises:
        NotFoundError: there is no such job.
    """
    row = context.store().get(job_id)
    moving = not row.done
    st.fragment(
        errors.guarded(partial(_body, job_id, moving), f"evaluate_live_{job_id}"),
        run_every=pace.MOVING_S if moving else None,
    )()


def _body(job_id: int, was_moving: bool) -> None:
    row = context.store().get(job_id)
    if row.done == was_moving:
        st.rerun()  # it ended or was resumed: the page starts or stops to redraw itself
    spec = context.store().spec(job_id)
    if spec.get("trial"):
        job_card.draw(row, key=f"evaluate_{job_id}")
        evaluate_trial.result(row)
    elif row.state != "succeeded":
        job_card.draw(row, key=f"evaluate_{job_id}")
        run = _run(job_id)
        tallies = evaluate_state.runs().tallies(run.id) if run is not None else []
        if row.state in OVER:
            _goes_on(tallies)
        else:
            if run is not None:
                _so_far(run, tallies)
            others(job_id)
    evaluate_state.redraw_if_pressed()


def others(job_id: int) -> None:
    """The other evaluations that wait or run, each one line with a way to it."""
    found = [row for row in evaluate_state.rows() if row.id != job_id and row.state in WAITING]
    if not found:
        return
    text = ngettext("{n} more evaluation is on its way", "{n} more evaluations are on their way", len(found))
    st.caption(text.format(n=len(found)))
    with st.container(gap="xsmall", key=f"evaluate_others_{job_id}"):
        for row in found[:MOST_OTHERS]:
            st.button(
                f"{errors.plain(row.title)} · {words.look(row).word}{_share(row)}",
                key=f"evaluate_other_{row.id}",
                type="tertiary",
                icon=words.look(row).icon,
                on_click=evaluate_state.go,
                args=(evaluate_links.of_job(row.id),),
            )


def _run(job_id: int) -> Run | None:
    try:
        return evaluate_state.runs().run_of_job(job_id)
    except PanelError:
        return None  # a record that cannot be read hides no card; the view below says what is wrong with it


def _share(row: JobRow) -> str:
    share = words.progress_of(row)
    return f" · {100 * share:.0f} %" if share is not None and row.live else ""


def _goes_on(tallies: list[Tally]) -> None:
    """What going on means: nothing is asked twice."""
    asked = sum(tally.asked - tally.failed for tally in tallies)
    planned = sum(tally.planned for tally in tallies)
    if not asked:
        return
    text = _("{asked} of {planned} answers are kept. Resume asks only what is missing.")
    st.markdown(":material/rule: " + text.format(asked=f"{asked:,}", planned=f"{planned:,}"))


def _so_far(run: Run, tallies: list[Tally]) -> None:
    if not tallies:
        st.caption(_("The first answers are awaited."))
        return
    found = evaluate_figures.headline((), tallies)
    with st.container(border=True, key=f"evaluate_so_far_{run.id}", gap="small"):
        if found.share is None:
            st.caption(_("The first answers are awaited."))
        else:
            asked = sum(tally.asked for tally in tallies)
            text = _("So far {share}, between {low} and {high} % (95 %)")
            said = text.format(share=found.said(), low=f"{found.low or 0:.0f}", high=f"{found.high or 0:.0f}")
            st.markdown(f"**{errors.plain(said)}**")
            counts = _("{asked} of {planned} asked: {right} right").format(
                asked=f"{asked:,}", planned=f"{found.planned or 0:,}", right=f"{found.right or 0:,}"
            )
            came: dict[Outcome, int | None] = {"unread": found.unread, "failed": found.failed}
            more = [f"{count:,} {evaluate_look.OUTCOMES[name].word}" for name, count in came.items() if count]
            st.caption(errors.plain(" · ".join([counts, *more])))
        st.html(evaluate_live_table.table(tallies))
