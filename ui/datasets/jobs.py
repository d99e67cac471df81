"""Jobs that work on datasets, as the Datasets page shows them: begun once, seen while they work, and what came of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.queue.rows import JobRow
from backend.specs import parse
from ui import context, errors, once
from ui.datasets import state as datasets_state
from ui.jobs import card as job_card

LIVE = ("queued", "starting", "running", "stopping")
ENDED = ("succeeded", "failed", "cancelled", "lost")
FAILED = ("failed", "lost")
RECENT_S = 24 * 3600
"""What ended longer ago is on the Jobs page only."""
SHOWN = 3
MOST_KNOWN = 5000
_about: dict[tuple[int, float], str] = {}
"""Number of a job and when it was made -> what it is about: a spec never changes."""


def of(verbs: Sequence[str], name: str | None, states: Sequence[str] = LIVE) -> list[JobRow]:
    """Jobs of ``verbs`` that are about the set ``name`` (None: about any), the newest first."""
    store = context.store()
    rows = [row for verb in verbs for row in store.list(states=states, verb=verb, limit=50)]
    rows.sort(key=lambda row: -row.id)
    return rows if name is None else [row for row in rows if about(row) == name]


def about(row: JobRow) -> str:
    """The name of the set that ``row`` works on or makes."""
    known = _about.get((row.id, row.created))
    if known is None:
        spec = context.store().spec(row.id)
        known = str(spec.get("name") or spec.get("dataset") or "")
        if spec:
            if len(_about) > MOST_KNOWN:
                _about.clear()
            _about[row.id, row.created] = known
    return known


def submit(verb: str, values: dict[str, Any], name: str) -> JobRow:
    """Make the job; the same that waits or runs already is not begun twice.

    Raises:
        PanelError: the spec is wrong, or the queue cannot take it.
    """
    store = context.store()
    spec = parse(verb, values).model_dump(mode="json")
    same = next((row for row in of((verb,), name) if store.spec(row.id) == spec), None)
    key = once.submit_key(f"datasets-{verb}-{datasets_state.key_of(name)}")
    return same or store.submit(verb, spec, submit_key=key)


def draw(verbs: Sequence[str], name: str | None, key: str, *, ended: Sequence[str] | bool = True) -> None:
    """The cards of these jobs: what waits or runs, and what ended within a day (``ended``: True, or in which states)."""
    states = ended if not isinstance(ended, bool) else ENDED if ended else ()
    moving = len(of(verbs, name))

    def cards() -> None:
        now = of(verbs, name)
        for row in now:
            job_card.draw(row, key=f"{key}_{row.id}", compact=True)
        for row in recent(verbs, name, states):
            job_card.draw(row, key=f"{key}_{row.id}", compact=row.state == "cancelled")
        if len(now) != moving:
            st.rerun()  # what one of them made is to be seen on the page, and the timer ends with the last

    st.fragment(errors.guarded(cards, key), run_every=1 if moving else None)()


def recent(verbs: Sequence[str], name: str | None, states: Sequence[str] = ENDED) -> list[JobRow]:
    """What ended within a day, the newest first, a few. A failure that was made good by a later job is no news any more."""
    since = time.time() - RECENT_S
    found: list[JobRow] = []
    done: set[tuple[str, str]] = set()
    for row in of(verbs, name, ENDED):
        if (row.ended or row.created) < since or (row.state in FAILED and (row.verb, about(row)) in done):
            continue
        if row.state == "succeeded":
            done.add((row.verb, about(row)))
        if row.state in states:
            found.append(row)
    return found[:SHOWN]
