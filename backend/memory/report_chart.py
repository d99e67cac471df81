"""Curves as an inline SVG: lines with gaps, ticks with units, a direct label at each line, words on hover. Fetches nothing."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from backend.i18n import N_, _
from backend.memory import figures
from backend.memory.compare import Comparison, Curve
from backend.memory.report_table import COLOURS, DASHED_FROM

WIDTH, HEIGHT = 1140, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 330, 28, 44
HOVERS = 48
"""Places of a line that tell their value: more would only make the file larger."""
LABEL_WIDTH = 42
"""Of a label beside a line, in Latin letters; a Chinese sign takes the room of two."""
LINE = 15.0
TIMES = (
    (1, N_("seconds since the start")),
    (60, N_("minutes since the start")),
    (3600, N_("hours since the start")),
    (86400, N_("days since the start")),
)


@dataclass(frozen=True)
class Scale:
    """The unit of the time axis and the two ends of the chart: seconds, bytes."""

    unit: str
    unit_s: int
    end_s: float
    top: float

    def x(self, at: float) -> float:
        return LEFT + max(0.0, at) / self.end_s * (WIDTH - LEFT - RIGHT)

    def y(self, size: float) -> float:
        return HEIGHT - BOTTOM - size / self.top * (HEIGHT - TOP - BOTTOM)


def time_unit(seconds: float) -> tuple[int, str]:
    """(seconds in it, what the axis says) of the unit for a time axis that ends at ``seconds``."""
    size, name = next((each for each in reversed(TIMES) if seconds >= 2 * each[0]), TIMES[0])
    return size, _(name)


def shortened(label: str, width: int = LABEL_WIDTH) -> str:
    """``label``, cut where it would be wider than ``width`` Latin letters."""
    taken = 0
    for at, sign in enumerate(label):
        taken += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if taken > width:
            return label[: max(0, at - 1)] + "…"
    return label


def chart(comparison: Comparison, place: str) -> str:
    """The curves of ``place`` (``gpu`` or ``host``) as SVG; empty where there is none."""
    curves = [(i, curve) for i, row in enumerate(comparison.rows) if (curve := getattr(row, place)) is not None]
    if not curves:
        return ""
    end = max(curve.begin + curve.step * len(curve.values) for _place, curve in curves)
    highest = max(value for _place, curve in curves for value in curve.values if value is not None)
    unit_s, unit = time_unit(end)
    step = nice(highest / figures.GIB / 4) * figures.GIB
    scale = Scale(unit, unit_s, max(end, 1e-9), max(step * math.ceil(highest / step or 1), 1))
    labels = comparison.labels()
    heading = _("GPU memory") if place == "gpu" else _("Main memory")
    parts = [_axes(scale, step, heading)]
    parts += [_line(scale, place_, labels[place_], curve) for place_, curve in curves]
    parts += _ends(scale, [(i, labels[i], curve) for i, curve in curves])
    described = _("{what} of {n} runs over time, aligned at their start").format(what=heading, n=len(curves))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(described)}" width="{WIDTH}" '
        f'height="{HEIGHT}">{"".join(parts)}</svg>'
    )


def nice(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten: a step that people count in."""
    if step <= 0:
        return 0.01
    power = 10 ** math.floor(math.log10(step))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= step * 0.999), 10 * power)


def _axes(scale: Scale, step: float, heading: str) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for i in range(round(scale.top / step) + 1):
        y = scale.y(i * step)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="g"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{i * step / figures.GIB:.4g}</text>')
    tick = nice(scale.end_s / scale.unit_s / 6)
    for i in range(int(scale.end_s / scale.unit_s / tick + 1e-9) + 1):
        x = scale.x(i * tick * scale.unit_s)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{i * tick:.4g}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(scale.unit)}</text>')
    parts.append(f'<text x="{LEFT - 6}" y="12" text-anchor="end">GiB</text>')
    return f"<title>{escape(heading)}</title>" + "".join(parts)


def _line(scale: Scale, place: int, label: str, curve: Curve) -> str:
    points, colour = curve.points(), COLOURS[place]
    path, pen = [], "M"
    for i, (at, size) in enumerate(points):
        if size is None:
            pen = "M"
            continue
        path.append(f"{pen}{scale.x(at):.1f} {scale.y(size):.1f}")
        alone = pen == "M" and (i + 1 == len(points) or points[i + 1][1] is None)
        if alone:
            path.append("h.1")  # a lone cell between two gaps is a dot
        pen = "L"
    drawn = f'd="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="2" stroke-linecap="round"'
    line = f"<path {drawn}{dashed(place)}/>"
    every = max(1, math.ceil(len(points) / HOVERS))
    spots = []
    for at in range(0, len(points), every):
        group = [(t, size) for t, size in points[at : at + every] if size is not None]
        if group:
            t, size = max(group, key=lambda point: point[1])
            said = escape(f"{label} · {figures.seconds(max(0.0, t))} · {figures.gib(size)}")
            spots.append(f'<circle cx="{scale.x(t):.1f}" cy="{scale.y(size):.1f}" r="7"><title>{said}</title></circle>')
    return f'{line}<g fill="{colour}" class="h">{"".join(spots)}</g>'


def dashed(place: int) -> str:
    """What makes the line of the run at ``place`` a dashed one; of the first runs nothing."""
    return ' stroke-dasharray="6 3"' if place >= DASHED_FROM else ""


def _ends(scale: Scale, lines: Sequence[tuple[int, str, Curve]]) -> list[str]:
    """The labels, beside the ends of their lines; pushed apart where they would lie on one another."""
    ends: list[tuple[float, float, int, str]] = []
    for place, label, curve in lines:
        at, size = next((t, v) for t, v in reversed(curve.points()) if v is not None)
        ends.append((scale.y(size), scale.x(at), place, label))
    ends.sort()
    heights = _apart([end[0] for end in ends])
    texts = []
    left = WIDTH - RIGHT + 8
    for y, (own, x, place, label) in zip(heights, ends, strict=True):
        if left - x > 16 or abs(y - own) > 2:  # it ended earlier, or its label moved: a thin line leads there
            texts.append(f'<path d="M{x + 3:.1f} {own:.1f}L{left - 2} {y:.1f}" class="g" fill="none"/>')
        texts.append(
            f'<path d="M{left} {y:.1f}h14" stroke="{COLOURS[place]}" stroke-width="3"{dashed(place)}/>'
            f'<text x="{left + 19}" y="{y + 4:.1f}" class="e">{escape(shortened(label))}<title>{escape(label)}</title></text>'
        )
    return texts


def _apart(heights: Sequence[float]) -> list[float]:
    """``heights`` (rising) with at least a line of text between two neighbours, none of them below the chart."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + LINE) if moved else height)
    lowest = float(HEIGHT - BOTTOM)
    for i in reversed(range(len(moved))):
        moved[i] = lowest = min(moved[i], lowest)
        lowest -= LINE
    return moved
