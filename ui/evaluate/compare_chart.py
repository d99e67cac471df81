"""Runs side by side as pictures: bars with their intervals, and differences with theirs.

A run has the same colour in all pictures; nothing is told by colour alone. ECharts takes no functions from here, so whiskers are lines between
two marks, and what a tooltip says is the name of its point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from backend.i18n import _
from backend.memory.report_table import COLOURS
from ui.evaluate import figures as evaluate_figures

BETTER, WORSE, UNCLEAR = "#009E73", "#D55E00", "#8A8A8A"
NARROW_PX = 560
WHISKER = "#8A8A8A"
"""Seen on bars of all colours, and on light and dark paper."""


@dataclass(frozen=True)
class Bar:
    """A share or a difference in percent with its interval; without one where nobody knows how many questions it rests on. sure: of a difference, 1
    better, -1 worse, beyond what chance explains."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    said: str = ""
    sure: int = 0


def colour(place: int) -> str:
    """The colour of the run at ``place``, on all charts and in the table."""
    return COLOURS[place % len(COLOURS)]


def bars(found: Sequence[tuple[int, Bar]], *, key: str) -> None:
    """One bar a run, in the colour of its place."""
    shown = list(found)
    if shown:
        labels = ", ".join(f"{bar.label} {bar.said}" for _place, bar in shown)
        st.echarts_chart(
            bar_options(shown),
            height=60 + 44 * len(shown),
            key=key,
            alt=_("Accuracy of {runs}").format(runs=labels),
        )


def bar_options(shown: Sequence[tuple[int, Bar]]) -> dict[str, Any]:
    """What ECharts draws for :func:`bars`: pale bars, and on them the intervals in the full colour."""
    names = [bar.label for _place, bar in shown]
    data = [
        {
            "value": round(bar.value, 2),
            "name": safe(f"{bar.label}: {bar.said}"),
            "itemStyle": {"color": colour(place), "opacity": 0.45},
        }
        for place, bar in shown
    ]
    hues = [colour(place) for place, _bar in shown]
    whiskers = _whiskers([bar for _place, bar in shown], hues)
    series = [
        {"type": "bar", "data": data, "barWidth": "58%", "tooltip": {"formatter": "{b}"}, **whiskers},
        _ends([bar for _place, bar in shown], hues),
    ]
    return _sideways(names, series, {"min": 0, "max": 100, "name": _("Accuracy, %")})


def differences(found: Sequence[Bar], *, key: str, against: str, of: str) -> None:
    """One point a subject with the interval of its difference, those that got better at the top; the line is no difference."""
    if found:
        text = _("Difference of {other} from {first} by subject, in points")
        st.echarts_chart(
            difference_options(found),
            height=70 + 24 * len(found),
            key=key,
            alt=text.format(other=of, first=against),
        )


def difference_options(found: Sequence[Bar]) -> dict[str, Any]:
    """What ECharts draws for :func:`differences`."""
    data = [
        {
            "value": [round(bar.value, 2), at],
            "name": safe(f"{bar.label}: {bar.said}"),
            "itemStyle": {"color": judged(bar)},
        }
        for at, bar in enumerate(found)
    ]
    dashes = {"color": WHISKER, "width": 1, "type": "dashed"}
    ends = [[0, 0], [0, len(found) - 1]]
    zero = {"type": "line", "data": ends, "symbol": "none", "silent": True, "lineStyle": dashes}
    points = {
        "type": "scatter",
        "data": data,
        "symbolSize": 10,
        "z": 5,
        "tooltip": {"formatter": "{b}"},
        **_whiskers(found, [judged(bar) for bar in found]),
    }
    edge = max([10.0, *(abs(each) for bar in found for each in (bar.value, bar.low, bar.high) if each is not None)])
    edge = min(100.0, 5.0 * (int(edge / 5) + 1))
    plain = {"showMinLabel": False, "showMaxLabel": False}
    axis = {"min": -edge, "max": edge, "name": _("Difference in points"), "axisLabel": plain}
    return _sideways([bar.label for bar in found], [zero, points], axis)


def judged(bar: Bar) -> str:
    """The colour of a difference: only one beyond chance has one."""
    return {1: BETTER, -1: WORSE}.get(bar.sure, UNCLEAR)


def _sideways(names: Sequence[str], series: list[dict[str, Any]], axis: dict[str, Any]) -> dict[str, Any]:
    """A chart whose rows are ``names``, the first at the top."""
    return {
        "baseOption": {
            "animation": False,
            "grid": {"left": 8, "right": 56, "top": 8, "bottom": 30, "containLabel": True},
            "tooltip": {"trigger": "item", "confine": True},
            "xAxis": {"type": "value", "nameLocation": "middle", "nameGap": 26, **axis},
            "yAxis": {
                "type": "category",
                "inverse": True,
                "data": [safe(name) for name in names],
                "axisLabel": {"interval": 0, "width": 230, "overflow": "truncate"},
                "axisTick": {"show": False},
            },
            "series": series,
        },
        "media": [
            {
                "query": {"maxWidth": NARROW_PX},
                "option": {"yAxis": {"axisLabel": {"width": 110}}, "grid": {"right": 44}},
            }
        ],
    }


def _whiskers(shown: Sequence[Bar], hues: Sequence[str]) -> dict[str, Any]:
    """The intervals as lines, one a row."""
    lines = [
        [{"coord": [round(bar.low, 2), at], "lineStyle": {"color": hue}}, {"coord": [round(bar.high, 2), at]}]
        for at, (bar, hue) in enumerate(zip(shown, hues, strict=True))
        if bar.low is not None and bar.high is not None
    ]
    style = {"width": 2.5, "type": "solid"}
    return {"markLine": {"silent": True, "symbol": "none", "label": {"show": False}, "lineStyle": style, "data": lines}}


def _ends(shown: Sequence[Bar], hues: Sequence[str]) -> dict[str, Any]:
    """Both ends of the intervals, and behind each the number."""
    data: list[dict[str, Any]] = []
    for at, (bar, hue) in enumerate(zip(shown, hues, strict=True)):
        style = {"color": hue}
        if bar.low is not None:
            data.append({"value": [round(bar.low, 2), at], "itemStyle": style, "label": {"show": False}})
        end = bar.value if bar.high is None else bar.high
        number = f"{evaluate_figures.percent(bar.value)} %"
        data.append({"value": [round(end, 2), at], "name": number, "itemStyle": style})
    label = {"show": True, "position": "right", "formatter": "{b}"}
    return {
        "type": "scatter",
        "data": data,
        "z": 6,
        "symbol": "rect",
        "symbolSize": [2.5, 13],
        "label": label,
        "silent": True,
    }


def safe(text: str) -> str:
    """A name with braces is a name: ECharts fills {a} and the like in a formatter."""
    return text.replace("{", "(").replace("}", ")")
