"""How memory is drawn: the segmented bar, the line of the last minutes, and the chart of a window of the past.

The bar is HTML of our own, a few hundred bytes: it is sent again every two seconds, for eight GPUs at once. Colours are Okabe
and Ito's; what is not ours is striped, what is free is empty, and every piece is named beside its colour.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import quote

from backend.i18n import _
from ui.memory import words as memory_words
from ui.memory.parts import Part

STYLE = """<style>
.mem-top { display: flex; align-items: center; gap: 0.6rem; }
.mem-top b { font-size: 1.5rem; font-weight: 600; margin-right: 0.6rem; white-space: nowrap; }
.mem-top img { margin-left: auto; flex: 0 0 auto; width: 5rem; height: 2rem; }
@media (max-width: 30rem) { .mem-top img { display: none; } }
.mem-dim { opacity: 0.72; font-size: 0.875rem; margin-top: 0.35rem; }
.mem-more { margin-top: 0.35rem; }
.mem-part { margin-top: 0.8rem; padding-top: 0.6rem; border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
.mem-bar { display: flex; gap: 1px; height: 1.15rem; margin: 0.35rem 0 0.5rem; border-radius: 0.3rem; overflow: hidden;
  border: 1px solid color-mix(in srgb, currentColor 28%, transparent); }
.mem-bar i { display: block; min-width: 2px; background: var(--c); }
.mem-who { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 0.1rem 1.2rem; font-size: 0.9rem; }
.mem-who div { display: flex; gap: 0.45rem; align-items: center; min-width: 0; }
.mem-who i { flex: 0 0 auto; width: 0.75rem; height: 0.75rem; border-radius: 0.2rem; background: var(--c); }
.mem-who span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.mem-who em { margin-left: auto; font-style: normal; white-space: nowrap; font-variant-numeric: tabular-nums; }
.mem-bar .u, .mem-who .u { background: repeating-linear-gradient(45deg, var(--c) 0 3px,
  color-mix(in srgb, var(--c) 45%, transparent) 3px 6px); }
.mem-bar .h, .mem-who .h { background: repeating-linear-gradient(90deg, var(--c) 0 1px,
  color-mix(in srgb, var(--c) 35%, transparent) 1px 4px); }
.mem-who .f { border: 1px solid color-mix(in srgb, currentColor 40%, transparent); }
</style>"""
"""Once on the page; the bars below it come again and again."""
CLASSES = {"user": "u", "hidden": "h", "free": "f"}
LINE = "#3B8EC2"
"""Of the line of the last minutes: the blue of the palette, light enough for a dark page."""

WIDTH, HEIGHT = 100, 26
SAFE = " '=:/(),"
"""Characters that stand for themselves in an image's address between double quotes."""


def bar(parts: Sequence[Part], total: int) -> str:
    """``parts`` of ``total`` bytes as a bar and a list that names each piece; HTML."""
    whole = max(total, sum(part.size for part in parts), 1)
    pieces = "".join(
        f'<i style="width:{part.size / whole * 100:.2g}%;--c:{part.colour}"{_class(part)}></i>'
        if part.size / whole < 0.1
        else f'<i style="width:{part.size / whole * 100:.1f}%;--c:{part.colour}"{_class(part)}></i>'
        for part in parts
        if part.size and part.kind != "free"
    )
    # Who does not see the bar reads the list, which says the same.
    return f'<div class="mem-bar" aria-hidden="true">{pieces}</div>{named(parts)}'


def named(parts: Sequence[Part]) -> str:
    """The list of ``parts``: colour, name, size; HTML."""
    rows = "".join(
        f'<div role="listitem"><i style="--c:{part.colour}"{_class(part)}></i>'
        f"<span>{html.escape(part.label)}</span><em>{memory_words.size(part.size)}</em></div>"
        for part in parts
    )
    return f'<div class="mem-who" role="list">{rows}</div>'


def note(text: str, *, strong: bool = False) -> str:
    """A line of plain text; HTML."""
    return f'<div class="{"mem-more" if strong else "mem-dim"}">{html.escape(text)}</div>'


def title(name: str, about: str) -> str:
    """The heading of a part of a panel; HTML."""
    return f'<div class="mem-part"><b>{html.escape(name)}</b> {html.escape(about)}</div>'


def head(free: int | None, total: int, used: int, spark: str = "") -> str:
    """What is free, large, and of how much; HTML."""
    free = max(0, total - used) if free is None else free
    rest = _("free · {used} of {total} in use").format(used=f"{used / 2**30:.1f}", total=memory_words.size(total))
    return f'<div class="mem-top"><div><b>{memory_words.size(free)}</b>{html.escape(rest)}</div>{spark}</div>'


def spark(values: Sequence[float | None], total: int) -> str:
    """The line of the last minutes as an image; a gap in ``values`` (bytes) is a gap in the line.

    It is drawn between its own lowest and highest, but never so that less than a twentieth of the place fills it.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    room = max(high - low, 0.05 * total, 1.0)
    floor = (low + high - room) / 2
    lines: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            x = round(place * WIDTH / max(1, len(values) - 1))
            lines[-1].append((x, round(HEIGHT - 1 - (value - floor) / room * (HEIGHT - 2), 1)))
    drawn = "".join("M" + "L".join(f"{x} {y:g}" for x, y in _corners(line)) for line in lines if line)
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' preserveAspectRatio='none'>"
        f"<path d='{drawn}' fill='none' stroke='{LINE}' stroke-width='2' stroke-linecap='round' "
        "vector-effect='non-scaling-stroke'/></svg>"
    )
    alt = html.escape(
        _("In use in the last minutes: {low} to {high}").format(
            low=memory_words.size(low), high=memory_words.size(high)
        )
    )
    return f'<img alt="{alt}" src="data:image/svg+xml,{quote(svg, safe=SAFE)}">'


def _corners(line: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """``line`` without points that lie between two of their own height; one point alone is drawn as a dot."""
    kept = [
        point
        for place, point in enumerate(line)
        if not (0 < place < len(line) - 1 and line[place - 1][1] == point[1] == line[place + 1][1])
    ]
    return kept if len(kept) > 1 else kept * 2


def _class(part: Part) -> str:
    return f' class="{CLASSES[part.kind]}"' if part.kind in CLASSES else ""
