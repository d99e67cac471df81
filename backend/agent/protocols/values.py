"""JSON as models write it: read strictly where that does, else leniently, with the names of what had to be overlooked.

What is overlooked are slips of writing: quotes of another kind, a comma too many, keys without quotes, Python's
words for true and
null, fullwidth punctuation, brackets that nobody closed. A string that does not end is none of them: what would have
come is unknown.
Every text is read in one pass, and nested no deeper than ``DEEPEST``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

DEEPEST = 40
MOST_INNER = 100
"""Quotes inside one string that are taken for part of it."""
CLOSERS = {'"': '"', "'": "'", "“": '“”"', "”": '“”"', "‘": "‘’'", "’": "‘’'", "`": "`", "「": "」"}
QUOTE_SLIPS = {"'": "single_quotes", "`": "single_quotes"}
PUNCTUATION = {"｛": "{", "｝": "}", "［": "[", "］": "]", "：": ":", "，": ",", "、": ",", "【": "[", "】": "]"}
WORDS = {"true": True, "false": False, "null": None, "none": None}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
_SPACE = re.compile(r"[\s\ufeff\xa0]*")
_BARE = re.compile(r"[^,，}｝\]］\n]*")
_KEY = re.compile(r"[^\W\d][\w.-]*")
_NUMBER = re.compile(r"-?\d{1,300}(?:\.\d{1,300})?(?:[eE][+-]?\d{1,3})?(?=[\s,，}｝\]］]|\Z)")
_AFTER = re.compile(r"[\s\ufeff\xa0]*(?:[,，:：}｝\]］]|\Z)")
_INSIDE = {closers: re.compile("[" + re.escape(closers) + r"\\]") for closers in {*CLOSERS.values()}}


class Broken(ValueError):
    """No JSON, however leniently read. open: the text ended in the middle of it."""

    def __init__(self, where: int, open_: bool = False) -> None:
        super().__init__(f"at {where}")
        self.where = where
        self.open = open_


@dataclass(frozen=True)
class Found:
    """A value, where it ends in its text, and the slips that were overlooked, in the order in which they were met."""

    value: Any
    end: int
    slips: tuple[str, ...] = ()


def read(text: str, start: int = 0) -> Found:
    """The value that stands at ``start`` of ``text``.

    Raises:
        Broken: there is none.
    """
    start = _past_space(text, start)
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        reader = _Reader(text)
        value, end = reader.value(start, 0)
        return Found(value, end, tuple(dict.fromkeys(reader.slips)))
    if _depth(value) > DEEPEST:
        raise Broken(start)
    return Found(value, end)


def dumped(value: Any) -> str:
    """``value`` as JSON in one line, with characters as they are."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _depth(value: Any, so_far: int = 0) -> int:
    if so_far > DEEPEST or not isinstance(value, dict | list):
        return so_far
    inner = value.values() if isinstance(value, dict) else value
    return max((_depth(each, so_far + 1) for each in inner), default=so_far)


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


