"""Fifth step: every copy that is being made or was made, newest first; or the one that the address names (``?step=run&job=12``)."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend.i18n import _
from backend.queue.rows import JobRow
from ui import context, empty, errors, wait_words, words
from ui.jobs import card as job_card
from ui.quantize import links as quantize_links
from ui.quantize import look as quantize_look
from ui.quantize import run as quantize_run
from ui.quantize import state as quantize_state

SHOWN = 20


def draw() -> None:
    """Draw the run that the address names, else the list."""
    asked = st.query_params.get(quantize_state.JOB, "")
    if asked:
        st.button(_("All copies"), key="quantize_back", icon=":material/arrow_back:", type="tertiary", on_click=to_list)
        quantize_run.draw(int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 16 else 0)
        return
    rows = _rows()
    if not rows:
        _empty()
        return
    moving = any(not row.done for row in rows)
    st.fragment(errors.guarded(partial(_list, moving), "quantize_runs"), run_every=2 if moving else None)()


def to_list() -> None:
    """Callback: the list of all runs."""
    st.query_params.from_dict({quantize_state.STEP: "run"})


def _rows() -> list[JobRow]:
    shown = int(st.session_state.get("quantize_runs_shown", SHOWN)) + 1
    found = [row for verb in quantize_links.VERBS for row in context.store().list(verb=verb, limit=shown)]
    return sorted(found, key=lambda row: -row.id)[:shown]


def _empty() -> None:
    text = _(
        "Here you watch a smaller copy being made, layer by layer, and find what came of it. "
        "It goes on when you close this page, and the original stays as it is."
    )
    with empty.state("compress", _("No copies yet"), text, key="quantize_runs_empty"):
        st.button(
            _("Choose a model"),
            key="quantize_runs_new",
            type="primary",
            icon=":material/add:",
            on_click=quantize_state.go,
            args=("model",),
        )


def _list(was_moving: bool) -> None:
    if st.query_params.get(quantize_state.JOB):
        st.rerun()  # one was opened: the page shows that run now
    rows = _rows()
    if any(not row.done for row in rows) != was_moving:
        st.rerun()
    shown = int(st.session_state.get("quantize_runs_shown", SHOWN))
    for row in rows[:shown]:
        _card(row)
    if len(rows) > shown:
        st.button(
            _("Show more"), key="quantize_runs_more", icon=":material/expand_more:", on_click=_more, args=(shown,)
        )


def _more(shown: int) -> None:
    st.session_state["quantize_runs_shown"] = shown + 2 * SHOWN


def _card(row: JobRow) -> None:
    with st.container(border=True, key=f"quantize_run_card_{row.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.button(
                f"**{errors.plain(quantize_look.title(row))}**",
                key=f"quantize_open_{row.id}",
                type="tertiary",
                icon=words.verb_icon(row.verb),
                on_click=st.query_params.from_dict,
                args=(quantize_links.run(row.id),),
                help=_("Show this run"),
            )
            st.markdown(words.look(row).chip, width="content")
        st.caption(job_card.facts(row))
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
        elif row.state == "succeeded" and quantize_look.has_report(row):
            st.button(
                _("Read its report card"),
                key=f"quantize_report_{row.id}",
                type="tertiary",
                icon=":material/scoreboard:",
                on_click=st.query_params.from_dict,
                args=(quantize_links.report(row.id),),
            )
