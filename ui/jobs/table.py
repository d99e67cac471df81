"""The table of jobs, as a small component: rows are links, one message a refresh, and cards where there is no width.

Streamlit's own table is a picture on a canvas: no links, nothing for a screen reader to open, no cards at 390 px.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from backend.i18n import _
from backend.queue.rows import JobRow
from ui import component, wait_words, words
from ui.jobs import card as job_card

_TABLE = component.beside(__file__, "tunedeck_jobs_table", "<table><thead><tr></tr></thead><tbody></tbody></table>")


def draw(rows: Sequence[JobRow], *, key: str, on_open: Callable[[int], None]) -> None:
    """Draw ``rows``; ``on_open(job_id)`` is called, before the redraw, when a person opens one."""

    def opened() -> None:
        chosen = st.session_state[key].get("open")
        if isinstance(chosen, int) and not isinstance(chosen, bool):  # the browser's word is only a number to look up
            on_open(chosen)

    _TABLE(key=key, data=content(rows), on_open_change=opened)


def content(rows: Sequence[JobRow], now: float | None = None) -> dict[str, Any]:
    """What is sent to the browser: headings and, for each job, words that are ready to be shown."""
    now = time.time() if now is None else now
    heads = [_("State"), _("Job"), _("Progress"), _("Time left"), _("Owner"), _("Age")]
    return {"label": _("Jobs"), "heads": heads, "rows": [_row(row, now) for row in rows]}


def _row(row: JobRow, now: float) -> dict[str, Any]:
    look = words.look(row)
    return {
        "id": row.id,
        "title": row.title,
        "sub": f"#{row.id} · {words.verb_word(row.verb)}",
        "word": look.word,
        "icon": look.icon.removeprefix(":material/").removesuffix(":"),
        "colour": look.colour,
        "share": words.progress_of(row) if row.live else None,
        "phase": _phase(row),
        "eta": _time(row, now),
        "owner": row.owner,
        "age": words.ago(row.created, now),
        "stamp": words.stamp(row.created),
    }


def _phase(row: JobRow) -> str:
    if row.state == "queued":
        return wait_words.sentence(row)
    if row.live:
        return job_card.progress_line(row)
    if row.state in ("failed", "lost"):
        return job_card.failure(row)
    return ""


def _time(row: JobRow, now: float) -> str:
    if row.live:
        return words.eta_line(row, now)
    if row.done and row.started and row.ended:
        return _("took {duration}").format(duration=words.duration(row.elapsed or row.ended - row.started))
    return ""
