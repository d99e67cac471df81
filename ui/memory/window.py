"""The chart of one place over a window of the past: layers that add up, the line of what was in use, and what happened.

Moments are marks in a lane above the line, each with a thin line down through it; a mark that the mouse rests on tells all
that is known. The lane is a grid of its own, because only there a tooltip belongs to one mark.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from backend.i18n import _
from backend.memory.sample import Moment, Window
from ui import words
from ui.memory import words as memory_words
from ui.memory.layers import Place

MARKS = 60
"""Moments marked in a chart; where there are more, those that matter most."""
SHAPES = {
    "out_of_memory": ("triangle", "#D55E00"),
    "gpu_lost": ("triangle", "#D55E00"),
    "disk_full": ("triangle", "#D55E00"),
    "gpu_back": ("circle", "#009E73"),
    "neighbour_came": ("diamond", "#CC79A7"),
    "neighbour_left": ("diamond", "#A9B5B6"),
    "job_started": ("arrow", "#0072B2"),
    "job_ended": ("rect", "#0072B2"),
    "clock_jumped": ("diamond", "#E69F00"),
    "record_damaged": ("diamond", "#E69F00"),
    "recorder_ended": ("roundRect", "#7F8C8D"),
    "recorder_began": ("roundRect", "#7F8C8D"),
    "checkpoint": ("pin", "#009E73"),
    "phase": ("circle", "#56B4E9"),
}
"""Kind -> mark and colour, those that matter most first. Never the colour alone: the shape tells too."""
GRAVE = ("out_of_memory", "gpu_lost", "disk_full")
LINE = "#7F8C8D"


def draw(
    window: Window, place: Place, moments: Sequence[Moment], titles: Mapping[int, str], *, key: str, alt: str
) -> None:
    """Draw the chart; ``alt`` says in words what it shows."""
    st.echarts_chart(option(window, place, moments, titles), height=300, key=key, alt=alt)


def option(window: Window, place: Place, moments: Sequence[Moment], titles: Mapping[int, str]) -> dict[str, Any]:
    """The chart as ECharts is told it."""
    names = _unique([layer.label for layer in place.layers])
    used = _("line: in use")
    columns: dict[str, Any] = {
        "t": [round((window.start + cell * window.step) * 1000) for cell in range(len(place.used))]
    }
    columns |= {name: _floats(layer.values) for name, layer in zip(names, place.layers, strict=True)}
    columns[used] = _floats(place.used)
    ends = {"min": round(window.start * 1000), "max": round(window.end * 1000)}
    top = place.total if place.total and place.peak and place.peak[0] > 0.6 * place.total else None
    marks = chosen(moments)
    return {
        "animation": False,
        "dataset": {"source": pd.DataFrame(columns)},
        "tooltip": {"trigger": "item", "confine": True},
        "legend": {
            "bottom": 0,
            "type": "scroll",
            "icon": "roundRect",
            "itemWidth": 14,
            "itemHeight": 10,
            "data": [*names, used],
        },
        "grid": [
            {"left": 48, "right": 12, "top": 44, "bottom": 56, "tooltip": {"trigger": "axis"}},
            {"left": 48, "right": 12, "top": 14, "height": 20},
        ],
        "xAxis": [
            {"type": "time", **ends, "axisLabel": {"hideOverlap": True}},
            {"type": "time", **ends, "gridIndex": 1, "show": False},
        ],
        "yAxis": [
            {"type": "value", "name": "GiB", "min": 0, "nameGap": 10, "nameTextStyle": {"align": "right"}}
            | ({"max": round(top, 1)} if top else {}),
            {"type": "value", "min": -1, "max": 1, "gridIndex": 1, "show": False},
        ],
        "series": [
            *(_area(name, layer.colour, layer.kind) for name, layer in zip(names, place.layers, strict=True)),
            _line(used, marks),
            _lane(marks, titles),
        ],
    }


def chosen(moments: Sequence[Moment]) -> list[Moment]:
    """Those that are marked: all, or where there are too many, those that matter most and then the newest."""
    if len(moments) <= MARKS:
        return list(moments)
    order = list(SHAPES)
    rank = {kind: place for place, kind in enumerate(order)}
    best = sorted(moments, key=lambda found: (rank.get(found.kind, len(order)), -found.t))[:MARKS]
    return sorted(best, key=lambda found: found.t)


def tells(found: Moment, titles: Mapping[int, str]) -> str:
    """What hovering a mark says; HTML. Braces would be placeholders."""
    look = memory_words.moment(found.kind)
    lines = [f"<b>{html.escape(look.word)}</b>", html.escape(words.stamp(found.t))]
    about = memory_words.about(found, titles)
    lines += [html.escape(part) for part in about.split(" · ") if part]
    return "<br>".join(lines).replace("{", "(").replace("}", ")")


def _area(name: str, colour: str, kind: str) -> dict[str, Any]:
    dashed = {"type": "dashed"} if kind != "job" else {}
    return {
        "type": "line",
        "name": name,
        "stack": "who",
        "encode": {"x": "t", "y": name},
        "showSymbol": False,
        "connectNulls": False,
        "lineStyle": {"width": 1, **dashed},
        "areaStyle": {"opacity": 0.75 if kind == "job" else 0.4},
        "itemStyle": {"color": colour},
        "tooltip": {"valueFormatter": "%.1f GiB"},
    }


def _line(name: str, marks: Sequence[Moment]) -> dict[str, Any]:
    return {
        "type": "line",
        "name": name,
        "encode": {"x": "t", "y": name},
        "showSymbol": False,
        "connectNulls": False,
        "lineStyle": {"width": 2},
        "itemStyle": {"color": LINE},
        "tooltip": {"valueFormatter": "%.1f GiB"},
        "markLine": {
            "silent": True,
            "symbol": "none",
            "label": {"show": False},
            "data": [
                {
                    "xAxis": round(found.t * 1000),
                    "lineStyle": {"color": _shape(found.kind)[1], "type": "dotted", "width": 1, "opacity": 0.8},
                }
                for found in marks
            ],
        },
    }


def _lane(marks: Sequence[Moment], titles: Mapping[int, str]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "name": _("moments"),
        "xAxisIndex": 1,
        "yAxisIndex": 1,
        "data": [
            {
                "value": [round(found.t * 1000), 0],
                "symbol": _shape(found.kind)[0],
                "symbolSize": 14 if found.kind in GRAVE else 10,
                "symbolRotate": -90 if found.kind == "job_started" else 0,
                "itemStyle": {"color": _shape(found.kind)[1]},
                "tooltip": {"formatter": tells(found, titles)},
            }
            # What is drawn last lies on top.
            for found in sorted(marks, key=lambda found: found.kind in GRAVE)
        ],
    }


def _shape(kind: str) -> tuple[str, str]:
    return SHAPES.get(kind, ("circle", LINE))


def _floats(values: Sequence[float | None]) -> pd.Series:
    # Half of what 64 bits would be on the way to the browser; a gap stays a gap.
    return pd.Series([float("nan") if value is None else value for value in values], dtype="float32")


def _unique(names: Sequence[str]) -> list[str]:
    """Two jobs may have one name; a column of the chart may not."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
