"""Runs over one another: their curves, and each as a line through its settings and what came of it. One colour a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from backend.finetune.comparing import Contender, Difference, said
from backend.i18n import _
from backend.memory.report_chart import shortened
from backend.memory.report_table import COLOURS, DASHED_FROM
from backend.queue.series import POINTS, thin
from ui import words
from ui.finetune import compare_words

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LABEL_WIDTH = 34
NARROW_PX = 560
"""Below this a label at a line would leave no room for the line: its number has to do."""
TIMES = ("step", "minutes")


def colour(place: int) -> str:
    """The colour of the run at ``place``, on all charts and in the table."""
    return COLOURS[place % len(COLOURS)]


def dashed(place: int) -> bool:
    """Whether its line is dashed: nothing is told by colour alone."""
    return place % len(COLOURS) >= DASHED_FROM or place >= len(COLOURS)


def curves(found: Sequence[Contender], labels: Sequence[str], metric: str, along: str, *, key: str) -> None:
    """Draw ``metric`` of all runs over ``along``, ``step`` or ``minutes``."""
    alt = _("{metric} of {runs}").format(metric=words.metric_word(metric), runs=", ".join(labels))
    st.echarts_chart(options(found, labels, metric, along), height=380, key=key, alt=alt)


def options(found: Sequence[Contender], labels: Sequence[str], metric: str, along: str) -> dict[str, Any]:
    """What ECharts draws."""
    series = [
        _line(labels[place], place, points)
        for place, one in enumerate(found)
        if (points := _points(one, metric, along))
    ]
    # A first step far above all others would press the rest flat: the axis may cut it off, the tooltip still tells it.
    values = sorted(point[1] for line in series for point in line["data"])
    return {
        "baseOption": {
            "animation": False,
            "grid": {"left": 8, "right": 230, "top": 28, "bottom": 30, "containLabel": True},
            "tooltip": {"trigger": "axis", "confine": True, "order": "valueAsc"},
            "xAxis": {
                "type": "value",
                "name": _("step") if along == "step" else _("minutes"),
                "nameLocation": "middle",
                "nameGap": 26,
                "min": 0,
                "max": "dataMax",
                "axisLabel": {"hideOverlap": True, "showMaxLabel": False},
            },
            "yAxis": {
                "type": "log" if values and values[0] > 0 and values[-1] / values[0] > 50 else "value",
                "name": words.metric_word(metric),
                "scale": True,
                "nameTextStyle": {"align": "left"},
            },
            "series": series,
        },
        "media": [
            {
                "query": {"maxWidth": NARROW_PX},
                "option": {
                    "grid": {"right": 44},
                    "series": [{"endLabel": {"formatter": line["name"].split(" ")[0]}} for line in series],
                },
            }
        ],
    }


def _points(one: Contender, metric: str, along: str) -> list[list[float]]:
    curve = one.run.curves.get(metric)
    points = curve.points if curve else []
    while len(points) > POINTS // 2:
        points = thin(points)
    if along == "step":
        return [[step, value] for _t, step, value in points if step is not None]
    begun = min((known.points[0][0] for known in one.run.curves.values() if known.points), default=0.0)
    return [[round((t - begun) / 60, 3), value] for t, _step, value in points]


def _line(label: str, place: int, points: list[list[float]]) -> dict[str, Any]:
    return {
        "type": "line",
        "name": label,
        "data": points,
        "showSymbol": len(points) < 30,
        "symbolSize": 5,
        "color": colour(place),
        "lineStyle": {"width": 2, "type": "dashed" if dashed(place) else "solid"},
        # A name with braces is a name: ECharts fills {a} and the like only in a formatter, so it takes them out.
        "endLabel": {
            "show": True,
            "formatter": shortened(label, LABEL_WIDTH).replace("{", "(").replace("}", ")"),
            "color": "inherit",
        },
        "labelLayout": {"moveOverlap": "shiftY"},
        "emphasis": {"focus": "series"},
    }


def parallel(found: Sequence[Contender], differing: Sequence[Difference], *, key: str) -> bool:
    """Draw the runs as lines through what differs and what came of it; False where that would be no picture."""
    axes = [axis for axis in (*map(_setting, differing), *(_outcome(found, name) for name in DRAWN)) if axis]
    if len(found) < 3 or len(axes) < 2:
        return False
    numbers = list(range(len(found)))
    named = {"label": _("Run"), "values": numbers, "tickvals": numbers, "ticktext": [f"#{one.id}" for one in found]}
    figure = _figure(len(found), [{**named, "range": [len(found) - 0.8, -0.2]}, *axes])
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, theme="streamlit")
    return True


DRAWN = ("eval_loss", "right", "seconds")
"""Outcomes that get an axis, at the right."""


def _figure(count: int, axes: Sequence[dict[str, Any]]) -> Figure:
    import plotly.graph_objects as go  # it takes a moment, and most looks at this page need none of it

    steps = [(place / count, (place + 1) / count) for place in range(count)]
    scale = [[edge, colour(place)] for place, edges in enumerate(steps) for edge in edges]
    line = {"color": list(range(count)), "colorscale": scale, "cmin": -0.5, "cmax": count - 0.5}
    figure = go.Figure(
        go.Parcoords(line=line, dimensions=axes, labelfont={"size": 13}, tickfont={"size": 12}, rangefont={"size": 1})
    )
    # Its labels get a shadow in the colour of the paper, which plotly takes for white on a dark page, too.
    clear = "rgba(0,0,0,0)"
    figure.update_layout(height=340, margin={"l": 70, "r": 70, "t": 60, "b": 24}, paper_bgcolor=clear)
    return figure


def _setting(each: Difference) -> dict[str, Any]:
    """One axis: numbers along their size (rates of learning along their logarithm), words at even distances."""
    distinct = sorted(
        set(each.values), key=lambda value: (not isinstance(value, int | float), value if each.numeric else str(value))
    )
    label = shortened(compare_words.short(each.field, each.title), 22)
    if each.numeric and len(distinct) > 1:
        log = min(distinct) > 0 and max(distinct) / min(distinct) > 8
        size = (lambda value: math.log10(value)) if log else float
        return {
            "label": label,
            "values": [size(value) for value in each.values],
            "tickvals": [size(value) for value in distinct],
            "ticktext": [said(value) for value in distinct],
        }
    places = {repr(value): place for place, value in enumerate(distinct)}
    return {
        "label": label,
        "values": [places[repr(value)] for value in each.values],
        "tickvals": list(places.values()),
        "ticktext": [shortened(said(value), 18) for value in distinct],
        "range": [-0.2, len(distinct) - 0.8],
    }


def _outcome(found: Sequence[Contender], name: str) -> dict[str, Any] | None:
    """The axis of an outcome that all runs have; None where one does not have it, or all are the same."""
    values = [one.outcomes.get(name) for one in found]
    known = [value for value in values if value is not None]
    if len(known) < len(values) or len(set(known)) < 2:
        return None
    low, high = min(known), max(known)
    ticks = [low + (high - low) * share for share in (0, 0.25, 0.5, 0.75, 1)]
    return {
        "label": compare_words.outcome(name),
        "values": known,
        "tickvals": ticks,
        "ticktext": [compare_words.value(name, tick) for tick in ticks],
        "range": [low, high],
    }
