"""Runs side by side over many axes: a radar over groups or a few subjects, and a heat map of all subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.i18n import _
from backend.memory.report_chart import shortened
from backend.memory.report_table import DASHED_FROM
from ui.evaluate.compare_chart import NARROW_PX, colour, safe

LOW, MIDDLE, HIGH, INK = "#F3C9A8", "#F3F1EA", "#8EC3E6", "#1B2223"
"""Ends and middle of the heat map, from orange to blue, all light enough for the ink of its figures, in both themes."""
FEWEST_AXES, MOST_AXES = 3, 12
MOST_LABELS = 500


def radar(
    axes: Sequence[str], runs: Sequence[tuple[int, str]], values: Sequence[Sequence[float | None]], *, key: str
) -> None:
    """One line a run over ``axes``; runs: place and label of each."""
    labels = [label for _place, label in runs]
    st.echarts_chart(
        radar_options(axes, runs, values),
        height=420,
        key=key,
        alt=_("Scores of {runs} over {n} axes").format(runs=", ".join(labels), n=len(axes)),
    )


def radar_options(
    axes: Sequence[str], runs: Sequence[tuple[int, str]], values: Sequence[Sequence[float | None]]
) -> dict[str, Any]:
    """What ECharts draws for :func:`radar`; values: of each run, one an axis, in percent."""
    lines = []
    for (place, label), scores in zip(runs, values, strict=True):
        own = [None if value is None else round(value, 1) for value in scores]
        lines.append(
            {
                "name": safe(label),
                "value": own,
                "itemStyle": {"color": colour(place)},
                "lineStyle": {
                    "width": 2,
                    "type": "dashed" if place >= DASHED_FROM else "solid",
                    "color": colour(place),
                },
                "symbolSize": 5,
            }
        )
    return {
        "animation": False,
        "legend": {"type": "scroll", "bottom": 0},
        "tooltip": {"trigger": "item", "confine": True},
        "radar": {
            "indicator": [{"name": shortened(safe(axis), 22), "min": 0, "max": 100} for axis in axes],
            "radius": "74%",
            "center": ["50%", "48%"],
            "splitNumber": 4,
        },
        "series": [{"type": "radar", "data": lines}],
    }


def heat(subjects: Sequence[str], labels: Sequence[str], values: Sequence[Sequence[float | None]], *, key: str) -> None:
    """One row a subject and one column a run, its score in the cell; a cell without a score stays empty."""
    st.echarts_chart(
        heat_options(subjects, labels, values),
        height=110 + 22 * len(subjects),
        key=key,
        alt=_("Scores of {runs} in {n} subjects").format(runs=", ".join(labels), n=len(subjects)),
    )


def heat_options(
    subjects: Sequence[str], labels: Sequence[str], values: Sequence[Sequence[float | None]]
) -> dict[str, Any]:
    """What ECharts draws for :func:`heat`; values: of each run, one a subject, in percent."""
    cells = [
        {"value": [x, y, round(value, 1)], "name": f"{safe(subject)} · {safe(labels[x])}: {value:.1f} %"}
        for y, subject in enumerate(subjects)
        for x in range(len(labels))
        if (value := values[x][y]) is not None
    ]
    known = [value for own in values for value in own if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 100.0)
    return {
        "baseOption": {
            "animation": False,
            "grid": {"left": 8, "right": 12, "top": 44, "bottom": 44, "containLabel": True},
            "tooltip": {"confine": True, "formatter": "{b}"},
            "xAxis": {
                "type": "category",
                "position": "top",
                "data": [safe(label) for label in labels],
                "axisLabel": {"interval": 0, "width": 110, "overflow": "truncate"},
                "axisTick": {"show": False},
            },
            "yAxis": {
                "type": "category",
                "inverse": True,
                "data": [safe(subject) for subject in subjects],
                "axisLabel": {"interval": 0, "width": 220, "overflow": "truncate"},
                "axisTick": {"show": False},
            },
            "visualMap": {
                "min": round(low, 1),
                "max": round(max(high, low + 1), 1),
                "calculable": False,
                "orient": "horizontal",
                "left": "center",
                "bottom": 0,
                "itemHeight": 120,
                "itemWidth": 12,
                "text": [f"{high:.0f} %", f"{low:.0f} %"],
                "inRange": {"color": [LOW, MIDDLE, HIGH]},
            },
            "series": [
                {
                    "type": "heatmap",
                    "data": cells,
                    "label": {"show": len(cells) <= MOST_LABELS, "color": INK, "fontSize": 11, "formatter": "{@[2]}"},
                }
            ],
        },
        "media": [
            {
                "query": {"maxWidth": NARROW_PX},
                "option": {
                    "xAxis": {"data": [label.split(" ")[0] for label in labels]},
                    "yAxis": {"axisLabel": {"width": 110}},
                },
            }
        ],
    }
