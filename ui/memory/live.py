"""The memory now: one panel for each GPU and for main memory. Who has it, what is free, and when more will be.

It is drawn again every two seconds. All tabs share one reading a second, so ten of them cost the store what one does; what is
sent is one piece of HTML a panel, and the table of processes only while somebody has it open.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import streamlit as st

from backend.errors import NotFoundError
from backend.i18n import _
from backend.memory.free_at import FreeAt, free_at
from backend.memory.sample import HOST, HostSample, Sample, SeriesKey
from backend.queue.rows import LIVE, JobRow
from backend.workspace import ROOT
from ui import context, errors, machine_view, words
from ui.memory import chart as memory_chart
from ui.memory import panel as memory_panel
from ui.memory import table as memory_table
from ui.memory import words as memory_words
from ui.memory.panel import Where

JOBS_PAGE = ROOT / "pages" / "jobs.py"
EVERY_S = 2
OLD_S = 5
"""A reading that is older than this many seconds is told with its age."""
SPARK_S, SPARK_POINTS = 300, 30
LINKS = 8
"""Ways to jobs below the panels; all of them are in the table."""


def draw() -> None:
    """Draw all panels; they go on by themselves."""
    st.html(memory_chart.STYLE)
    st.fragment(errors.guarded(_panels, "memory_live"), run_every=EVERY_S)()


def still(sample: Sample, titles: Mapping[int, str]) -> None:
    """The panels of a moment of the past."""
    st.html(memory_chart.STYLE)
    places = memory_panel.places(sample)
    for column, where in zip(_grid(len(places)), places, strict=True):
        with column, st.container(border=True, gap="xsmall", height="stretch"):
            memory_panel.draw(sample, where, titles, {})


# The arguments make the key of the cache: a name with an underscore in front would not count.
@st.cache_data(ttl=1, show_spinner=False, max_entries=4)
def newest(root: str) -> Sample | None:
    """The newest reading, which all sessions share for a second."""
    return context.memory().latest()


@st.cache_data(ttl=5, show_spinner=False, max_entries=4)
def _lines(root: str, devices: tuple[str, ...]) -> dict[str, list[float | None]]:
    """Place -> what was in use there in the last minutes; shared for five seconds."""
    now = time.time()
    keys = [SeriesKey(place, "used") for place in (HOST, *devices)]
    window = context.memory().window(now - SPARK_S, now, points=SPARK_POINTS, keys=keys)
    return {key.place: list(series.mean) for key, series in window.series.items()}


@st.cache_data(ttl=30, show_spinner=False, max_entries=64)
def _roles(root: str, job: int, attempt: int, tenths: int, _measured: int) -> dict[str, int]:
    """What a job's memory is used for; asked anew when it has changed by a tenth of a GiB."""
    from backend.memory import roles

    return roles.split(context.store(), job, _measured)


@st.cache_data(ttl=300, show_spinner=False, max_entries=256)
def _title(root: str, job: int) -> str:
    """The name of a job that is not live any more."""
    try:
        return context.store().get(job).title
    except NotFoundError:
        return ""


def _grid(count: int) -> list[st.delta_generator.DeltaGenerator]:
    """A cell for each of ``count`` panels, two beside each other; the last one alone has the whole width."""
    cells: list[st.delta_generator.DeltaGenerator] = []
    while len(cells) < count:
        cells += st.columns(2, gap="medium") if count - len(cells) > 1 else [st.container()]
    return cells


def _panels() -> None:
    root = str(context.workspace().root)
    sample = newest(root)
    if sample is None:
        _nothing_yet()
        return
    now = time.time()
    rows = {row.id: row for row in context.store().list(states=LIVE, limit=200)}
    titles = {use.job: rows[use.job].title if use.job in rows else _title(root, use.job) for use in sample.jobs}
    st.caption(_age(sample, now))
    if sample.problem:
        problem = _("The GPUs cannot be asked: {problem}").format(problem=errors.plain(_(sample.problem)))
        st.warning(problem, icon=":material/warning:")
    lines = _lines(root, tuple(device.uuid for device in sample.devices if device.uuid))
    places = memory_panel.places(sample)
    divided = False
    for column, where in zip(_grid(len(places)), places, strict=True):
        place = memory_panel.place_of(where)
        key = f"memory_{'host' if place == HOST else place}"
        with column, st.container(border=True, gap="xsmall", height="stretch", key=key):
            roles = _split(root, sample, where, rows)
            divided = divided or bool(roles)
            future = _future(free_at(sample, place, rows.values(), now), titles)
            memory_panel.draw(sample, where, titles, roles, lines.get(place, ()), future)
    if divided:
        st.caption(_("What a job needs its memory for is estimated; its size is measured."))
    _links(sample, rows)
    memory_table.draw(sample, titles, rows)


def _nothing_yet() -> None:
    with st.container(border=True, key="memory_empty"):
        st.markdown(":material/hourglass_top: **" + _("The recorder has just begun.") + "**")
        st.markdown(
            _(
                "Here you will see who uses the memory of this machine, second by second, and later what happened at "
                "any time of the last year. The first figures come in a moment; you need not reload."
            )
        )
        for line in machine_view.lines(machine_view.read()):
            st.caption(f":material/memory: {line}")


def _age(sample: Sample, now: float) -> str:
    old = now - sample.t
    if old <= OLD_S:
        return ":green[:material/check_circle:] " + _("Live: figures of this second")
    return ":orange[:material/pause_circle:] " + _("The newest figures are {age} old, of {time}.").format(
        age=words.duration(old), time=words.stamp(sample.t)
    )


def _split(root: str, sample: Sample, where: Where, rows: Mapping[int, JobRow]) -> dict[int, dict[str, int]]:
    """Job -> term -> bytes, for the jobs whose memory can be told apart: on its GPU, or in main memory without one."""
    if isinstance(where, HostSample) and sample.devices:
        return {}
    place = memory_panel.place_of(where)
    found = {
        use.job: _roles(root, use.job, rows[use.job].attempt, round(use.size / 2**30 * 10), use.size)
        for use in sample.jobs
        if use.place == place and use.job in rows
    }
    return {job: split for job, split in found.items() if split}


def _future(found: FreeAt, titles: Mapping[int, str]) -> list[str]:
    """When more will be free, and who stays; lines of plain text."""

    def name(job: int) -> str:
        return f"#{job} {titles.get(job, '')}".strip()

    said, last = [], found.last
    if last is not None:
        if last.free is None:
            text = _("free at about {time}, when {job} is done")
        elif len(found.releases) == 1:
            text = _("{free} free at about {time}, when {job} is done")
        else:
            text = _("{free} free at about {time}, when {job} and those before it are done")
        said.append(text.format(free=memory_words.size(last.free), time=words.clock(last.t), job=name(last.job)))
    if found.staying:
        names = ", ".join(name(job) for job in found.staying)
        said.append(_("Stays until somebody stops it: {names}").format(names=names))
    return said


def _links(sample: Sample, rows: Mapping[int, JobRow]) -> None:
    """The ways to the jobs that are somewhere above."""
    here = sorted({use.job for use in sample.jobs if use.job in rows})
    if not here:
        return
    with st.container(horizontal=True, gap="small"):
        for job in here[:LINKS]:
            label = f"#{job} {errors.plain(rows[job].title)}"
            st.page_link(JOBS_PAGE, label=label, icon=words.verb_icon(rows[job].verb), query_params={"job": str(job)})
