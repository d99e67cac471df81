"""The time machine: any window of the past, a chart for each place, and what happened in it.

The address says which window: ``?view=past&range=24h``, ``&from=EPOCH&to=EPOCH``, ``&at=EPOCH`` (ten minutes around that
moment), ``&job=N`` (the job that it is about; alone: its whole life). So a link, a reload and the way back show the same.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from backend.i18n import N_, _
from backend.memory import then
from backend.memory.sample import HOST, Moment, Window
from ui import context, words
from ui.memory import layers as memory_layers
from ui.memory import live as memory_live
from ui.memory import moments as memory_moments
from ui.memory import window as memory_window
from ui.memory import words as memory_words

RANGES = {
    "15m": (N_("15 min"), 900),
    "1h": (N_("1 h"), 3600),
    "6h": (N_("6 h"), 6 * 3600),
    "24h": (N_("24 h"), 24 * 3600),
    "7d": (N_("7 days"), 7 * 24 * 3600),
    "30d": (N_("30 days"), 30 * 24 * 3600),
    "1y": (N_("a year"), 365 * 24 * 3600),
    "own": (N_("from … to …"), 0),
}
FIRST = "1h"
AROUND_S = 300
POINTS, ALL_POINTS = 600, 2700
"""Cells of one chart at most, and of all charts of the page together."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for. name: of RANGES. at: the moment it is about. job: the job it is about."""

    start: float
    end: float
    name: str
    at: float | None = None
    job: int | None = None


