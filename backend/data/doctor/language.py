"""In which language a text is, told by its script alone: Chinese, Latin letters (called English here), or another one.

Covered: Chinese against English, the two that most sets mix; Japanese by its kana, Korean, Cyrillic, Arabic and so on as "other".
Not covered: languages that share a script (French counts as ``en``), and texts of signs, numbers or code alone (``""``).
Only the first 600 characters are looked at. Bytes of UTF-8 are counted, which is several times faster than characters.
"""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["", "zh", "en", "other"]
LANGUAGES: tuple[Language, ...] = ("", "zh", "en", "other")
"""The place in this tuple is the number that the doctor's arrays hold."""
LOOKED_AT = 600
LETTERS_A_WORD = 4
"""A Chinese character weighs as much as so many Latin letters: technical Chinese is full of English names."""
CLEAR = 0.7
"""Share of one script from which a text counts as being in it; between the two it is mixed, and no finding stands on it."""
ENOUGH = 12
"""A text with fewer letters than this (Chinese characters count fourfold) tells nothing: "OK", "x = 3"."""
KANA = re.compile(r"[\u3040-\u30ff]")


def _table() -> tuple[bytes, bytes]:
    """A map of lead bytes to classes, and the bytes to leave out: h Han, l Latin, o other scripts, k kana or punctuation."""
    table = bytearray(range(256))
    keep: set[int] = set()
    for low, high, kind in (
        (0x41, 0x5A, "l"),
        (0x61, 0x7A, "l"),
        (0xC3, 0xC9, "l"),  # Latin with accents: second half of Latin-1 up to Latin extended B
        (0xCD, 0xDF, "o"),  # Greek, Cyrillic, Hebrew, Arabic
        (0xE0, 0xE1, "o"),  # Indic scripts, Thai, Georgian; Latin extended additional stands here too, and is rare
        (0xE3, 0xE3, "k"),
        (0xE4, 0xE9, "h"),  # U+4000 to U+9FFF
        (0xEA, 0xED, "o"),  # Hangul
    ):
        for byte in range(low, high + 1):
            table[byte] = ord(kind)
            keep.add(byte)
    return bytes(table), bytes(set(range(256)) - keep)


_CLASSES, _LEFT_OUT = _table()
_NO_LETTERS = bytes(b for b in range(256) if not (65 <= b <= 90 or 97 <= b <= 122))


def language(text: str) -> Language:
    """The language of ``text``; empty where it is mixed or too short to say."""
    part = text[:LOOKED_AT]
    if part.isascii():
        return "en" if len(part.encode().translate(None, _NO_LETTERS)) >= ENOUGH else ""
    data = part.encode("utf-8", "replace").translate(_CLASSES, _LEFT_OUT)
    han, kana, other = data.count(b"h"), data.count(b"k"), data.count(b"o")
    latin = len(data) - han - kana - other
    if kana * 4 > han:  # Chinese has some full stops in that block; Japanese has most of its letters there
        other += len(KANA.findall(part))
    if other and other * 4 > han:
        han, other = 0, other + han  # kana and Han together are Japanese, Hangul with some Han Korean
    weights: tuple[tuple[Language, int], ...] = (
        ("zh", LETTERS_A_WORD * han),
        ("en", latin),
        ("other", LETTERS_A_WORD // 2 * other),
    )
    total = sum(weight for _, weight in weights)
    if total < ENOUGH:
        return ""
    best, weight = max(weights, key=lambda pair: pair[1])
    return best if weight >= CLEAR * total else ""


ASKS_FOR_ANOTHER = re.compile(
    r"translat|chinese|english|mandarin|japanese|korean|russian|pinyin|language|中文|汉语|英文|英语|日语|日文|韩语|俄语|法语|德语|翻译|译成|译为|双语|语言",
    re.IGNORECASE,
)
CODE = re.compile(
    r"```|\bdef |\bclass |\bimport |#include|\bfunction\b|</|\bSELECT\b|[{};]\s*\n|^\s*[\[{]", re.MULTILINE
)


def differs(question: str, answer: str, asked: Language, answered: Language) -> bool:
    """Whether an answer is in another language than its question, and nothing explains it.

    A question that speaks of languages, and an answer with code or JSON in it, explain it.
    """
    if not asked or not answered or asked == answered:
        return False
    return not ASKS_FOR_ANOTHER.search(question) and not CODE.search(answer)
