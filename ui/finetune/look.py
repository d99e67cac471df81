"""How a run is looked at: its state in a word, and the reader that goes on where the last look ended."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from backend.finetune.record import Reader, Run
from backend.i18n import N_
from backend.queue.rows import JobRow
from ui import context, words

PAUSED = words.Look(N_("paused"), ":material/pause_circle:", "gray")


def look(row: JobRow) -> words.Look:
    """The state of a run: what was cancelled can go on, so it is paused."""
    return PAUSED if row.state == "cancelled" and row.attempt else words.look(row)


def run(row: JobRow) -> Run:
    """The run of job ``row`` as it is now."""
    return _reader(str(context.store().job_dir(row.id))).read(row)


@st.cache_resource(show_spinner=False, max_entries=16)
def _reader(job_dir: str) -> Reader:
    """One for all tabs that look at the run, so that its events are read once."""
    return Reader(Path(job_dir))
