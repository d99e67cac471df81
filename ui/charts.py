"""Charts of what a job reported: one small chart a metric, at most about 600 points, the same colour for the same metric."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import streamlit as st

from backend.i18n import _
from backend.queue.series import POINTS, Curve, thin
from ui import words

# Okabe and Ito's palette (2008), told apart by colour-blind readers; without its yellow, which is too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
KNOWN = ("loss", "eval_loss", "lr", "tokens_s", "accuracy", "grad_norm")
"""Metrics with a fixed colour, so that the loss looks the same on every page."""


def colour(name: str) -> str:
    """The colour of the metric ``name``."""
    place = KNOWN.index(name) if name in KNOWN else sum(name.encode())
    return PALETTE[place % len(PALETTE)]


def metrics(curves: dict[str, Curve], *, key: str) -> None:
    """Draw every curve with at least two points; of the others say the newest value."""
    drawn = [(name, curve) for name, curve in curves.items() if len(curve.points) > 1]
    for name, curve in curves.items():
        if len(curve.points) <= 1 or isinstance(curve.last, str):
            st.caption(
                _("{metric}: {value}").format(metric=words.metric_word(name), value=words.figure(name, curve.last))
            )
    for left in range(0, len(drawn), 2):
        for column, (name, curve) in zip(st.columns(2), drawn[left : left + 2], strict=False):
            with column:
                _chart(name, curve, f"{key}_{name}")


def frame(curve: Curve) -> tuple[pd.DataFrame, bool]:
    """The curve as a table of at most about ``POINTS`` rows, and whether x is a step (else minutes)."""
    points = curve.points
    while len(points) > POINTS:
        points = thin(points)
    steps = [step for _t, step, _value in points if step is not None]
    # What counts from nothing a second time has no common axis of steps: the line would run back all the way.
    again = any(after < before and after <= steps[0] for before, after in pairwise(steps))
    stepped = len(steps) == len(points) and not again
    begin = points[0][0]
    x = [step if stepped else (t - begin) / 60 for t, step, _value in points]
    return pd.DataFrame({"x": x, "y": [value for _t, _step, value in points]}), stepped


def _chart(name: str, curve: Curve, key: str) -> None:
    data, stepped = frame(curve)
    st.markdown(f"**{words.metric_word(name)}** {words.figure(name, curve.last)}")
    st.echarts_chart(
        {
            "animation": False,
            "dataset": {"source": data},
            "grid": {"left": 8, "right": 16, "top": 12, "bottom": 28, "containLabel": True},
            "tooltip": {"trigger": "axis"},
            "xAxis": {
                "type": "value",
                "name": _("step") if stepped else _("minutes"),
                "nameLocation": "middle",
                "nameGap": 26,
                "min": "dataMin",
                "max": "dataMax",
            },
            "yAxis": {"type": "value", "scale": True},
            "series": [
                {
                    "type": "line",
                    "name": words.metric_word(name),
                    "encode": {"x": "x", "y": "y"},
                    "showSymbol": False,
                    "lineStyle": {"width": 2},
                    "itemStyle": {"color": colour(name)},
                }
            ],
        },
        height=220,
        key=key,
        alt=_("Chart of {metric}; newest value {value}").format(
            metric=words.metric_word(name), value=words.figure(name, curve.last)
        ),
    )
