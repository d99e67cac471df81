"""One run: on the left how it stands and what can be done now, on the right what had been planned; when it ended well, what it made."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend.i18n import _
from backend.queue.rows import JobRow
from backend.specs.finetune import short
from ui import context, errors, wait_words, words
from ui.jobs import card as job_card
from ui.jobs import forecast as job_forecast
from ui.quantize import done as quantize_done
from ui.quantize import links as quantize_links
from ui.quantize import look as quantize_look
from ui.quantize import state as quantize_state
from ui.quantize import words as quantize_words


def draw(job_id: int) -> None:
    """Draw run ``job_id``; it is redrawn every second while it waits or works.

    Raises:
        NotFoundError: there is no such job.
    """
    moving = not context.store().get(job_id).done
    st.fragment(errors.guarded(partial(_body, job_id, moving), "quantize_run"), run_every=1 if moving else None)()


def _body(job_id: int, was_moving: bool) -> None:
    if st.query_params.get(quantize_state.JOB) != str(job_id) or quantize_state.step() != "run":
        st.rerun()  # another one was opened, the list, or another step
    row = context.store().get(job_id)
    if row.done == was_moving:
        st.rerun()  # it ended or was resumed: the page starts or stops to redraw itself
    key = f"quantize_{job_id}"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(errors.plain(quantize_look.title(row)), anchor=False, width="content")
        st.markdown(words.look(row).chip, width="content", help=_(job_card.MEANINGS[row.state]))
    st.caption(job_card.facts(row))
    left, right = st.columns([5, 4], gap="medium")
    with left, st.container(border=True, height="stretch", key=f"{key}_state"):
        _state(row, key)
        job_card.problem(key)
        _buttons(row, key)
    with right, st.container(border=True, height="stretch", key=f"{key}_planned"):
        _planned(row)
    if row.live and quantize_look.has_report(row):
        st.button(
            _("Look at the report card so far"),
            key=f"{key}_report_so_far",
            icon=":material/scoreboard:",
            type="tertiary",
            on_click=st.query_params.from_dict,
            args=(quantize_links.report(row.id),),
        )


def _state(row: JobRow, key: str) -> None:
    if row.state == "queued":
        icon = ":orange[:material/block:] " if wait_words.hopeless(row) else ":material/schedule: "
        st.markdown(icon + errors.plain(wait_words.sentence(row)))
    elif row.live:
        if row.verb == "quantize":
            _stages(row)
        job_card.draw_live(row)
    elif row.state == "failed":
        job_card.draw_failure(row, key)
    elif row.state == "succeeded":
        quantize_done.draw(row, key=key)
    else:
        st.markdown(
            _("It was stopped. What was finished is kept, and Resume goes on from there.")
            if row.state == "cancelled"
            else _("The machine restarted, or something ended the program from outside. Resume goes on from there.")
        )
    if row.state in ("cancelled", "lost", "failed") and row.verb == "quantize":
        quantize_done.kept(row, key=key)


def _stages(row: JobRow) -> None:
    """What is done of it, what it does now, and what is to come."""
    stages = [*quantize_words.STAGES, *(["report"] if context.store().spec(row.id).get("report", True) else [])]
    now = quantize_look.stage(row)
    said = []
    for name in stages:
        text = _(quantize_words.STAGES.get(name, quantize_words.REPORT_STAGE))
        place, at = stages.index(name), stages.index(now) if now in stages else len(stages)
        if place < at:
            said.append(f":green[:material/check_circle:] {text}")
        else:
            said.append(f":violet[:material/sync:] **{text}**" if place == at else f":gray[:material/circle: {text}]")
    st.markdown(" &nbsp; ".join(said))


def _buttons(row: JobRow, key: str) -> None:
    store = context.store()
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_actions"):
        if not row.done:
            st.button(
                _("Cancel"),
                key=f"{key}_cancel",
                icon=":material/stop_circle:",
                disabled=row.state == "stopping",
                help=_("It saves what it can, then stops. You can resume it later."),
                on_click=job_card.act,
                args=(key, store.cancel, row.id),
            )
        if row.state in ("cancelled", "lost"):
            st.button(
                _("Resume"),
                key=f"{key}_resume",
                icon=":material/restart_alt:",
                type="primary",
                on_click=job_card.act,
                args=(key, store.resume, row.id),
            )
        if row.done and row.verb == "quantize":
            st.button(
                _("Change and run again"),
                key=f"{key}_again",
                icon=":material/edit:",
                on_click=quantize_links.set_up,
                args=(row.id,),
            )
        if row.attempt:
            _job(_("Log"), ":material/article:", row.id, tab="log")
        _job(_("Job {job}").format(job=row.id), ":material/chevron_right:", row.id)


def _job(label: str, icon: str, job_id: int, **more: str) -> None:
    st.page_link(job_card.JOBS_PAGE, label=label, icon=icon, query_params={"job": str(job_id), **more})


def _planned(row: JobRow) -> None:
    """What had been foreseen, from the plan that the job keeps; before that, what was asked for."""
    st.markdown("**" + _("As planned") + "**")
    spec = context.store().spec(row.id)
    if row.verb == "report_card":
        names = [short(str(name)) for name in spec.get("models") or ()]
        st.markdown(
            ":gray[:material/scoreboard:] " + errors.plain(_("Measures {models}.").format(models=", ".join(names)))
        )
        job_forecast.draw(row)
        return
    made = quantize_look.plan_of(row)
    lines = [(":material/deployed_code:", short(str(spec.get("model", ""))))]
    lines.append((":material/compress:", quantize_words.title(str(spec.get("method") or "gptq"))))
    sizes = [words.size(made["bytes_before"])] if made.get("bytes_before") else []
    after = made.get("bytes_after") or {}
    if sizes and after.get("likely"):
        less = quantize_words.smaller(made["bytes_before"], after["likely"])
        sizes += [words.size(after["likely"])]
        lines.append((":material/hard_drive:", " · ".join([" → ".join(sizes), less])))
    seconds = made.get("seconds") or {}
    if seconds.get("likely"):
        lines.append(
            (":material/timer:", _("about {time} for the copy").format(time=words.duration(seconds["likely"])))
        )
    calibration = str(spec.get("calibration") or "bundled")
    if calibration in quantize_words.CALIBRATIONS:
        said = _(quantize_words.CALIBRATIONS[calibration])
        lines.append((":material/dataset:", str(spec["dataset"]) if calibration == "dataset" else said))
    if spec.get("report", True):
        lines.append((":material/scoreboard:", _("A report card measures both afterwards: size, speed, and quality.")))
    st.markdown("  \n".join(f":gray[{icon}] {errors.plain(text)}" for icon, text in lines))
    job_forecast.draw(row)
