"""The curves of a comparison over one another: one colour a run, its name at its line, gaps left as gaps."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.i18n import _
from backend.memory import figures
from backend.memory.compare import Comparison, Curve
from backend.memory.report_chart import shortened, time_unit
from backend.memory.report_table import COLOURS, DASHED_FROM

LABEL_WIDTH = 37
NARROW_PX = 560
"""Below this a label at a line would leave no room for the line: its letter has to do."""


def draw(comparison: Comparison, place: str, *, key: str) -> None:
    """Draw the curves of ``place``, ``gpu`` or ``host``; there is at least one."""
    what = _("GPU memory") if place == "gpu" else _("Main memory")
    st.echarts_chart(
        options(comparison, place),
        height=380,
        key=key,
        alt=_("{what} over time of {runs}").format(what=what, runs=", ".join(comparison.labels())),
    )


def options(comparison: Comparison, place: str) -> dict[str, Any]:
    """What ECharts draws."""
    labels = comparison.labels()
    curves = [(i, curve) for i, row in enumerate(comparison.rows) if (curve := getattr(row, place)) is not None]
    end = max((curve.begin + curve.step * len(curve.values) for _i, curve in curves), default=0.0)
    unit_s, unit = time_unit(end)
    series = [_line(labels[i], i, curve, unit_s) for i, curve in curves]
    base = {
        "animation": False,
        "grid": {"left": 8, "right": 240, "top": 28, "bottom": 30, "containLabel": True},
        "tooltip": {"trigger": "axis", "order": "valueDesc", "confine": True},
        "xAxis": {
            "type": "value",
            "name": unit,
            "nameLocation": "middle",
            "nameGap": 26,
            "min": 0,
            "max": "dataMax",
            "axisLabel": {"hideOverlap": True, "showMaxLabel": False},
        },
        "yAxis": {"type": "value", "name": "GiB", "min": 0, "nameTextStyle": {"align": "right"}},
        "series": series,
    }
    letters = [{"endLabel": {"formatter": labels[i].split(" ")[0]}} for i, _curve in curves]
    narrow = {"grid": {"right": 28}, "series": letters}
    return {"baseOption": base, "media": [{"query": {"maxWidth": NARROW_PX}, "option": narrow}]}


def _line(label: str, place: int, curve: Curve, unit_s: int) -> dict[str, Any]:
    return {
        "type": "line",
        "name": label,
        "data": [
            [float(f"{max(0.0, at) / unit_s:.5g}"), None if size is None else round(size / figures.GIB, 3)]
            for at, size in curve.points()
        ],
        "showSymbol": len(curve.values) == 1,
        "connectNulls": False,
        "color": COLOURS[place],
        "lineStyle": {"width": 2, "type": "dashed" if place >= DASHED_FROM else "solid"},
        # A name with braces is a name: ECharts fills {a} and the like only in a formatter, so it takes them out.
        "endLabel": {
            "show": True,
            "formatter": shortened(label, LABEL_WIDTH).replace("{", "(").replace("}", ")"),
            "color": "inherit",
        },
        "labelLayout": {"moveOverlap": "shiftY"},
        "emphasis": {"focus": "series"},
    }