def draw() -> None:
    """Draw the choice of the window, the charts and the list."""
    now = time.time()
    asked = of_address(now)
    _choose(asked)
    if asked.name == "own":
        _own(asked)
    root = str(context.workspace().root)
    places = [HOST, *_known(root)]
    points = max(120, min(POINTS, ALL_POINTS // len(places)))
    # A window that ends now is another one every second; in tens of seconds, all tabs share it.
    grain = 1 if asked.name == "own" else 10
    start, end = (round(t / grain) * grain for t in (asked.start, asked.end))
    window, moments = _read(root, start, end, points)
    titles = _titles(window, moments)
    _charts(root, asked, window, moments, titles)
    if asked.at is not None:
        _who_then(asked.at, asked.job, titles)
    memory_moments.draw(moments, titles, _known(root), only=asked.job)


def of_address(now: float) -> Asked:
    """The window that the address asks for; what is no number there is as if it were not."""
    at, job = _number("at"), _number("job")
    number = int(job) if job and job < 2**53 else None
    if at is not None:
        return Asked(at - AROUND_S, at + AROUND_S, "own", at, number)
    start, end = _number("from"), _number("to")
    if start is not None and end is not None and start < end:
        return Asked(start, end, "own", None, number)
    if number is not None and "range" not in st.query_params:
        life = context.memory().job_series(number, points=2)
        if life.series:
            room = max(30.0, 0.05 * (life.end - life.start))
            return Asked(life.start - room, life.end + room, "own", None, number)
    name = st.query_params.get("range", FIRST)
    name = name if name in RANGES and name != "own" else FIRST
    return Asked(now - RANGES[name][1], now, name, None, number)


def _number(name: str) -> float | None:
    try:
        value = float(st.query_params.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 < value < 1e11 else None


def _choose(asked: Asked) -> None:
    st.session_state["memory_range"] = asked.name

    def changed() -> None:
        name = st.session_state["memory_range"]
        if name == "own":
            _go(asked.job, **{"from": f"{asked.start:.0f}", "to": f"{asked.end:.0f}"})
        else:
            _go(asked.job, range=name)

    st.pills(
        _("Time"),
        list(RANGES),
        key="memory_range",
        required=True,
        format_func=lambda name: _(RANGES[name][0]),
        on_change=changed,
        label_visibility="collapsed",
    )


def _own(asked: Asked) -> None:
    """Two times that can be changed, to the minute; the address then has them."""
    zone = words.timezone()

    def naive(t: float) -> datetime:
        return datetime.fromtimestamp(t, zone).replace(tzinfo=None, second=0, microsecond=0)

    def changed(first: str, last: str) -> None:
        times = [st.session_state[name] for name in (first, last)]
        if None in times:
            return
        start, end = (each.replace(tzinfo=zone).timestamp() for each in times)
        st.session_state["memory_wrong_way"] = start >= end
        if start < end:
            _go(asked.job, **{"from": f"{start:.0f}", "to": f"{end:.0f}"})

    # Another window is another pair of fields: they begin with its times.
    keys = [f"memory_{name}_{asked.start:.0f}_{asked.end:.0f}" for name in ("from", "to")]
    columns = st.columns(2)
    for column, key, label, t in zip(columns, keys, (_("From"), _("To")), (asked.start, asked.end), strict=True):
        column.datetime_input(
            label, naive(t), key=key, step=60, format="YYYY-MM-DD", on_change=changed, args=tuple(keys)
        )
    if st.session_state.pop("memory_wrong_way", False):
        st.warning(_("The first time must be before the second one."), icon=":material/warning:")


def _go(job: int | None, **asked: str) -> None:
    """Another window, in the address."""
    st.query_params.from_dict({"view": "past", **asked} | ({"job": str(job)} if job is not None else {}))


@st.cache_data(ttl=10, show_spinner=False, max_entries=4)
def _known(root: str) -> dict[str, tuple[int, str]]:
    """UUID -> (index, name) of every GPU that was ever seen here, in the order of their numbers."""
    devices = sorted(context.memory().devices(), key=lambda device: (device.index, device.first_seen))
    return {device.uuid: (device.index, device.name) for device in devices}


@st.cache_data(ttl=10, show_spinner=False, max_entries=8)
def _read(root: str, start: float, end: float, points: int) -> tuple[Window, list[Moment]]:
    memory = context.memory()
    keys = [key for key in memory.keys(start, end) if key.name in memory_layers.NAMES]
    return memory.window(start, end, points=points, keys=keys), memory.moments(start, end)


def _titles(window: Window, moments: list[Moment]) -> dict[int, str]:
    """Names of the jobs that are shown; a job that was deleted has none."""
    asked = {int(key.subject) for key in window.series if key.name == "job" and key.subject.isdigit()}
    asked |= {job for found in moments if (job := memory_words.job_of(found)) is not None}
    return context.store().titles(asked)


def _charts(root: str, asked: Asked, window: Window, moments: list[Moment], titles: dict[int, str]) -> None:
    known = _known(root)
    there = {key.place for key in window.series if key.name == "used"}
    order = [place for place in [*known, HOST] if place in there]
    if asked.job is not None:
        mine = {key.place for key in window.series if key.name == "job" and key.subject == str(asked.job)}
        order.sort(key=lambda place: place not in mine)
    drawn = [(place, memory_layers.of(window, place, titles)) for place in order]
    drawn = [(place, found) for place, found in drawn if found.peak is not None]
    if not drawn:
        st.info(
            _("Nothing was recorded in this time. The recorder works while the panel or a job of it runs."),
            icon=":material/hourglass_empty:",
        )
        return
    if window.step > 1:
        st.caption(
            _("Each point stands for {duration}; the line in use shows the highest within it.").format(
                duration=words.duration(window.step)
            )
        )
    where = _places_of_jobs(window)
    here = {place: [moment for moment in moments if _belongs(moment, place, where)] for place, _layers in drawn}
    for start in range(0, len(drawn), 2):
        pair = drawn[start : start + 2]
        columns = st.columns(2, gap="medium") if len(pair) > 1 else [st.container()]
        for column, (place, found) in zip(columns, pair, strict=True):
            with column:
                _chart(place, found, window, here[place], titles, known)


def _who_then(at: float, job: int | None, titles: dict[int, str]) -> None:
    """Who had the memory at that moment."""
    sample = then.sample_at(context.memory(), at, job)
    if sample is None:
        return
    st.subheader(_("Who had it at {time}").format(time=memory_words.second(sample.t)), anchor=False)
    memory_live.still(sample, titles)


def _chart(
    place: str,
    found: memory_layers.Place,
    window: Window,
    moments: list[Moment],
    titles: dict[int, str],
    known: dict[str, tuple[int, str]],
) -> None:
    name = memory_words.place(place, (), known)
    assert found.peak is not None
    peak, cell = found.peak
    text = _("at most {size} of {total} in use, at {time}") if found.total else _("at most {size} in use, at {time}")
    said = text.format(
        size=memory_words.size(peak * 2**30),
        total=words.gib((found.total or 0) * 2**30),
        time=words.clock(window.start + cell * window.step),
    )
    with st.container(border=True, gap="xsmall", key=f"memory_past_{place}"):
        st.markdown(f"**{name}** :gray[{said}]")
        memory_window.draw(window, found, moments, titles, key=f"memory_chart_{place}", alt=f"{name}: {said}")


def _places_of_jobs(window: Window) -> dict[str, set[str]]:
    """Number of a job -> where it had memory."""
    found: dict[str, set[str]] = {}
    for key in window.series:
        if key.name == "job":
            found.setdefault(key.subject, set()).add(key.place)
    return found


def _belongs(found: Moment, place: str, where: dict[str, set[str]]) -> bool:
    """Whether a moment is marked on the chart of ``place``: those of a job where it was, those of the recorder everywhere."""
    if found.place:
        return found.place == place
    there = where.get(str(memory_words.job_of(found)))
    return not there or place in there
