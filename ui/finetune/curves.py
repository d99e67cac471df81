"""The curves of a run: the figures now, the two losses over one another, and the other metrics small."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.finetune.record import Run
from backend.i18n import _
from backend.queue.series import POINTS, Curve, thin
from ui import charts, words

SMALL = ("lr", "grad_norm", "tokens_s", "memory_mib")
SMOOTH_FROM = 40
"""Points from which the training loss is drawn smoothed, over the single values."""
STRETCH = 0.05
"""Part of the curve over which it is smoothed."""


def draw(run: Run, *, key: str) -> None:
    """Draw the figures and curves of ``run``."""
    if not any(curve.points for curve in run.curves.values()):
        st.caption(
            _("The curves begin with the first step.") if not run.row.done else _("It ended before its first step.")
        )
        return
    _figures(run)
    if run.curves.get("loss") or run.curves.get("eval_loss"):
        st.echarts_chart(losses(run), height=320, key=f"{key}_losses", alt=_alt(run))
    shown = [(name, run.curves[name]) for name in SMALL if len(getattr(run.curves.get(name), "points", ())) > 1]
    with st.expander(
        _("Learning rate, gradient, speed, memory"), icon=":material/show_chart:", key=f"{key}_small", type="compact"
    ):
        charts.metrics(dict(shown), key=f"{key}_small")


def _figures(run: Run) -> None:
    """What stands now, in a line that wraps on a phone."""
    with st.container(horizontal=True, gap="medium"):
        _metric(
            words.metric_word("loss"),
            _value(run, "loss"),
            _("How surprised the model is by the rows that it trains on."),
        )
        held_out = _value(run, "eval_loss")
        if held_out:
            _metric(
                words.metric_word("eval_loss"),
                held_out,
                _("How surprised it is by rows that it never trains on. The one that counts."),
            )
        epoch = run.last("epoch")
        if isinstance(epoch, float):
            _metric(_("epoch"), f"{epoch:.2f}", _("How often it has seen every row."))
        speed = run.last("tokens_s")
        if isinstance(speed, float):
            _metric(words.metric_word("tokens_s"), words.rate(speed), _("How much it reads in a second."))
        most = run.most("memory_mib")
        if most is not None:
            _metric(
                _("memory"), words.gib(most * 2**20), _("The most that it has held so far, measured by the program.")
            )
        took = run.last("s_per_step")
        if isinstance(took, float):
            _metric(_("a step takes"), _("{n} s").format(n=f"{took:.2g}"), _step_help(run))


def _metric(label: str, value: str, help_text: str) -> None:
    st.metric(label, value or "–", help=help_text, width="content")


def _step_help(run: Run) -> str:
    if run.rehearsal is None:
        return _("Measured over the newest steps.")
    return _("Measured over the newest steps. In the rehearsal, with the longest rows: {n} s.").format(
        n=f"{run.rehearsal.step_s:.2g}"
    )


def _value(run: Run, name: str) -> str:
    value = run.last(name)
    return words.figure(name, value) if value is not None else ""


def smoothed(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A running mean of the values over :data:`STRETCH` of the curve, centred; as long as ``points``."""
    half = max(1, round(len(points) * STRETCH / 2))
    sums = [0.0]
    for _step, value in points:
        sums.append(sums[-1] + value)
    found = []
    for place, (step, _value) in enumerate(points):
        low, high = max(0, place - half), min(len(points), place + half + 1)
        found.append((step, (sums[high] - sums[low]) / (high - low)))
    return found


def losses(run: Run) -> dict[str, Any]:
    """What ECharts draws: the training loss thin and smoothed, the validation loss with its points, the best one marked."""
    train, held_out = _points(run.curves.get("loss")), _points(run.curves.get("eval_loss"))
    series = []
    if train:
        smooth = len(train) >= SMOOTH_FROM
        if smooth:
            series.append(_line("", train, "loss", width=1, opacity=0.3))
        series.append(_line(_("loss on training rows"), smoothed(train) if smooth else train, "loss", width=2))
    if held_out:
        line = _line(_("loss on held-out rows"), held_out, "eval_loss", width=2)
        line |= {"showSymbol": True, "symbol": "circle", "symbolSize": 6}
        best = min(held_out, key=lambda point: point[1])
        if len(held_out) > 1:
            line["markPoint"] = {
                "symbol": "circle",
                "symbolSize": 14,
                "itemStyle": {"color": "transparent", "borderColor": charts.colour("eval_loss"), "borderWidth": 2},
                "label": {"show": True, "position": "top", "formatter": _("best"), "color": charts.colour("eval_loss")},
                "data": [{"coord": list(best)}],
            }
        series.append(line)
    named = [each["name"] for each in series if each["name"]]
    return {
        "animation": False,
        "legend": {"data": named, "icon": "roundRect", "itemHeight": 4, "top": 0, "left": "left"},
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 30, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {
            "type": "value",
            "name": _("step"),
            "nameLocation": "middle",
            "nameGap": 26,
            "min": 0,
            "max": run.steps or "dataMax",
            "axisLabel": {"hideOverlap": True},
        },
        "yAxis": {"type": "value", "min": 0},
        "series": series,
    }


def _line(
    name: str, points: list[tuple[float, float]], metric: str, *, width: int, opacity: float = 1.0
) -> dict[str, Any]:
    colour = charts.colour(metric)
    return {
        "type": "line",
        "name": name,
        "data": [[step, float(f"{value:.4g}")] for step, value in points],
        "showSymbol": len(points) == 1,
        "silent": not name,
        "itemStyle": {"color": colour},
        "lineStyle": {"width": width, "opacity": opacity, "color": colour},
        **({} if name else {"tooltip": {"show": False}}),
    }


def _points(curve: Curve | None) -> list[tuple[float, float]]:
    points = curve.points if curve is not None else []
    while len(points) > POINTS:
        points = thin(points)
    return [(step, value) for _t, step, value in points if step is not None]


def _alt(run: Run) -> str:
    return _("Chart of the loss on training rows, now {loss}, and on held-out rows, now {held_out}").format(
        loss=_value(run, "loss") or _("unknown"), held_out=_value(run, "eval_loss") or _("unknown")
    )
