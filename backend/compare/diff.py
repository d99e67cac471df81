"""What two answers do not share: by words, and by characters where a script has no blanks (Chinese, Japanese).

The comparison is :mod:`difflib`'s. Its time grows with the square of the number of pieces, so two long texts are first
compared by lines and sentences, and words are looked at only where these differ.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SAME, ONLY_A, ONLY_B = "same", "a", "b"
MOST_PIECES = 1_500
"""Of each side that are compared with one another: about half a second at worst."""
_PIECES = re.compile(r"[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+(?:['’][^\W\d_]+)?|\s+|.", re.DOTALL)
_SENTENCES = re.compile(r"[^\n.!?。！？]*(?:[\n.!?。！？]+\s*|$)", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """A stretch of text that both have (``same``), or only one of them (``a``, ``b``)."""

    kind: str
    text: str


@dataclass(frozen=True)
class Difference:
    """Two texts as one sequence of parts. only_a, only_b: pieces (words, or Chinese characters) that one alone has.
    likeness: share of pieces that both have, 0 to 1."""

    parts: tuple[Part, ...]
    only_a: int
    only_b: int
    likeness: float

    @property
    def same(self) -> bool:
        return all(part.kind == SAME for part in self.parts)

    def side(self, kind: str) -> list[Part]:
        """The parts of which one of the two texts consists."""
        return [part for part in self.parts if part.kind in (SAME, kind)]


def diff(a: str, b: str) -> Difference:
    """How ``b`` differs from ``a``."""
    parts = _joined(_parts(a, b))
    shared, only_a, only_b = (sum(_count(p.text) for p in parts if p.kind == kind) for kind in (SAME, ONLY_A, ONLY_B))
    every = 2 * shared + only_a + only_b
    return Difference(tuple(parts), only_a, only_b, 2 * shared / every if every else 1.0)


def _count(text: str) -> int:
    """Words and Chinese characters; blanks and punctuation are none."""
    return sum(any(c.isalnum() for c in piece) for piece in _PIECES.findall(text))


def _parts(a: str, b: str) -> Iterator[Part]:
    pieces_a, pieces_b = _PIECES.findall(a), _PIECES.findall(b)
    if max(len(pieces_a), len(pieces_b)) <= MOST_PIECES:
        yield from _matched(pieces_a, pieces_b)
        return
    sentences_a, sentences_b = _cut(a), _cut(b)
    for tag, a1, a2, b1, b2 in _opcodes(sentences_a, sentences_b):
        left, right = "".join(sentences_a[a1:a2]), "".join(sentences_b[b1:b2])
        if tag == "equal":
            yield Part(SAME, left)
            continue
        inner_a, inner_b = _PIECES.findall(left), _PIECES.findall(right)
        if max(len(inner_a), len(inner_b)) <= MOST_PIECES:
            yield from _matched(inner_a, inner_b)
        else:
            yield from (Part(kind, text) for kind, text in ((ONLY_A, left), (ONLY_B, right)) if text)


def _cut(text: str) -> list[str]:
    """Lines and sentences, so long as there are not too many to be compared; else stretches of equal length."""
    found = [sentence for sentence in _SENTENCES.findall(text) if sentence]
    if len(found) <= MOST_PIECES:
        return found
    length = -(-len(text) // MOST_PIECES)
    return [text[at : at + length] for at in range(0, len(text), length)]


def _matched(a: Sequence[str], b: Sequence[str]) -> Iterator[Part]:
    for tag, a1, a2, b1, b2 in _opcodes(a, b):
        if tag == "equal":
            yield Part(SAME, "".join(a[a1:a2]))
            continue
        if a2 > a1:
            yield Part(ONLY_A, "".join(a[a1:a2]))
        if b2 > b1:
            yield Part(ONLY_B, "".join(b[b1:b2]))


def _opcodes(a: Sequence[str], b: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    return difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()


def _joined(parts: Iterator[Part]) -> list[Part]:
    """Parts as a person reads them: what only blanks separate is one change, and neighbours of one kind are one part."""
    found = list(parts)
    texts: list[list[str]] = []  # [same, a, b] where exactly one of (same) and (a or b) is there
    for index, part in enumerate(found):
        between = 0 < index < len(found) - 1 and part.kind == SAME and part.text.isspace() and "\n" not in part.text
        changed = bool(texts) and not texts[-1][0]
        if between and changed:
            texts[-1][1] += part.text
            texts[-1][2] += part.text
        elif part.kind == SAME:
            if texts and texts[-1][0]:
                texts[-1][0] += part.text
            else:
                texts.append([part.text, "", ""])
        else:
            if not changed:
                texts.append(["", "", ""])
            texts[-1][1 if part.kind == ONLY_A else 2] += part.text
    kinds = (SAME, ONLY_A, ONLY_B)
    return [Part(kind, text) for row in texts for kind, text in zip(kinds, row, strict=True) if text]
