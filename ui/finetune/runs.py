"""Runs: every training and rehearsal, newest first; or the one that the address names (``/finetune?view=runs&job=12``)."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend.finetune import files
from backend.i18n import _, ngettext
from backend.queue.rows import JobRow
from backend.specs.finetune import short
from ui import context, empty, errors, wait_words, words
from ui.finetune import links as finetune_links
from ui.finetune import look as finetune_look
from ui.finetune import run as finetune_run
from ui.jobs import card as job_card

SHOWN = 20
MOST_COMPARED = 8


def draw() -> None:
    """Draw the run that the address names, else the list."""
    asked = st.query_params.get("job", "")
    if asked:
        st.button(_("All runs"), key="finetune_back", icon=":material/arrow_back:", type="tertiary", on_click=_to_list)
        finetune_run.draw(int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 16 else 0)
        return
    rows = _rows()
    if not rows:
        _empty()
        return
    moving = any(not row.done for row in rows)
    st.fragment(errors.guarded(partial(_list, moving), "finetune_runs"), run_every=2 if moving else None)()


def open_run(job_id: int) -> None:
    """Callback: show run ``job_id``."""
    st.query_params.from_dict(finetune_links.run(job_id))


def _to_list() -> None:
    st.query_params.from_dict({"view": "runs"})


def _rows() -> list[JobRow]:
    shown = int(st.session_state.get("finetune_runs_shown", SHOWN)) + 1
    found = [row for verb in finetune_links.VERBS for row in context.store().list(verb=verb, limit=shown)]
    return sorted(found, key=lambda row: -row.id)[:shown]


def _empty() -> None:
    text = _(
        "Here you watch a model learn: its loss, what it answers while it learns, its checkpoints, and in the end "
        "whether it worked. A run goes on when you close this page."
    )
    with empty.state("model_training", _("No runs yet"), text, key="finetune_runs_empty"):
        st.button(
            _("Set up a run"),
            key="finetune_runs_new",
            type="primary",
            icon=":material/add:",
            on_click=lambda: st.query_params.from_dict({"view": "new"}),
        )


def _list(was_moving: bool) -> None:
    if st.query_params.get("job"):
        st.rerun()  # one was opened: the page shows that run now
    rows = _rows()
    if any(not row.done for row in rows) != was_moving:
        st.rerun()
    shown = int(st.session_state.get("finetune_runs_shown", SHOWN))
    chosen = [row.id for row in rows[:shown] if st.session_state.get(f"finetune_pick_{row.id}")]
    if len([row for row in rows if row.verb == "finetune"]) > 1:
        _compare(chosen)
    for row in rows[:shown]:
        _card(row)
    if len(rows) > shown:
        st.button(
            _("Show more"), key="finetune_runs_more", icon=":material/expand_more:", on_click=_more, args=(shown,)
        )


def _more(shown: int) -> None:
    st.session_state["finetune_runs_shown"] = shown + 2 * SHOWN


def _compare(chosen: list[int]) -> None:
    enough = 2 <= len(chosen) <= MOST_COMPARED
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            ngettext("Compare {n} run", "Compare {n} runs", len(chosen)).format(n=len(chosen))
            if chosen
            else _("Compare runs"),
            key="finetune_compare_chosen",
            icon=":material/stacked_line_chart:",
            disabled=not enough,
            on_click=_to_compare,
            args=(chosen,),
        )
        if not enough:
            st.caption(_("Tick two to {n} runs below to lay their curves over one another.").format(n=MOST_COMPARED))


def _to_compare(chosen: list[int]) -> None:
    st.query_params.from_dict({"view": "compare", "runs": ",".join(str(job) for job in sorted(chosen))})


def _card(row: JobRow) -> None:
    with st.container(border=True, key=f"finetune_run_card_{row.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.button(
                f"**{errors.plain(row.title)}**",
                key=f"finetune_open_{row.id}",
                type="tertiary",
                icon=words.verb_icon(row.verb),
                on_click=open_run,
                args=(row.id,),
                help=_("Open run"),
            )
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                st.markdown(finetune_look.look(row).chip, width="content")
                if row.verb == "finetune":
                    st.checkbox(
                        _("Compare run {job}").format(job=row.id),
                        key=f"finetune_pick_{row.id}",
                        label_visibility="collapsed",
                    )
        st.caption(_what(row) + job_card.facts(row))
        if row.state == "queued":
            st.caption(":material/schedule: " + errors.plain(wait_words.sentence(row)))
        elif row.live:
            share, line = words.progress_of(row), errors.plain(job_card.progress_line(row))
            if share is not None:
                st.progress(share, text=line)
            else:
                st.caption(line or _("It starts."))
        elif row.state == "failed":
            st.markdown(f":red[:material/error:] {errors.plain(job_card.failure(row) or _('Something went wrong.'))}")
        elif figures := _figures(row):
            st.caption(figures)


def _what(row: JobRow) -> str:
    """Model and dataset, where the name of the run does not say them."""
    spec = context.store().spec(row.id)
    model, dataset = short(str(spec.get("model", ""))), str(spec.get("dataset", ""))
    if model in row.title and dataset in row.title:
        return ""
    return errors.plain(_("{model} on {dataset}").format(model=model, dataset=dataset)) + " · "


def _figures(row: JobRow) -> str:
    """The newest figures of one that ended, and how far it came."""
    result = context.store().result(row.id) or {}
    metrics = row.progress.get("metrics") or {}
    parts = []
    if row.verb == "rehearse" and (
        found := files.read(context.store().job_dir(row.id) / files.REHEARSAL, files.Rehearsal)
    ):
        parts.append(_("{n} s a step").format(n=f"{found.step_s:.2g}"))
        parts.append(_("{memory} at the highest").format(memory=words.gib(found.peak_bytes)))
    step, total = result.get("step"), result.get("steps")
    if isinstance(step, int) and isinstance(total, int):
        parts.append(_("step {step} of {total}").format(step=f"{step:,}", total=f"{total:,}"))
    for name in ("loss", "eval_loss"):
        value = result.get(name, metrics.get(name))
        if value is not None:
            parts.append(f"{words.metric_word(name)} {words.figure(name, value)}")
    return " · ".join(parts)
