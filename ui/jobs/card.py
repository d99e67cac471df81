"""The job card: one job as every page shows it. What it is, how it stands, why it waits or failed, and what to do next."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from backend.errors import PanelError
from backend.i18n import N_, _
from backend.queue import folder, logs
from backend.queue.rows import JobRow
from backend.queue.wake import wake
from backend.workspace import ROOT
from ui import context, download_fixes, errors, made_models, wait_words, words
from ui.benchmark import links as benchmark_links
from ui.evaluate import links as evaluate_links
from ui.finetune import links as finetune_links
from ui.jobs import memory as job_memory
from ui.jobs import why as job_why
from ui.quantize import links as quantize_links

JOBS_PAGE, CHAT_PAGE, MEMORY_PAGE = (ROOT / "pages" / f"{name}.py" for name in ("jobs", "chat", "memory"))
METRICS = 3
"""How many of a job's figures stand beside its progress; the rest are on its charts."""
LEAST_MB_S = 0.05
"""What is slower than this is no rate but a pause."""

MEANINGS = {
    "queued": N_("It starts by itself when it is its turn and what it needs is free."),
    "starting": N_("Its process is being started."),
    "running": N_("Its process works. Closing this page does not stop it."),
    "stopping": N_("It was asked to stop and saves its work first."),
    "succeeded": N_("It ended well."),
    "failed": N_("It stopped with an error."),
    "cancelled": N_("Somebody stopped it."),
    "lost": N_("Its process vanished without leaving a result."),
}


def draw(row: JobRow, *, key: str, compact: bool = False, links: bool = True) -> None:
    """Draw the card of ``row``.

    Args:
        row: the job as the store gave it just now.
        key: unique on the page, stable for one job: the buttons are named after it.
        compact: a few lines for lists (Home): no log, and nothing to do with what was made.
        links: offer the ways to the job's details and log; off where they stand below the card.
    """
    with st.container(border=True, key=f"job_card_{key}", gap="xsmall" if compact else "small"):
        _head(row)
        _state(row, key, compact)
        problem(key)
        _buttons(row, key, compact, links)


def act(key: str, action: Callable[[int], Any], job_id: int) -> None:
    """Callback: do ``action``; what goes wrong is shown on the card ``key``."""
    st.session_state.pop(f"{key}_problem", None)
    try:
        action(job_id)
    except PanelError as error:
        st.session_state[f"{key}_problem"] = error.to_dict()


def facts(row: JobRow, now: float | None = None) -> str:
    """Number, kind, owner, attempt and times of ``row``, in one line of Markdown."""
    now = time.time() if now is None else now
    parts = [f"#{row.id}", f"{words.verb_icon(row.verb)} {errors.plain(words.verb_word(row.verb))}"]
    if row.attempt > 1:
        parts.append(_("attempt {n}").format(n=row.attempt))
    if row.owner:
        parts.append(errors.plain(row.owner))
    if row.live and row.started:
        parts.append(_("running for {duration}").format(duration=words.duration(now - row.started)))
    elif row.done and row.ended:
        if row.started:
            parts.append(_("took {duration}").format(duration=words.duration(row.elapsed or row.ended - row.started)))
        parts.append(words.ago(row.ended, now))
    else:
        parts.append(_("submitted {ago}").format(ago=words.ago(row.created, now)))
    return " · ".join(parts)


def progress_line(row: JobRow) -> str:
    """Phase, step and newest figures of a live job: ``training · 10 of 1,920 · loss 2.99``."""
    progress = row.progress
    parts = [words.phase_word(str(progress["phase"]))] if progress.get("phase") else []
    step, total = progress.get("step"), progress.get("total")
    metrics = progress.get("metrics") or {}
    if "mb_per_s" in metrics:
        return " · ".join(parts + _transfer(progress, metrics))
    if step is not None and total:
        parts.append(_("{step} of {total}").format(step=_count(step), total=_count(total)))
    elif step is not None and not row.service:
        parts.append(_("step {step}").format(step=_count(step)))
    chosen = words.SERVICE_METRICS if row.service else words.RUN_METRICS if row.verb in finetune_links.VERBS else None
    if chosen is not None:
        metrics = {name: metrics[name] for name in chosen if name in metrics}
    if row.verb in finetune_links.VERBS and progress.get("phase") not in words.RUN_PHASES:
        metrics = {}  # the last loss says nothing of a merge
    parts += [
        f"{words.metric_word(name)} {words.figure(name, value)}" for name, value in list(metrics.items())[:METRICS]
    ]
    return " · ".join(parts)


