"""What happened in a window, newest first: each moment with its time, what it is about, and the ways on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from backend.i18n import _
from backend.memory.sample import Moment
from backend.workspace import ROOT
from ui import errors
from ui.memory import words as memory_words

JOBS_PAGE = ROOT / "pages" / "jobs.py"
SHOWN = 15
CALM = ("phase", "checkpoint")
"""Kinds that come often; hidden until somebody asks for them."""


def draw(
    moments: Sequence[Moment],
    titles: Mapping[int, str],
    known: Mapping[str, tuple[int, str]],
    *,
    only: int | None = None,
) -> None:
    """Draw the list.

    Args:
        moments: of the window, by time.
        titles: names of jobs.
        known: UUID -> (index, name) of GPUs.
        only: a job whose moments are shown alone, unless somebody wants all.
    """
    st.subheader(_("What happened"), anchor=False)
    listed = list(reversed(moments))
    with st.container(horizontal=True, gap="medium"):
        if only is not None and st.toggle(_("Only job #{job}").format(job=only), True, key=f"memory_only_{only}"):
            listed = [found for found in listed if memory_words.job_of(found) == only]
        if any(found.kind in CALM for found in listed):
            every = st.toggle(_("With phases and checkpoints"), only is not None, key=f"memory_calm_{only}")
            listed = listed if every else [found for found in listed if found.kind not in CALM]
    if not listed:
        st.caption(_("Nothing that was noticed in this time."))
        return
    count = int(st.session_state.get("memory_moments_shown", SHOWN))
    with st.container(border=True, gap="xsmall", key="memory_moments"):
        for number, found in enumerate(listed[:count]):
            _row(found, titles, known, number)
    if len(listed) > count:
        st.button(
            _("Show {n} more of {all}").format(n=min(SHOWN, len(listed) - count), all=len(listed)),
            key="memory_moments_more",
            type="tertiary",
            icon=":material/expand_more:",
            on_click=_more,
            args=(count,),
        )


def _more(count: int) -> None:
    st.session_state["memory_moments_shown"] = count + SHOWN


def _row(found: Moment, titles: Mapping[int, str], known: Mapping[str, tuple[int, str]], number: int) -> None:
    look = memory_words.moment(found.kind)
    job = memory_words.job_of(found)
    parts = [f":gray[{memory_words.second(found.t)}]", look.chip]
    about = memory_words.about(found, titles)
    if about:
        parts.append(errors.plain(about))
    if found.place:
        parts.append(f":gray[{memory_words.place(found.place, (), known)}]")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"memory_moment_{number}"):
        st.markdown(" ".join(parts), width="stretch")
        if job is not None and job in titles:
            label = _("Job #{job}").format(job=job)
            st.page_link(JOBS_PAGE, label=label, icon=":material/list_alt:", query_params={"job": str(job)})
        st.button(
            _("This minute"),
            key=f"memory_minute_{number}_{found.t:.0f}",
            type="tertiary",
            icon=":material/my_location:",
            on_click=_to_minute,
            args=(found.t, job),
        )


def _to_minute(t: float, job: int | None) -> None:
    st.query_params.from_dict({"view": "past", "at": f"{t:.0f}"} | ({"job": str(job)} if job is not None else {}))
