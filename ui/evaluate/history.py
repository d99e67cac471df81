"""How a model's score went from its base to what was made of it: one point a run, with its interval, along the lineage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.evaluate import history
from backend.evaluate.records import Run
from backend.evaluate.store import EvaluateStore
from backend.i18n import _
from backend.workspace import Workspace
from ui import context, errors, words
from ui.evaluate import compare_chart as evaluate_compare_chart
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import look as evaluate_look
from ui.evaluate.compare_chart import Bar

MOST = 12
"""Points of a chart that can still be read."""


def draw(runs: Sequence[Run]) -> None:
    """Draw the way of the last of ``runs`` from its base, on the same questions by the same evaluator; nothing where there is only one point."""
    if not runs:
        return
    run = runs[-1]
    found = points(run, context.workspace(), evaluate_kept.store())
    if len(found) < 2:
        return
    st.markdown("##### " + _("Along the lineage"))
    st.caption(
        _("{model} and what it was made from, on {questions}, by {evaluator}.").format(
            model=errors.plain(run.model),
            questions=errors.plain(evaluate_look.set_title(run)),
            evaluator=evaluate_look.evaluator(run.evaluator),
        )
    )
    chart(found[-MOST:], key="evaluate_history")


def points(run: Run, workspace: Workspace, store: EvaluateStore) -> list[Bar]:
    """One a run of the lineage of the model that ``run`` asked, whose scores can be held against it: the base first."""
    found = []
    for step in history.of_model(workspace, store, run.model):
        kept = {point.run.id: point for point in step.points}
        own = [
            each
            for each in (point.run for point in step.points)
            if each.id == run.id or evaluate_kept.comparable(run, [each])
        ]
        for each in own:
            headline = evaluate_figures.headline(kept[each.id].scores)
            if headline.share is not None:
                made = words.verb_word(step.verb) if step.verb else ""
                label = "\n".join(filter(None, (step.model, made, words.ago(each.began))))
                said = " ".join(filter(None, (headline.said(), headline.interval)))
                found.append(Bar(label, headline.share, headline.low, headline.high, said))
    return found


def chart(points: Sequence[Bar], *, key: str) -> None:
    """Draw the points, the base first; nothing where there are fewer than two."""
    if len(points) < 2:
        return
    told = ", ".join(f"{_line(point.label)} {point.said}" for point in points)
    st.echarts_chart(
        options(points), height=300, key=key, alt=_("Accuracy along the lineage: {points}").format(points=told)
    )


def options(points: Sequence[Bar]) -> dict[str, Any]:
    """What ECharts draws."""
    names = [evaluate_compare_chart.safe(point.label) for point in points]
    data = [
        {"value": round(point.value, 2), "name": evaluate_compare_chart.safe(f"{_line(point.label)}: {point.said}")}
        for point in points
    ]
    whiskers = [
        [{"coord": [at, round(point.low, 2)]}, {"coord": [at, round(point.high, 2)]}]
        for at, point in enumerate(points)
        if point.low is not None and point.high is not None
    ]
    lows = [point.value if point.low is None else point.low for point in points]
    line = {"color": evaluate_compare_chart.WHISKER, "width": 2, "type": "solid"}
    return {
        "animation": False,
        "grid": {"left": 8, "right": 24, "top": 28, "bottom": 12, "containLabel": True},
        "tooltip": {"trigger": "item", "confine": True, "formatter": "{b}"},
        "xAxis": {
            "type": "category",
            "data": names,
            "axisLabel": {"interval": 0, "width": 150, "overflow": "break"},
            "axisTick": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "min": max(0, 10 * int((min(lows) - 5) // 10)),
            "max": 100,
            "name": _("Accuracy, %"),
            "nameTextStyle": {"align": "left"},
        },
        "series": [
            {
                "type": "line",
                "data": data,
                "symbolSize": 9,
                "color": evaluate_compare_chart.colour(0),
                "lineStyle": {"width": 2},
                "label": {"show": True, "position": "right", "formatter": "{c}"},
                "markLine": {
                    "silent": True,
                    "symbol": "none",
                    "label": {"show": False},
                    "lineStyle": line,
                    "data": whiskers,
                },
            }
        ],
    }


def _line(label: str) -> str:
    return " · ".join(label.split("\n"))
