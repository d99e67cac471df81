"""Whether a quote really stands in a text: word for word, but for blanks, case, the kind of quotation marks and emphasis."""

from __future__ import annotations

import re
import unicodedata

MIN_CHARS = 4
"""A quote with fewer letters than this proves nothing."""
_ALIKE = str.maketrans(
    dict.fromkeys("‘’‚‛`´′", "'") | dict.fromkeys("“”„‟«»「」『』″", '"') | dict.fromkeys("‐‑‒–—―−", "-")
)
_LEFT_OUT = re.compile(r"\.{3,}|…+|\[\s*\.\.\.\s*\]")


def find(quote: str, text: str) -> tuple[int, int] | None:
    """Where ``quote`` stands in ``text``, as a range of characters; None where it does not.

    A quote with ``…`` in it is found where its parts follow one another.
    """
    folded, places = _folded(text)
    start: int | None = None
    end = 0
    parts = [part for part in (_folded(piece)[0].strip("\"'") for piece in _LEFT_OUT.split(quote)) if part]
    if sum(map(_letters, parts)) < MIN_CHARS:
        return None
    for part in parts:
        at = folded.find(part, end)
        if at < 0 and not part[-1].isalnum():  # a full stop that the text does not have there
            part = part.rstrip("".join({c for c in part if not c.isalnum()}))
            at = folded.find(part, end) if part else -1
        if at < 0:
            return None
        start, end = at if start is None else start, at + len(part)
    assert start is not None
    return places[start], places[end - 1] + 1


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _folded(text: str) -> tuple[str, list[int]]:
    """``text`` without what does not count, and of each of its characters the place in ``text``."""
    signs: list[str] = []
    places: list[int] = []
    for place, sign in enumerate(text):
        if sign.isspace() or sign in "*_#|":
            continue
        for folded in unicodedata.normalize("NFKC", sign).translate(_ALIKE).casefold():
            if not folded.isspace():
                signs.append(folded)
                places.append(place)
    return "".join(signs), places


def key(question: str) -> str:
    """What two questions share that are the same but for blanks, case and marks."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", question).casefold() if sign.isalnum())
