"""What can be asked of a run: stop and keep the best, pause, resume, go on for more epochs; and the ways to its log and job."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from backend.finetune import control
from backend.finetune.record import Run
from backend.i18n import _
from ui import context, words
from ui.finetune import links as finetune_links
from ui.jobs import card as job_card


def draw(run: Run, *, key: str) -> None:
    """Draw the buttons that fit the state of ``run``."""
    row, store = run.row, context.store()
    asked = f"{key}_finish"
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_actions"):
        if row.live and row.verb == "finetune" and not run.finishing:
            trains = row.progress.get("phase") in words.RUN_PHASES and row.state == "running"
            st.button(
                _("Stop and keep the best"),
                key=f"{key}_finish_ask",
                icon=":material/flag:",
                type="primary" if any(each.stop for each in run.verdicts) else "secondary",
                disabled=not trains,
                help=_("Ends the learning and goes on with the best checkpoint: merge, check, list of models.")
                if trains
                else _("It does not learn now."),
                on_click=_ask,
                args=(asked, True),
            )
        if row.state == "queued" or row.live:
            waits = row.state == "queued"
            st.button(
                _("Cancel") if waits else _("Pause"),
                key=f"{key}_pause",
                icon=":material/stop_circle:" if waits else ":material/pause_circle:",
                disabled=row.state == "stopping",
                help=_("It saves a checkpoint and frees the machine. Resume goes on from there."),
                on_click=job_card.act,
                args=(key, store.cancel, row.id),
            )
        if row.state in ("cancelled", "lost"):
            st.button(
                _("Resume"),
                key=f"{key}_resume",
                icon=":material/play_circle:",
                type="primary",
                on_click=job_card.act,
                args=(key, store.resume, row.id),
            )
        if row.done and row.verb == "finetune" and run.checkpoints:
            _more(run, key)
        if row.done:
            st.button(
                _("Change and run again"),
                key=f"{key}_again",
                icon=":material/edit:",
                on_click=finetune_links.set_up,
                args=(row.id,),
            )
        if row.attempt:
            _job(_("Log"), ":material/article:", row.id, tab="log")
        _job(_("Job {job}").format(job=row.id), ":material/chevron_right:", row.id)
    if st.session_state.get(asked) and row.live:
        _confirm(run, key, asked)


def _job(label: str, icon: str, job_id: int, **more: str) -> None:
    st.page_link(job_card.JOBS_PAGE, label=label, icon=icon, query_params={"job": str(job_id), **more})


def _ask(key: str, asked: bool) -> None:
    st.session_state[key] = asked


def _confirm(run: Run, key: str, asked: str) -> None:
    best = run.best
    with st.container(border=True, key=f"{key}_finish_box"):
        st.markdown(
            _("Stop learning at step {step} and keep the best?").format(step=f"{run.step:,}") + " " + _kept(run)
        )
        st.caption(_("It cannot learn on in this run afterwards, but a new run can begin from its checkpoints."))
        with st.container(horizontal=True):
            st.button(
                _("Stop and keep step {step}").format(step=f"{best.step:,}")
                if best is not None
                else _("Stop and keep what it has learned"),
                key=f"{key}_finish_yes",
                icon=":material/flag:",
                type="primary",
                on_click=job_card.act,
                args=(key, partial(_finish, asked), run.row.id),
            )
            st.button(_("Let it learn on"), key=f"{key}_finish_no", on_click=_ask, args=(asked, False))


def _kept(run: Run) -> str:
    best = run.best
    if best is None:
        return _("There is no checkpoint yet: what it has learned so far is saved first.")
    if best.eval_loss is None:
        return _("The newest checkpoint is at step {step}.").format(step=f"{best.step:,}")
    return _("The best checkpoint so far is at step {step}, with a validation loss of {loss}.").format(
        step=f"{best.step:,}", loss=f"{best.eval_loss:.3g}"
    )


def _finish(asked: str, job_id: int) -> None:
    control.finish(context.store().job_dir(job_id))
    _ask(asked, False)


def _more(run: Run, key: str) -> None:
    """A new run that goes on from the newest checkpoint, for some epochs more."""
    epochs = run.spec.get("epochs", 3.0)
    done = float(epochs) if isinstance(epochs, int | float) else 3.0
    with st.popover(_("Continue for more epochs"), icon=":material/update:", key=f"{key}_more"):
        more = st.number_input(
            _("More epochs"), 0.1, 1000.0, min(1000.0, max(0.1, done)), step=1.0, key=f"{key}_more_epochs", format="%g"
        )
        st.caption(
            _("A new run begins from step {step} with the optimizer as it was. This run stays as it is.").format(
                step=f"{run.checkpoints[-1].step:,}"
            )
        )
        st.button(
            _("Set up this run"),
            key=f"{key}_more_go",
            type="primary",
            icon=":material/tune:",
            on_click=finetune_links.set_up,
            args=(run.row.id, longer(run, more)),
        )


def longer(run: Run, more: float) -> dict[str, Any]:
    """The fields of a run that goes on from the newest checkpoint of ``run`` for ``more`` epochs: epochs count from the start."""
    newest = run.checkpoints[-1]
    fields: dict[str, Any] = {
        "start_from": newest.path,
        "start_mode": "continue",
        "epochs": round(newest.epoch + more, 2),
    }
    if run.spec.get("max_steps"):
        fields["max_steps"] = 0
    return fields
