"""What a job takes of the memory: one line on its card, and in its details the way to the comparison."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _
from backend.memory.sample import HOST, JobUse, Peak, Sample
from backend.queue.rows import JobRow
from backend.workspace import ROOT
from ui import context
from ui.memory import words as memory_words

MEMORY_PAGE = ROOT / "pages" / "memory.py"
FRESH_S = 10.0
"""A sample that is older says nothing of now: the recorder has stopped."""


def line(row: JobRow) -> str:
    """``GPU memory 31.2 GiB now, 33.0 GiB at most``, in Markdown; empty where nothing is recorded of ``row``."""
    try:
        peaks = _peaks(str(context.workspace().root), row.id, row.ended)
        newest = _latest(str(context.workspace().root)) if row.live else None
    except PanelError:
        return ""  # a card must not fail because the record cannot be read; the Memory page says what is wrong
    fresh = newest is not None and time.time() - newest.t < FRESH_S
    now = [use for use in newest.jobs if use.job == row.id] if newest is not None and fresh else []
    return " · ".join(_place(name, now, peaks, gpu=gpu) for name, gpu in _places(peaks))


def draw(row: JobRow) -> None:
    """In the details: the way to compare it; and the line, where the card above says nothing of what has ended."""
    said = line(row)
    if not said:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if not row.live:
            st.markdown(f":material/memory_alt: {said}", width="content", help=_sources(row))
        st.page_link(
            MEMORY_PAGE,
            label=_("Compare its memory"),
            icon=":material/stacked_line_chart:",
            query_params={"view": "compare", "runs": str(row.id)},
        )


def _sources(row: JobRow) -> str:
    peaks = _peaks(str(context.workspace().root), row.id, row.ended)
    return "  \n".join(_(memory_words.SOURCES[source][1]) for source in dict.fromkeys(peak.source for peak in peaks))


def _places(peaks: Sequence[Peak]) -> list[tuple[str, bool]]:
    """What there is to say: (the word for it, whether it is of GPUs)."""
    kinds = {peak.place != HOST for peak in peaks}
    return [(name, gpu) for name, gpu in ((_("GPU memory"), True), (_("main memory"), False)) if gpu in kinds]


def _place(name: str, now: Sequence[JobUse], peaks: Sequence[Peak], *, gpu: bool) -> str:
    most = sum(peak.peak for peak in peaks if (peak.place != HOST) == gpu)
    takes = [use.size for use in now if (use.place != HOST) == gpu]
    if not takes:
        return _("{place}: {most} at most").format(place=name, most=memory_words.size(most))
    return _("{place}: {now} now, {most} at most").format(
        place=name, now=memory_words.size(sum(takes)), most=memory_words.size(max(most, sum(takes)))
    )


@st.cache_resource(show_spinner=False, ttl=1, max_entries=4)
def _latest(root: str) -> Sample | None:
    """One look a second, however many cards and tabs there are."""
    return context.memory().latest()


@st.cache_resource(show_spinner=False, ttl=5, max_entries=256)
def _peaks(root: str, job: int, ended: float | None) -> list[Peak]:
    return context.memory().peaks(job)