@dataclass
class _Reader:
    text: str
    slips: list[str] = field(default_factory=list)

    def value(self, at: int, depth: int) -> tuple[Any, int]:
        at = self.past_space(at)
        if depth > DEEPEST:
            raise Broken(at)
        sign = self.sign(at)
        if not sign:
            raise Broken(at, open_=True)
        if sign == "{":
            return self.object(at + 1, depth)
        if sign == "[":
            return self.array(at + 1, depth)
        if self.text[at] in CLOSERS:
            return self.string(at)
        return self.word(at)

    def object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        made: dict[str, Any] = {}
        while True:
            at, ended = self.next_item(at, "}")
            if ended:
                return made, at
            key, at = self.key(at)
            at = self.past_space(at)
            if self.sign(at) == "=":
                self.slips.append("equals_sign")
            elif self.sign(at) != ":":
                raise Broken(at, open_=at >= len(self.text))
            made[key], at = self.value(at + 1, depth + 1)
            at = self.between(at, "}")

    def array(self, at: int, depth: int) -> tuple[list[Any], int]:
        made: list[Any] = []
        while True:
            at, ended = self.next_item(at, "]")
            if ended:
                return made, at
            value, at = self.value(at, depth + 1)
            made.append(value)
            at = self.between(at, "]")

    def next_item(self, at: int, closer: str) -> tuple[int, bool]:
        """Where the next item of an object or array begins, or that it has ended."""
        at = self.past_space(at)
        sign = self.sign(at)
        if not sign:
            self.slips.append("unclosed")
            return at, True
        return (at + 1, True) if sign == closer else (at, False)

    def between(self, at: int, closer: str) -> int:
        """Past the comma after an item; a closer and the end of the text are left where they are."""
        at = self.past_space(at)
        sign = self.sign(at)
        if sign == ",":
            after = self.past_space(at + 1)
            if self.sign(after) == closer:
                self.slips.append("trailing_comma")
            return after
        if sign not in (closer, ""):
            raise Broken(at)
        return at

    def key(self, at: int) -> tuple[str, int]:
        if self.text[at] in CLOSERS:
            return self.string(at)
        found = _KEY.match(self.text, at)
        if not found:
            raise Broken(at)
        self.slips.append("unquoted_key")
        return found.group(), found.end()

    def string(self, at: int) -> tuple[str, int]:
        """A string, ended by a quote after which something else can come; others inside it belong to it."""
        quote = self.text[at]
        if quote != '"':
            self.slips.append(QUOTE_SLIPS.get(quote, "smart_quotes"))
        if self.text.startswith(quote * 3, at):
            return self.long_string(at, quote * 3)
        closers = CLOSERS[quote]
        parts: list[str] = []
        begin, inner = at + 1, 0
        while found := _INSIDE[closers].search(self.text, begin):
            parts.append(self.text[begin : found.start()])
            if found.group() == "\\":
                piece, begin = self.escape(found.end())
                parts.append(piece)
            elif _AFTER.match(self.text, found.end()):
                made = "".join(parts)
                self.slips += ["line_break"] * ("\n" in self.text[at : found.start()])
                return made, found.end()
            elif inner >= MOST_INNER:
                raise Broken(begin)
            else:
                inner += 1
                self.slips.append("inner_quotes")
                parts.append(found.group())
                begin = found.end()
        raise Broken(len(self.text), open_=True)

    def long_string(self, at: int, quotes: str) -> tuple[str, int]:
        end = self.text.find(quotes, at + 3)
        if end < 0:
            raise Broken(len(self.text), open_=True)
        self.slips.append("triple_quotes")
        return self.text[at + 3 : end], end + 3

    def escape(self, at: int) -> tuple[str, int]:
        """What the escape stands for whose backslash is before ``at``; one that JSON lacks is kept as it is written."""
        sign = self.text[at : at + 1]
        if sign == "u" and re.fullmatch("[0-9a-fA-F]{4}", self.text[at + 1 : at + 5]):
            return self.unicode(at)
        if sign not in ESCAPES or sign == "'":
            self.slips.append("bad_escape")
        return ESCAPES.get(sign, "\\" + sign), at + 1

    def unicode(self, at: int) -> tuple[str, int]:
        first, end = int(self.text[at + 1 : at + 5], 16), at + 5
        second = re.fullmatch(r"\\u(d[c-f][0-9a-f]{2})", self.text[end : end + 6], re.IGNORECASE)
        if 0xD800 <= first < 0xDC00 and second:
            return chr(0x10000 + ((first - 0xD800) << 10) + int(second.group(1), 16) - 0xDC00), end + 6
        return chr(first), end

    def word(self, at: int) -> tuple[Any, int]:
        """A number, true, false, null, Python's words for them; else text up to the next comma or closer."""
        number = _NUMBER.match(self.text, at)
        if number:
            return json.loads(re.sub(r"^(-?)0+(?=\d)", r"\1", number.group())), number.end()
        found = _BARE.match(self.text, at)
        word = found.group().strip() if found else ""
        if not found or not word or word[0] in "{[｛［:：=":
            raise Broken(at, open_=at >= len(self.text))
        if found.end() >= len(self.text) and word.lower() not in WORDS:
            raise Broken(found.end(), open_=True)
        if word.lower() in WORDS:
            self.slips += ["python_words"] * (word not in ("true", "false", "null"))
            return WORDS[word.lower()], found.end()
        self.slips.append("unquoted_value")
        return word, found.end()

    def past_space(self, at: int) -> int:
        return _past_space(self.text, at)

    def sign(self, at: int) -> str:
        """The sign at ``at``, a fullwidth one as its plain form; empty at the end."""
        sign = self.text[at : at + 1]
        if sign in PUNCTUATION:
            self.slips.append("fullwidth")
            return PUNCTUATION[sign]
        return sign
