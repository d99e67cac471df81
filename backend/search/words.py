"""What a person looks for, whether a text holds it, how well, and where: the same rules for all kinds.

All words must occur, in any order, in upper or lower case; part of a word is enough, so that Chinese, which has no blanks, is found like
anything else. Words in double quotes stay together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from backend.chat.records import clean
from backend.doctor.masking import scrub

MOST_CHARS, MOST_WORDS = 200, 8
EXACT, BEGINS, WORDS, WITHIN, TEXT, SCATTERED = range(6)
"""How well a hit fits: the whole name, its beginning, beginnings of words in the name, anywhere in the name, in its text, all over it."""
AROUND, MOST_SHOWN = 50, 180
"""Characters shown before what was found, and in all."""
TYPO_FROM, TWO_TYPOS_FROM = 4, 8
"""Shorter words have too many neighbours; longer ones may have two letters wrong."""
_PARTS = re.compile(r'"([^"]+)"|(\S+)')
_TOKENS = re.compile(r"\w+")


@dataclass(frozen=True)
class Query:
    """text: as it was typed, in one line. words: folded; all must occur. typed: the same as they were typed. cut: it was longer than what is looked
    for."""

    text: str
    words: tuple[str, ...]
    typed: tuple[str, ...] = ()
    cut: bool = False

    @cached_property
    def name(self) -> str:
        """The whole of it, folded, as a name would be."""
        return fold(self.text)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds each of the words in a text."""
        return re.compile("|".join(map(re.escape, sorted(self.words, key=len, reverse=True))), re.IGNORECASE)

    @cached_property
    def _beginnings(self) -> list[re.Pattern[str]]:
        return [re.compile(rf"(?<!\w){re.escape(word)}") for word in self.words]

    def rank(self, name: str, text: str = "") -> int | None:
        """How well a thing called ``name`` fits, of which ``text`` is known (both folded); None: it does not."""
        if all(word in name for word in self.words):
            if name == self.name:
                return EXACT
            if name.startswith(self.name):
                return BEGINS
            return WORDS if all(begins.search(name) for begins in self._beginnings) else WITHIN
        return TEXT if text and all(word in name or word in text for word in self.words) else None


def query(text: str) -> Query:
    """What to look for, of what was typed. Without a word in it, it finds nothing."""
    line = clean(" ".join(clean(text).split()))
    kept = line[:MOST_CHARS]
    parts = [phrase.strip() or word for phrase, word in _PARTS.findall(kept)]
    found = {fold(part): part for part in reversed(parts) if part}
    words = tuple(reversed(found))
    typed = tuple(found[word] for word in words)
    cut = len(line) > len(kept) or len(words) > MOST_WORDS
    return Query(kept, words[:MOST_WORDS], typed[:MOST_WORDS], cut)


def fold(text: str) -> str:
    """As it is compared: case and the kind and number of blanks do not count."""
    return " ".join(text.split()).casefold()


def shown(text: str) -> str:
    """``text`` in one line, without what looks like a key or a token: neither found nor shown."""
    return scrub(" ".join(text.split()))


@lru_cache(maxsize=40_000)
def named(title: str) -> tuple[str, str]:
    """A title as it is shown and as it is compared; the same ones are asked for at each search."""
    said = shown(title)
    return said, fold(said)


def around(asked: Query, text: str) -> str:
    """The piece of ``text`` (one line) around the first place of a word; its beginning where there is none."""
    match = asked.pattern.search(text) if asked.words else None
    start = max(0, match.start() - AROUND) if match else 0
    if start:  # not in the middle of a word, where there are blanks
        blank = text.find(" ", start, start + 16)
        start = blank + 1 if blank >= 0 else start
    piece = text[start : start + MOST_SHOWN]
    return ("…" if start else "") + piece.rstrip() + ("…" if start + MOST_SHOWN < len(text) else "")


def pieces(asked: Query, text: str) -> list[tuple[str, bool]]:
    """``text`` cut where words are: (piece, whether it is one of the words)."""
    if not asked.words:
        return [(text, False)] if text else []
    found, at = [], 0
    for match in asked.pattern.finditer(text):
        found += [(text[at : match.start()], False), (match.group(), True)]
        at = match.end()
    return [piece for piece in (*found, (text[at:], False)) if piece[0]]


class Near:
    """Whether names are meant by a query with a slip of the finger in it. Asked for many names that share their words."""

    def __init__(self, asked: Query) -> None:
        self._words = [word for word in asked.words if len(word) <= 40]
        self._usable = len(self._words) == len(asked.words) and any(len(word) >= TYPO_FROM for word in self._words)
        self._known: dict[tuple[str, str], bool] = {}

    def __call__(self, name: str) -> bool:
        """name: folded."""
        return self._usable and all(self._meant(word, name, _tokens(name)) for word in self._words)

    def _meant(self, word: str, name: str, tokens: Sequence[str]) -> bool:
        return word in name or any(self._near(word, token) for token in tokens)

    def _near(self, word: str, token: str) -> bool:
        allowed = 0 if len(word) < TYPO_FROM else 1 if len(word) < TWO_TYPOS_FROM else 2
        if not allowed or abs(len(word) - len(token)) > allowed:
            return False
        key = (word, token)
        if key not in self._known:
            self._known[key] = distance(word, token) <= allowed
        return self._known[key]


@lru_cache(maxsize=40_000)
def _tokens(name: str) -> tuple[str, ...]:
    return tuple(_TOKENS.findall(name))


def distance(a: str, b: str) -> int:
    """How many letters are missing, added, wrong or swapped with their neighbour (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        now = [i]
        for j, y in enumerate(b, 1):
            best = min(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, before[j - 2] + 1)
            now.append(best)
        before, last = last, now
    return last[-1]
