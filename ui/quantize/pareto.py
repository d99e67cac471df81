"""Quality against memory against speed: each model a circle, as large as it is fast; who is beaten is drawn hollow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from backend.i18n import _
from backend.memory.report_chart import shortened
from backend.memory.report_table import COLOURS
from backend.quantize import report
from backend.quantize.report_records import Report, Subject
from backend.quantize.report_words import figure, size
from ui import errors

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SMALL, LARGE, UNTIMED = 14, 44, 12
"""Diameters in pixels: of the slowest that is thought of, of the fastest, and of what was not timed."""
LABEL_WIDTH = 30
GREY = "#8A8A8A"
MIB = 1 << 20


@dataclass(frozen=True)
class Spot:
    """One model. x: bytes. y, low, high: perplexity against the base, in per cent. speed: tokens/s; None: not timed. beaten: by
    another model in all of it."""

    name: str
    place: int
    x: float
    y: float
    low: float
    high: float
    speed: float | None
    beaten: bool


def draw(found: Report, *, key: str) -> None:
    """Draw the plot; with fewer than two models that have both figures there is none."""
    spots = spots_of(found)
    if len(spots) < 2:
        return
    memory = _measure(found)
    st.markdown("**" + _("Quality against memory against speed") + "**")
    st.plotly_chart(_figure(spots, memory), key=key, config={"displayModeBar": False}, theme="streamlit")
    said = _("Further left: smaller. Further down: nearer to the base. The larger a circle, the faster it answers.")
    beaten = [one.name for one in spots if one.beaten]
    if beaten:
        said += " " + _("Hollow: another model is at least as good in all of it.")
    st.caption(said)
    left_out = [one.name for one in found.models if one.name not in {spot.name for spot in spots}]
    if left_out:
        st.caption(errors.plain(_("Not drawn, since a figure is missing: {names}.").format(names=", ".join(left_out))))


def spots_of(found: Report) -> list[Spot]:
    """The models that can be drawn, the base among them."""
    beaten = report.pareto(found)
    memory = _measure(found)
    spots = []
    for place, one in enumerate(found.models):
        read, x = one.cell("perplexity"), one.value(memory)
        if read is None or read.value is None or x is None or (place and read.change is None):
            continue
        change = read.change or 0.0
        low = read.change_low if read.change_low is not None else change
        high = read.change_high if read.change_high is not None else change
        spots.append(
            Spot(one.name, place, x, 100 * change, 100 * low, 100 * high, _speed(found, one), one.name in beaten)
        )
    return spots


def _measure(found: Report) -> str:
    """Memory where it was measured of all, else what they take on the disk."""
    cells = [one.cell("memory_steady_bytes") for one in found.models]
    same = len({cell.source for cell in cells if cell is not None}) == 1
    return "memory_steady_bytes" if same and all(cell is not None and cell.value for cell in cells) else "size_bytes"


def _speed(found: Report, one: Subject) -> float | None:
    name = "tokens_s_many" if any(each.value("tokens_s_many") for each in found.models) else "tokens_s"
    return one.value(name)


def _figure(spots: list[Spot], memory: str) -> Figure:
    import plotly.graph_objects as go  # it takes a moment, and only this plot needs it

    fastest = max((one.speed for one in spots if one.speed), default=0.0)
    gib = max(one.x for one in spots) >= 1 << 30
    unit = (1 << 30) if gib else MIB
    largest = max(one.x for one in spots) / unit
    figure_ = go.Figure()
    for one in spots:
        colour = COLOURS[one.place % len(COLOURS)]
        wide = SMALL + (LARGE - SMALL) * (one.speed / fastest) ** 0.5 if one.speed and fastest else UNTIMED
        speed = _("{rate} tokens/s").format(rate=figure("tokens_s", one.speed)) if one.speed else _("not timed here")
        label = shortened(one.name, LABEL_WIDTH)
        figure_.add_trace(
            go.Scatter(
                x=[one.x / unit],
                y=[one.y],
                error_y={
                    "type": "data",
                    "array": [one.high - one.y],
                    "arrayminus": [one.y - one.low],
                    "color": GREY,
                    "thickness": 1,
                },
                mode="markers+text",
                text=[f"<b>{_escaped(label)}</b><br>{_escaped(speed)}"],
                textposition="middle right" if one.x < 0.55 * largest * unit else "bottom left",
                textfont={"size": 12},
                cliponaxis=False,
                marker={
                    "size": wide,
                    "symbol": "circle" if one.speed else "x",
                    "color": "rgba(0,0,0,0)" if one.beaten else colour,
                    "line": {"color": colour, "width": 2},
                },
                hovertext=[f"{_escaped(one.name)}: {size(one.x)}, {one.y:+.1f} %, {_escaped(speed)}"],
                hoverinfo="text",
                showlegend=False,
            )
        )
    title = _("Memory") if memory == "memory_steady_bytes" else _("On the disk")
    figure_.update_layout(height=340, margin={"l": 8, "r": 8, "t": 16, "b": 8}, paper_bgcolor="rgba(0,0,0,0)")
    figure_.update_xaxes(
        title=f"{title} ({'GiB' if gib else 'MiB'})", range=[0, 1.15 * largest], automargin=True, zeroline=False
    )
    figure_.update_yaxes(title=_("Perplexity against the base (%)"), automargin=True, zeroline=True)
    return figure_


def _escaped(text: str) -> str:
    """As plotly takes it for a text and no markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
