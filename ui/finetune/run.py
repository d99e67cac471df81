"""One run: how it stands and what its curves say, what can be done now, and in parts all that is known about it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend.finetune.record import Run
from backend.i18n import _
from backend.queue.rows import JobRow
from ui import context, errors, wait_words
from ui.finetune import about as finetune_about
from ui.finetune import actions as finetune_actions
from ui.finetune import checkpoints as finetune_checkpoints
from ui.finetune import curves as finetune_curves
from ui.finetune import done as finetune_done
from ui.finetune import health as finetune_health
from ui.finetune import links as finetune_links
from ui.finetune import look as finetune_look
from ui.finetune import samples as finetune_samples
from ui.jobs import card as job_card

PARTS = ("curves", "answers", "checkpoints", "about")
EVERY_S = 5
"""Between two looks at a run that moves. Panel and browser may share their two cores with it: with a look each second, a training of the
starter took 1.0 instead of 0.6 s a step."""


def draw(job_id: int) -> None:
    """Draw run ``job_id``; it is redrawn every few seconds while it waits or works.

    Raises:
        NotFoundError: there is no such job.
    """
    moving = not context.store().get(job_id).done
    st.fragment(errors.guarded(partial(_body, job_id, moving), "finetune_run"), run_every=EVERY_S if moving else None)()


def _body(job_id: int, was_moving: bool) -> None:
    if st.query_params.get("job") != str(job_id):
        st.rerun()  # another one was opened, or the list
    row = context.store().get(job_id)
    if row.done == was_moving:
        st.rerun()  # it ended or was resumed: the page starts or stops to redraw itself
    run = finetune_look.run(row)
    key = f"run_{job_id}"
    _head(row)
    _state(run, key)
    job_card.problem(key)
    if row.state == "succeeded":
        finetune_done.draw(run, key=key)
    finetune_actions.draw(run, key=key)
    part = _part(run) if row.verb == "finetune" else "about"
    if part == "curves":
        finetune_curves.draw(run, key=key)
    elif part == "answers":
        finetune_samples.draw(run, key=key)
    elif part == "checkpoints":
        finetune_checkpoints.draw(run, key=key)
    else:
        finetune_about.draw(run, key=key)


def _head(row: JobRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(errors.plain(row.title), anchor=False, width="content")
        st.markdown(
            finetune_look.look(row).chip,
            width="content",
            help=_(job_card.MEANINGS.get(row.state, job_card.MEANINGS["lost"])),
        )
    st.caption(job_card.facts(row))


def _state(run: Run, key: str) -> None:
    """How it stands, and below that what the curves say; a failure has its own words."""
    row = run.row
    if row.state == "queued":
        icon = ":orange[:material/block:] " if wait_words.hopeless(row) else ":material/schedule: "
        st.markdown(icon + errors.plain(wait_words.sentence(row)))
        return
    if row.live:
        job_card.draw_live(row)
        if run.finishing:
            st.markdown(
                ":material/flag: " + _("It was asked to stop learning and to keep the best; it ends after this step.")
            )
    elif row.state == "failed":
        _failed(run, key)
    elif row.state == "cancelled":
        st.markdown(_where(run) + " " + _("Resume goes on from there, with the same order of rows."))
    elif row.state == "lost":
        st.markdown(
            _("The machine restarted, or something ended the program from outside.")
            + " "
            + _where(run)
            + " "
            + _("Resume goes on from there, with the same order of rows.")
        )
    finetune_health.draw(run, key=key)


def _where(run: Run) -> str:
    """At which step it stopped, and what was saved last."""
    if not run.checkpoints:
        return _("It stopped before its first checkpoint, so it begins anew.")
    saved = run.checkpoints[-1].step
    if run.steps is None:
        return _("Its last checkpoint is at step {step}.").format(step=f"{saved:,}")
    return _("Its last checkpoint is at step {step} of {total}.").format(step=f"{saved:,}", total=f"{run.steps:,}")


def _failed(run: Run, key: str) -> None:
    from ui.finetune import oom as finetune_oom

    if finetune_oom.draw(run.row):
        return
    broken = next((each for each in run.verdicts if each.code == "nan"), None)
    if broken is not None:  # to resume would end the same way
        fields = finetune_health.next_fields(run, broken)
        fix = errors.Action(
            _("Set up the next run so"),
            finetune_links.set_up,
            (run.row.id, fields),
            ":material/tune:",
            help=finetune_health.changes(fields),
        )
        errors.show(run.row.error, key=key, actions=[fix])
        return
    job_card.draw_failure(run.row, key)
    if run.checkpoints:
        st.caption(":material/save: " + _where(run))


def _part(run: Run) -> str:
    """The chosen part, kept in the address so that a reload and another tab show the same."""
    names = {
        "curves": _("Curves"),
        "answers": _("Sample answers"),
        "checkpoints": _("Checkpoints"),
        "about": _("Settings and files"),
    }
    key = f"run_part_{run.row.id}"
    asked = st.query_params.get("part", "")
    # As a default, which every redraw tells the browser: a value set once may come while it still draws the page before.
    first = st.session_state.setdefault(f"{key}_first", asked if asked in PARTS else PARTS[0])

    def remember() -> None:
        st.query_params["part"] = st.session_state[key]

    chosen = st.segmented_control(
        _("Part"),
        PARTS,
        default=first,
        key=key,
        format_func=names.__getitem__,
        required=True,
        label_visibility="collapsed",
        on_change=remember,
    )
    return chosen or str(first)
