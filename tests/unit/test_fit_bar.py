"""The bar of the fit meter: its parts lie end to end, what does not fit is seen not to, and every part has a name."""

from __future__ import annotations

import itertools
import re

from backend.memory.forecast import NAMES
from ui.fit.bar import Segment, bar
from ui.memory import terms as memory_terms

GIB = 1 << 30
KEY = ("up to", "free", "safe")


def boxes(html: str) -> list[tuple[str, float, float]]:
    """(class, left, width) of everything in the bar, in per cent."""
    found = re.findall(r'<i class="([\w-]+)" style="left:([\d.]+)%(?:;width:([\d.]+)%)?', html)
    return [(kind, float(left), float(width or 0)) for kind, left, width in found]


def test_the_terms_lie_end_to_end_and_the_band_behind_them() -> None:
    parts = [Segment("weights", 4 * GIB), Segment("kv_cache", 2 * GIB, later=True), Segment("context", GIB)]
    drawn = boxes(bar(parts, 8 * GIB, 16 * GIB, 16 * GIB, "says", KEY))
    terms = [(left, width) for kind, left, width in drawn if kind == "fit-term"]
    for (left, width), (following, _) in itertools.pairwise(terms):
        assert abs(left + width - following) < 0.02
    (band,) = [box for box in drawn if box[0] == "fit-band"]
    assert abs(band[1] - sum(terms[-1])) < 0.02
    (later,) = [box for box in drawn if box[0] == "fit-later"]
    assert later[1:] == terms[1]
    assert not any(kind in ("fit-end", "fit-mark") for kind, _, _ in drawn)


def test_where_it_does_not_fit_a_line_shows_how_far_it_reaches() -> None:
    drawn = boxes(bar([Segment("weights", 16 * GIB)], 17 * GIB, 8 * GIB, 6 * GIB, "says", KEY))
    ends = {kind: left for kind, left, _ in drawn}
    assert 45 < ends["fit-end"] < 50
    assert 33 < ends["fit-mark"] < 36


def test_nothing_known_and_nothing_taken_is_still_a_bar() -> None:
    assert boxes(bar([], 0, None, None, "", KEY)) == []
    assert 'aria-label="&quot;a&lt;b&quot;"' in bar([Segment("weights", 1)], 1, 0, 0, '"a<b"', KEY)


def test_every_term_of_a_forecast_has_a_word_a_meaning_a_place_and_a_colour_of_its_own() -> None:
    assert sorted(memory_terms.ORDER) == sorted(NAMES)
    assert all(memory_terms.meaning(name) for name in NAMES)
    assert len({memory_terms.word(name) for name in NAMES}) == len(NAMES)
    assert len({memory_terms.colour(name) for name in NAMES}) == len(NAMES)
