"""One bar that says whether a plan fits: its terms end to end, the band up to the upper estimate, and what is free behind it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from ui.memory import terms as memory_terms

# Shades of the text's own colour, so that both themes have them. What is only taken later is hatched, not paler: a pale
# orange and a pale pink would be told apart by nobody.
STYLE = """<style>
.fit { margin: 0.1rem 0 0.3rem; }
.fit-bar { position: relative; height: 1.15rem; border-radius: 0.3rem; overflow: hidden;
  border: 1px solid color-mix(in srgb, currentColor 30%, transparent); }
.fit-bar i { position: absolute; top: 0; bottom: 0; display: block; min-width: 2px; box-sizing: border-box; }
.fit-bar i + i.fit-term { border-left: 1px solid rgba(255, 255, 255, 0.75); }
.fit-free { background: color-mix(in srgb, currentColor 9%, transparent); }
.fit-later { background-image: repeating-linear-gradient(135deg, rgba(255, 255, 255, 0.55) 0 3px, transparent 3px 7px); }
.fit-band { background: repeating-linear-gradient(90deg, color-mix(in srgb, currentColor 55%, transparent) 0 2px, transparent 2px 5px); }
.fit-bar .fit-end, .fit-bar .fit-mark { min-width: 0; width: 0; }
.fit-mark { border-left: 2px dashed currentColor; }
.fit-end { border-left: 3px solid currentColor; }
.fit-key { display: flex; flex-wrap: wrap; gap: 0.1rem 0.9rem; margin-top: 0.3rem; font-size: 0.8rem; }
.fit-key span { white-space: nowrap; }
.fit-key b { display: inline-block; width: 0.7rem; height: 0.7rem; border-radius: 0.15rem; margin-right: 0.3rem;
  vertical-align: -0.05rem; position: relative; color: inherit; }
.fit-key .fit-end, .fit-key .fit-mark { width: 0.3rem; border-radius: 0; }
</style>"""
SMALLEST = 0.01
"""Share of the plan below which a term has no name under the bar: it would be read as if it mattered."""


@dataclass(frozen=True)
class Segment:
    """A term of the plan, bytes. later: it is only taken once it is used."""

    name: str
    size: int
    later: bool = False


def bar(
    segments: Sequence[Segment], upper: int, free: int | None, safe: int | None, says: str, key: Sequence[str]
) -> str:
    """The bar as HTML.

    upper: the upper estimate of the whole, bytes. free: what is free now; safe: what of it may be counted on; None where
    nobody can tell. says: what the bar shows, in words, for those who do not see it. key: three words, for the band, for
    what is free, and for the mark at ``safe``.
    """
    whole = max(upper, free or 0, sum(segment.size for segment in segments), 1) * 1.01
    drawn = [_box("fit-free", 0, (free or 0) / whole)] if free else []
    at = 0
    for segment in segments:
        place = at / whole, segment.size / whole
        drawn.append(_box("fit-term", *place, memory_terms.colour(segment.name)))
        if segment.later:
            drawn.append(_box("fit-later", *place))
        at += segment.size
    if upper > at:
        drawn.append(_box("fit-band", at / whole, (upper - at) / whole))
    # Where the plan hides the ground that says what is free, a line says it; and one what of it may be counted on.
    over = free is not None and free < upper
    marked = free is not None and safe is not None and safe < 0.995 * free
    if over and free is not None:
        drawn.append(f'<i class="fit-end" style="left:{100 * free / whole:.2f}%"></i>')
    if marked and safe is not None:
        drawn.append(f'<i class="fit-mark" style="left:{100 * safe / whole:.2f}%"></i>')
    names = [_name(segment) for segment in segments if segment.size >= SMALLEST * at]
    band, unused, mark = key
    if upper - at >= SMALLEST * at:
        names.append(f'<span><b class="fit-band"></b>{html.escape(band)}</span>')
    if free is not None:
        look = 'class="fit-end"' if over else 'class="fit-free" style="outline:1px solid currentColor"'
        names.append(f"<span><b {look}></b>{html.escape(unused)}</span>")
    if marked:
        names.append(f'<span><b class="fit-mark"></b>{html.escape(mark)}</span>')
    return (
        f'{STYLE}<div class="fit"><div class="fit-bar" role="img" aria-label="{html.escape(says, quote=True)}">'
        f'{"".join(drawn)}</div><div class="fit-key">{"".join(names)}</div></div>'
    )


def _box(kind: str, left: float, width: float, colour: str = "") -> str:
    paint = f";background-color:{colour}" if colour else ""
    return f'<i class="{kind}" style="left:{100 * left:.2f}%;width:{100 * width:.2f}%{paint}"></i>'


def _name(segment: Segment) -> str:
    text = f"{memory_terms.word(segment.name)} {_size(segment.size)}"
    box = f'<b style="background-color:{memory_terms.colour(segment.name)}"></b>'
    return f"<span>{box}{html.escape(text)}</span>"


def _size(size: int) -> str:
    """GiB with one decimal; what is less than a tenth of one in MiB, or a small model's terms would all be 0.0."""
    return f"{size / 2**30:.1f} GiB" if size >= 0.1 * 2**30 else f"{size / 2**20:.1f} MiB"
