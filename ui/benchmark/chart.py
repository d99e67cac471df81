"""Latency against load, and throughput beside it: one line a server, its knee marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.bench.results import Curve
from backend.i18n import N_, _
from backend.memory.report_table import COLOURS, DASHED_FROM
from ui import errors

LATENCIES = {
    "first_token_latency_ave": N_("First token"),
    "per_token_latency_95": N_("Per token, 95 %"),
    "latency_ave": N_("Whole answer"),
}
MOST = len(COLOURS)
HEIGHT = 300


def draw(curves: Sequence[Curve], *, key: str) -> None:
    """Draw both charts and say of each line where its knee is; nothing where no server was measured under two loads."""
    curves = list(curves)[:MOST]
    if not curves:
        return
    left, right = st.columns(2, gap="medium")
    with left:
        name = st.segmented_control(
            _("Latency"),
            list(LATENCIES),
            default="first_token_latency_ave",
            required=True,
            format_func=lambda each: _(LATENCIES[each]),
            key=f"{key}_latency",
            label_visibility="collapsed",
        )
        _chart(curves, str(name), _("Seconds until: {what}").format(what=_(LATENCIES[str(name)])), f"{key}_{name}")
    with right:
        st.markdown("**" + _("Tokens/s in all") + "**")
        _chart(curves, "token_throughput_completion", _("Tokens/s in all"), f"{key}_rate")
    for curve in curves:
        if curve.knee is not None:
            name = f"**{errors.plain(curve.label)}** · " if len(curves) > 1 else ""
            st.markdown(f":material/trending_up: {name}{errors.plain(curve.knee.sentence())}")


def options(curves: Sequence[Curve], name: str) -> dict[str, Any]:
    """What ECharts draws. x: people at once, each that was measured, evenly spaced."""
    people = sorted({load for curve in curves for load, _columns in curve.points})
    return {
        "animation": False,
        "grid": {"left": 8, "right": 20, "top": 36 if len(curves) > 1 else 16, "bottom": 30, "containLabel": True},
        "legend": {"show": len(curves) > 1, "type": "scroll", "top": 0, "left": 0},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {
            "type": "category",
            "data": [str(load) for load in people],
            "name": _("people at once"),
            "nameLocation": "middle",
            "nameGap": 26,
            "boundaryGap": False,
        },
        "yAxis": {"type": "value", "min": 0},
        "series": [_line(place, curve, name, people) for place, curve in enumerate(curves)],
    }


def _line(place: int, curve: Curve, name: str, people: Sequence[int]) -> dict[str, Any]:
    at = {load: columns.get(name) for load, columns in curve.points}
    line: dict[str, Any] = {
        "type": "line",
        # A name with braces is a name: ECharts fills {a} and the like in a formatter.
        "name": curve.label.replace("{", "(").replace("}", ")"),
        "data": [None if at.get(load) is None else float(f"{at[load]:.4g}") for load in people],
        "connectNulls": True,
        "symbolSize": 7,
        "color": COLOURS[place],
        "lineStyle": {"width": 2, "type": "dashed" if place >= DASHED_FROM else "solid"},
    }
    knee = curve.knee
    if knee is not None and knee.reason == "found" and at.get(knee.concurrency) is not None:
        line["markPoint"] = {
            "symbol": "circle",
            "symbolSize": 15,
            "itemStyle": {"color": "transparent", "borderColor": COLOURS[place], "borderWidth": 2},
            "label": {"show": True, "position": "top", "formatter": _("knee"), "color": COLOURS[place]},
            "data": [{"coord": [str(knee.concurrency), float(f"{at[knee.concurrency]:.4g}")]}],
        }
    return line


def _chart(curves: Sequence[Curve], name: str, what: str, key: str) -> None:
    labels = ", ".join(curve.label for curve in curves)
    st.echarts_chart(
        options(curves, name),
        height=HEIGHT,
        key=key,
        alt=_("{what} against people at once, of {names}").format(what=what, names=labels),
    )