def _transfer(progress: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    """What is fetched, in MB: ``310.5 of 640.0 MB``, ``12.5 MB/s``, ``3 of 9 files``."""
    done, total, rate = progress.get("step"), progress.get("total"), metrics["mb_per_s"]
    if not isinstance(done, int | float) or not isinstance(total, int | float):
        return []  # another phase has begun, and has said nothing of its own yet
    parts = [_("{step} of {total} MB").format(step=f"{done:,.1f}", total=f"{total:,.1f}")]
    if isinstance(rate, int | float) and rate >= LEAST_MB_S:
        parts.append(f"{rate:.1f} MB/s")
    if metrics.get("files_total"):
        parts.append(
            _("{n} of {total} files").format(n=_count(metrics.get("files")), total=_count(metrics["files_total"]))
        )
    return parts


def failure(row: JobRow) -> str:
    """What went wrong, in one sentence."""
    return PanelError.from_dict(row.error).localized()[0] if row.error.get("message") else ""


def _count(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _head(row: JobRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{errors.plain(row.title)}**", width="content")
        st.markdown(words.look(row).chip, width="content", help=_(MEANINGS[row.state]))
    st.caption(facts(row), help=_times(row))


def _times(row: JobRow) -> str:
    lines = [_("Submitted {time}").format(time=words.stamp(row.created))]
    if row.started:
        lines.append(_("Started {time}").format(time=words.stamp(row.started)))
    if row.ended:
        lines.append(_("Ended {time}").format(time=words.stamp(row.ended)))
    return "  \n".join(lines)


def _state(row: JobRow, key: str, compact: bool) -> None:
    if row.state == "queued":
        icon = ":orange[:material/block:] " if wait_words.hopeless(row) else ":material/schedule: "
        st.markdown(icon + errors.plain(wait_words.sentence(row)))
    elif row.live:
        draw_live(row)
    elif row.state == "failed":
        draw_failure(row, key, compact=compact)
    elif row.state == "lost":
        vanished = _(
            "The program vanished without leaving a result: the machine restarted, or something ended it from outside."
        )
        saved = "" if row.service else _("What it had saved is still there. Resume goes on from it.")
        st.markdown(f"{vanished} {saved}")
        if row.error.get("message") and not compact:
            st.caption(errors.plain(PanelError.from_dict(row.error).localized()[0]))
    elif row.state == "cancelled":
        if not compact:
            going_on = "" if row.service else _("Resume goes on from what was saved.")
            st.markdown(f"{_('Stopped on request.')} {going_on}")
    else:
        found = _artifacts(str(context.store().job_dir(row.id)), row.id, row.ended)
        made_models.draw(row, found, act, key, compact=compact)


def draw_live(row: JobRow) -> None:
    """How a live job stands: progress, time left, memory, and what is unusual about it."""
    if row.state == "stopping":
        st.markdown(_("It was asked to stop and saves its work first. If it does not stop, it is ended."))
    elif row.service and row.progress.get("phase") == "ready":
        st.markdown(":green[:material/check_circle:] " + _("Ready: it answers now."))
    else:
        share, line = words.progress_of(row), errors.plain(progress_line(row))
        if share is not None:
            st.progress(share, text=line or None)
        else:
            st.caption(line or _("It starts."))
        eta = words.eta_line(row)
        if eta:
            st.caption(":material/timer: " + eta)
    memory = job_memory.line(row)
    if memory:
        st.caption(":material/memory_alt: " + memory)
    if row.health == "stopped":
        st.warning(
            _("The program is suspended (SIGSTOP) and does nothing. Let it go on, or cancel it."),
            icon=":material/pause_circle:",
        )
    elif row.health == "quiet":
        said = row.progress.get("t") or row.started or row.created
        st.warning(
            _(
                "No sign of life for {duration}. It may be busy with one long step, or hang. Look at its log; if "
                "nothing moves there, cancel it and resume."
            ).format(duration=words.duration(time.time() - said)),
            icon=":material/volume_off:",
        )


def draw_failure(row: JobRow, key: str, *, compact: bool = False) -> None:
    """Why a job failed, and what helps; ``compact``: in two lines."""
    if not compact:
        path = folder.log_file(context.store().job_dir(row.id), row.attempt)
        found = job_why.finding(row)
        why = job_why.why(row, found) if found else None
        log = logs.tail(path, lines=200).text
        errors.show(row.error, key=f"job_{key}", log=log, actions=fixes(row, key), why=why)
        return
    found = job_why.finding(row)
    message, hint = job_why.summary(row, found) if found else PanelError.from_dict(row.error).localized()
    st.markdown(f":red[:material/error:] {errors.plain(message or _('Something went wrong.'))} {errors.plain(hint)}")
    evidence = found.text if found and found.line else str((row.error.get("evidence") or {}).get("text", ""))
    if evidence:
        st.code(evidence[:500], language=None, wrap_lines=True)


def fixes(row: JobRow, key: str) -> list[errors.Action]:
    """What may help against the failure of ``row``, the likeliest first; what goes wrong then is shown on the card ``key``."""
    found = job_why.finding(row)
    then = job_why.memory_then(row, found)
    return [*(job_why.actions(row, found) if found else []), *_fixes(row, key), *([then] if then else [])]


def _fixes(row: JobRow, key: str) -> list[errors.Action]:
    if row.state == "lost":
        return [_resume(row, key)]
    return download_fixes.fixes(row, _resume(row, key)) if row.verb == "download" else [_resume(row, key)]


def _resume(row: JobRow, key: str) -> errors.Action:
    again = (key, context.store().resume, row.id)
    if row.service:  # it has nothing to go on from
        help_text = _("A new server with the same settings.")
        return errors.Action(_("Start again"), act, again, ":material/play_arrow:", help=help_text)
    hint = _("A new attempt in the same folder: it goes on from what was saved.")
    return errors.Action(_("Resume"), act, again, ":material/restart_alt:", help=hint)


@st.cache_data(show_spinner=False, max_entries=256)
def _artifacts(_folder: str, job_id: int, ended: float | None) -> list[dict[str, Any]]:
    """What a job that ended made; a long run's events are read once, not at every redraw."""
    return context.store().artifacts(job_id)


def problem(key: str) -> None:
    """What went wrong with the last button of the card ``key``."""
    stored = st.session_state.get(f"{key}_problem")
    if stored:
        errors.show(stored, key=f"act_{key}")


def _buttons(row: JobRow, key: str, compact: bool, links: bool) -> None:
    store = context.store()
    with st.container(horizontal=True, vertical_alignment="center"):
        if row.service and row.live and row.progress.get("phase") == "ready" and CHAT_PAGE.is_file():
            st.page_link(CHAT_PAGE, label=_("Chat with it"), icon=":material/forum:")
        if row.verb in finetune_links.VERBS:
            finetune_links.draw(row.id, key)
        elif row.verb in quantize_links.VERBS:
            quantize_links.draw(row.id, key)
        elif row.verb in benchmark_links.VERBS:
            benchmark_links.draw(row.id)
        elif row.verb in evaluate_links.VERBS:
            evaluate_links.draw(row.id)
        if row.health == "stopped":
            st.button(
                _("Let it go on"),
                key=f"{key}_wake",
                icon=":material/play_circle:",
                type="primary",
                on_click=act,
                args=(key, partial(wake, store), row.id),
            )
        if row.state == "queued" or row.live:
            st.button(
                _("Stop server") if row.service and row.live else _("Cancel"),
                key=f"{key}_cancel",
                icon=":material/stop_circle:",
                disabled=row.state == "stopping",
                help=_("Answers that it writes now end unfinished.")
                if row.service
                else _("It saves what it can, then stops. You can resume it later."),
                on_click=act,
                args=(key, store.cancel, row.id),
            )
        # On a full card of a failed job, the ways on stand on the error itself.
        if row.state == "failed" and compact:
            for number, fix in enumerate(fixes(row, key)):
                fix.draw(f"{key}_fix_{number}", primary=False)
        if row.state in ("cancelled", "lost"):
            _resume(row, key).draw(f"{key}_resume", primary=row.state == "lost")
        if links:
            if row.attempt:
                _link(row, _("Log"), ":material/article:", tab="log")
            _link(row, _("Details"), ":material/chevron_right:")
        elif row.started is not None:
            query = {"view": "past", "job": str(row.id)}
            st.page_link(MEMORY_PAGE, label=_("Its memory"), icon=":material/memory_alt:", query_params=query)


def _link(row: JobRow, label: str, icon: str, **more: str) -> None:
    st.page_link(JOBS_PAGE, label=label, icon=icon, query_params={"job": str(row.id), **more})
