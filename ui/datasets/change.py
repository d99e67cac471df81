"""A change of a dataset, from any view: a small one is made at once, a large one becomes a job; both end in a new version."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from backend.data import edit
from backend.data.edit import Step
from backend.data.store import AT_ONCE_BYTES
from backend.data.versions import Version, VersionInfo
from backend.i18n import _
from ui.datasets import jobs as datasets_jobs
from ui.datasets import state as datasets_state

VERB = "change_data"


def run(
    version: Version | None,
    steps: Sequence[Step],
    said: str,
    *,
    name: str = "",
    size: int | None = None,
    note: str = "",
    done: Callable[[VersionInfo], None] | None = None,
) -> None:
    """In a callback: do ``steps`` with ``version``. What goes wrong becomes the card at the head of the page.

    Args:
        version: where the rows come from; None for a mix.
        said: what is told when it is done, with a place for ``{version}``.
        name: of the dataset that gets the new version; empty: that of ``version``.
        size: bytes that are read; default: those of ``version``.
        done: called with the new version where it was made at once.
    """
    with datasets_state.problems():
        sets = datasets_state.sets()
        target = name or (version.dataset if version is not None else "")
        size = size if size is not None else (version.info.bytes if version is not None else 0)
        if size > AT_ONCE_BYTES:
            values = {
                "dataset": version.dataset if version is not None else "",
                "version": version.info.id if version is not None else "",
                "steps": [dict(step) for step in steps],
                "name": name,
                "note": note,
            }
            row = datasets_jobs.submit(VERB, values, target)
            datasets_state.say(_("Job {job} makes it; the new version is current when it is done.").format(job=row.id))
            return
        before = version.info.id if version is not None else ""
        info = edit.apply(sets, version, steps, name=name, note=note)
        if st.query_params.get(datasets_state.SET) == target:
            st.query_params.pop(datasets_state.VERSION, None)
        if info.id == before and target == (version.dataset if version is not None else ""):
            datasets_state.say(_("Nothing changed: the rows are as they were."))
        else:
            datasets_state.say(said.format(version=info.id[:6]))
        if done is not None:
            done(info)
