"""A text and a question as words. Chinese, Japanese and Korean do not write blanks between words, so each pair of neighbouring
characters counts as one: most Chinese words are two characters long, and SQLite's trigrams find nothing shorter than three.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(f"[{_CJK}]+")
_PIECE = re.compile(f'"([^"]+)"|([{_CJK}]+)|([^\\W{_CJK}]+)')
MOST_TERMS = 32
_COMMON = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "how",
        "i",
        "in",
        "is",
        "it",
        "me",
        "my",
        "of",
        "on",
        "or",
        "that",
        "the",
        "this",
        "to",
        "was",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "you",
    ]
)


@dataclass(frozen=True)
class Question:
    """all: FTS5's expression for texts with every word; any: for texts with one of them at least. roots: what to look for in
    a text itself, the beginnings of the words, folded."""

    all: str
    any: str
    roots: tuple[str, ...]


def indexed(text: str) -> str:
    """``text`` as it is put into the index. Each character of Chinese begins a word, so that one alone is found, too."""
    return _RUN.sub(lambda run: f" {' '.join(_pairs(run[0]))} {run[0][-1]} ", folded(text))


def folded(text: str) -> str:
    """Without what makes no difference: wide and narrow forms, capitals."""
    return unicodedata.normalize("NFKC", text).casefold()


def question(text: str) -> Question | None:
    """What is asked for with ``text``; None where no word is in it. Words in quotes must stand side by side."""
    pieces = _PIECE.findall(folded(text))
    quoted = [phrase for phrase, _, _ in pieces if re.search(r"\w", phrase)]
    runs = [run for _, run, _ in pieces if run]
    words = [word for _, _, word in pieces if word]
    words = [word for word in words if word not in _COMMON] or ([] if quoted or runs else words)
    every = (
        [_phrase(indexed_phrase(each)) for each in quoted] + [_run(each) for each in runs] + [_word(w) for w in words]
    )
    one = [_phrase(indexed_phrase(each)) for each in quoted] + [_word(each) for each in words]
    one += [_phrase(pair) for run in runs for pair in (_pairs(run) if len(run) > 1 else ())]
    one += [_run(run) for run in runs if len(run) == 1]
    if not every:
        return None
    roots = [*quoted, *(pair for run in runs for pair in (_pairs(run) or [run])), *map(root, words)]
    return Question(" AND ".join(_few(every)), " OR ".join(_few(one)), tuple(_few(roots)))


def indexed_phrase(text: str) -> str:
    """Words side by side. The last character of Chinese is no word of its own here: in the index more may follow."""
    return _RUN.sub(lambda run: f" {' '.join(_pairs(run[0]) or [run[0]])} ", text)


def root(word: str) -> str:
    """The beginning of a word that its forms share, about: ``quantized`` and ``quantization``."""
    return word[: max(4, int(len(word) * 0.6))] if word.isalpha() else word


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]


def _run(run: str) -> str:
    return _phrase(" ".join(_pairs(run))) if len(run) > 1 else f"{_phrase(run)}*"


def _word(word: str) -> str:
    """A word, or what begins with it where it is no short one: ``train`` finds ``training``."""
    return f"{_phrase(word)}*" if word.isalpha() and len(word) > 3 else _phrase(word)


def _phrase(words: str) -> str:
    return '"' + words.replace('"', " ").strip() + '"'


def _few(terms: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(terms))[:MOST_TERMS]


def coverage(text: str, roots: Iterable[str]) -> int:
    """How many of ``roots`` stand in ``text``."""
    plain = folded(text)
    return sum(each in plain for each in roots)


def excerpt(text: str, roots: Iterable[str], size: int) -> str:
    """The part of ``text``, about ``size`` characters, in which most of ``roots`` stand."""
    if len(text) <= size:
        return text
    plain = text.casefold()
    if len(plain) != len(text):
        plain = text.lower() if len(text.lower()) == len(text) else text
    places = sorted(
        (found.start(), each) for each in roots for found in _first(re.finditer(re.escape(each), plain), 50)
    )
    best, most = 0, 0
    for number, (start, _) in enumerate(places):
        held = {each for at, each in places[number:] if at < start + size * 3 // 4}
        if len(held) > most:
            best, most = start, len(held)
    start = max(0, min(best - size // 8, len(text) - size))
    end = start + size
    return ("…" if start else "") + text[start:end].strip() + ("…" if end < len(text) else "")


def _first(found: Iterable[re.Match[str]], most: int) -> list[re.Match[str]]:
    return [each for _, each in zip(range(most), found, strict=False)]
