"""What only all rows together show: copies, near duplicates, contradictions, training rows that are tested too, languages.

Everything works on the arrays of :class:`scan.Seen` by sorting; a pair of rows that seems near is read again and compared exactly,
the first ``CONFIRMED`` pairs of each kind. Beyond that many the estimate counts (nine tenths of the minima equal; its
standard error is 0.07), so a set with more near duplicates than that may be told of a few that share a little less.

``kept``: one bool a row; only these are looked at, which is how fixes ask what is still wrong after others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import orjson

from backend.data.doctor import sketch
from backend.data.doctor.findings import Finding, Limits
from backend.data.doctor.language import LANGUAGES
from backend.data.doctor.look import look
from backend.data.doctor.scan import Array, Lines, Seen

CONFIRMED = 10_000
SURE = 0.9
"""Share of equal minima that counts where a pair is not read again."""
MAYBE = 0.5
"""Share of equal minima of each piece below which a pair is not worth reading: 2.6 standard errors below the threshold."""
_SPLIT = np.uint64(0xC2B2AE3D27D4EB4F)


class Pairs(NamedTuple):
    """Places of rows, each with the earlier (or other) row that it is held against, and how alike they are (0 to 1)."""

    places: Array
    firsts: Array
    overlaps: Array

    def of(self, mask: Array) -> Pairs:
        """Some of them."""
        return Pairs(self.places[mask], self.firsts[mask], self.overlaps[mask])


@dataclass(frozen=True)
class Other:
    """Another dataset, scanned."""

    name: str
    lines: Lines
    seen: Seen


@dataclass
class Together:
    """A scanned set, and what it is compared with."""

    lines: Lines
    seen: Seen
    limits: Limits
    other: Other | None = None
    _known: dict[tuple[str, int, int], float] = field(default_factory=dict)

    def duplicates(self, kept: Array) -> tuple[Pairs, Array]:
        """Later copies within their split, each with the first one; and how many there are of each, the first included."""
        places, firsts = _later(self.seen.row ^ self.seen.split * _SPLIT, np.flatnonzero(kept))
        sizes = np.bincount(firsts, minlength=len(kept)) + 1 if len(firsts) else np.ones(len(kept), np.int64)
        return Pairs(places, firsts, np.ones(len(places))), sizes

    def contradictions(self, kept: Array) -> Pairs:
        """Rows that answer a question otherwise than the first row that asks it."""
        asked = np.flatnonzero(kept & (self.seen.question != 0))
        places, firsts = _later(self.seen.question, asked)
        found = Pairs(places, firsts, np.ones(len(places)))
        return found.of(self.seen.answer[places] != self.seen.answer[firsts])

    def near(self, kept: Array) -> Pairs:
        """Rows whose question and answer are nearly those of an earlier row of the same split; exact copies are not among them."""
        kept = kept.copy()
        kept[self.duplicates(kept)[0].places] = False
        among = np.flatnonzero(kept)
        bands = [_later(band ^ self.seen.split * _SPLIT, among) for band in sketch.row_bands(self.seen.minima)]
        return self._confirmed("row", bands, self.seen, self.lines)

    def leaks(self, kept: Array) -> Pairs:
        """Training rows with a question of a row that is held out for testing."""
        train, held = self._parts(kept)
        return _shared(_questions(self.seen), train, _questions(self.seen), held)

    def near_leaks(self, kept: Array) -> Pairs:
        """The same, of questions that are nearly those; exact ones are not among them."""
        train, held = self._parts(kept)
        train = np.setdiff1d(train, self.leaks(kept).places, assume_unique=True)
        if not len(train) or not len(held):
            return _NONE
        keys = sketch.question_bands(self.seen.minima)
        bands = [_shared(key, train, key, held)[:2] for key in keys]
        return self._confirmed("question", bands, self.seen, self.lines)

    def leaks_other(self, kept: Array) -> Pairs:
        """Rows whose question stands in the other dataset, exactly or nearly."""
        if self.other is None:
            return _NONE
        here, there = np.flatnonzero(kept), np.arange(len(self.other.lines))
        exact = _shared(_questions(self.seen), here, _questions(self.other.seen), there)
        rest = np.setdiff1d(here, exact.places, assume_unique=True)
        both = zip(sketch.question_bands(self.seen.minima), sketch.question_bands(self.other.seen.minima), strict=True)
        bands = [_shared(mine, rest, theirs, there)[:2] for mine, theirs in both]
        near = self._confirmed("other", bands, self.other.seen, self.other.lines)
        joined = Pairs(*(np.concatenate(pair) for pair in zip(exact, near, strict=True)))
        return joined.of(np.argsort(joined.places, kind="stable"))

    def languages(self, kept: Array) -> dict[str, int]:
        """Rows by the language of their answers; the empty one: not known."""
        counts = np.bincount(self.seen.language[kept], minlength=len(LANGUAGES))
        return {name: int(count) for name, count in zip(LANGUAGES, counts, strict=True)}

    def odd_language(self, kept: Array) -> tuple[Array, str, float]:
        """Places of rows in another language than the main one, that one, and its share; none where there is no main one."""
        counts = np.bincount(self.seen.language[kept], minlength=len(LANGUAGES))
        counts[0] = 0
        main, total = int(counts.argmax()), int(counts.sum())
        share = counts[main] / total if total else 0.0
        if share < self.limits.share or share == 1.0:
            return np.zeros(0, np.int64), "", 0.0
        odd = kept & (self.seen.language != 0) & (self.seen.language != main)
        return np.flatnonzero(odd), LANGUAGES[main], float(share)

    def _parts(self, kept: Array) -> tuple[Array, Array]:
        return np.flatnonzero(kept & (self.seen.split == 0)), np.flatnonzero(kept & (self.seen.split != 0))

    def _confirmed(self, kind: str, bands: list[tuple[Array, Array]], seen: Seen, lines: Lines) -> Pairs:
        """Of the candidates of all bands those that are near; each place once, with the first that it is near to."""
        places, firsts = (np.concatenate([band[side] for band in bands]) for side in (0, 1))
        if not len(places):
            return _NONE
        order = np.lexsort((firsts, places))
        places, firsts = places[order], firsts[order]
        new = np.concatenate([[True], (places[1:] != places[:-1]) | (firsts[1:] != firsts[:-1])])
        places, firsts = places[new], firsts[new]
        alike = self.seen.minima[places] == seen.minima[firsts]
        asked = alike[:, : sketch.ASKED].mean(axis=1)
        answered = alike[:, sketch.ASKED :].mean(axis=1) if kind == "row" else asked
        maybe = (asked >= MAYBE) & (answered >= MAYBE)
        places, firsts = places[maybe], firsts[maybe]
        guess = (alike.mean(axis=1) if kind == "row" else asked)[maybe]
        overlaps = np.where(guess >= SURE, guess, 0.0)
        for at in range(min(len(places), CONFIRMED)):
            overlaps[at] = self._overlap(kind, int(places[at]), int(firsts[at]), lines)
        near = Pairs(places, firsts, overlaps).of(overlaps >= (sketch.NEAR if kind == "row" else sketch.NEAR_QUESTION))
        _, once = np.unique(near.places, return_index=True)
        return near.of(once)

    def _overlap(self, kind: str, place: int, first: int, lines: Lines) -> float:
        known = self._known.get((kind, place, first))
        if known is None:
            one, other = _pieces(self.lines, place), _pieces(lines, first)
            known = sketch.overlap(one[0], other[0])
            if kind == "row" and known >= sketch.NEAR:
                known = min(known, sketch.overlap(one[1], other[1]))
            self._known[kind, place, first] = known
        return known


def _pieces(lines: Lines, place: int) -> tuple[bytes, bytes]:
    return _read(str(lines.path), int(lines.edges[place]), int(lines.edges[place + 1]))


@lru_cache(maxsize=256)
def _read(path: str, start: int, stop: int) -> tuple[bytes, bytes]:
    """What was asked and answered in a line, folded as it was sketched."""
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        data = file.read(stop - start).rstrip(b"\n")
    looked = look(orjson.loads(data), b"", Limits(chars=1 << 60), None)
    return looked.asked, looked.answered


_NONE = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _questions(seen: Seen) -> Array:
    """What tells a question; a row that asks nothing is its own answer."""
    return np.where(seen.question != 0, seen.question, seen.answer)


def _later(key: Array, among: Array) -> tuple[Array, Array]:
    """Of the rows ``among`` those that have the key of an earlier one, in order, and the first with that key."""
    own = key[among]
    order = np.argsort(own, kind="stable")
    ordered = own[order]
    begins = np.ones(len(order), bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    places, firsts = among[order[~begins]], among[order[first[~begins]]]
    by_place = np.argsort(places, kind="stable")
    return places[by_place], firsts[by_place]


def _shared(mine: Array, here: Array, theirs: Array, there: Array) -> Pairs:
    """Of the rows ``here`` those whose key one of the rows ``there`` has, with the first of those."""
    if not len(here) or not len(there):
        return _NONE
    keys, index = np.unique(theirs[there], return_index=True)
    at = np.minimum(np.searchsorted(keys, mine[here]), len(keys) - 1)
    hit = keys[at] == mine[here]
    return Pairs(here[hit], there[index[at[hit]]], np.ones(int(hit.sum())))


def judge(whole: Together, say: Callable[[str, list[Finding], int], None]) -> None:
    """Tell everything that all rows show together. say: called with a code, the first findings, and how many there are."""
    kept = np.ones(len(whole.lines), bool)
    number, listed = whole.lines.number, whole.limits.listed

    def pairs(code: str, found: Pairs, of: Lines = whole.lines, **more: str) -> None:
        rows = zip(found.places[:listed], found.firsts[:listed], found.overlaps[:listed], strict=True)
        told = [
            Finding(number(a), code, {"first": of.number(b), "percent": int(100 * overlap), **more})
            for a, b, overlap in rows
        ]
        say(code, told, len(found.places))

    duplicates, sizes = whole.duplicates(kept)
    many = np.flatnonzero(sizes >= whole.limits.copies)
    say("copies", [Finding(number(p), "copies", {"times": int(sizes[p])}) for p in many[:listed]], len(many))
    pairs("duplicate", duplicates)
    pairs("near_duplicate", whole.near(kept))
    pairs("contradiction", whole.contradictions(kept))
    pairs("leak", whole.leaks(kept))
    pairs("leak_near", whole.near_leaks(kept))
    if whole.other is not None:
        pairs("leak_other", whole.leaks_other(kept), whole.other.lines, other=whole.other.name)
    odd, main, share = whole.odd_language(kept)
    names = [LANGUAGES[code] for code in whole.seen.language[odd[:listed]]]
    values = {"main": main, "percent": int(100 * share)}
    told = [Finding(number(p), "language_odd", {"answered": n, **values}) for p, n in zip(odd, names, strict=False)]
    say("language_odd", told, len(odd))
    counts = whole.languages(kept)
    total = sum(counts.values()) - counts[""]
    if total and max(counts["zh"], counts["en"], counts["other"]) < total:
        shares: dict[str, Any] = {name: round(100 * counts[name] / total) for name in LANGUAGES[1:]}
        say("languages_mixed", [Finding(None, "languages_mixed", shares)], 1)
