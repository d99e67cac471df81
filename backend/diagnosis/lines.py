"""The lines of a log as they are compared: without colours, prefixes and blanks, and which of them belong together."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from backend.diagnosis.prefixes import SPEAKS, common, stripped

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|\x00")
LINKS = ("Duringhandlingoftheaboveexception", "Theaboveexceptionwasthedirectcause")
WRAPS = 72
"""A line this long may go on in the next one,"""
WIDTHS = (80, 100, 120, 132, 160)
"""which is taken for granted where it fills a usual terminal; else several of this length must do so."""
EVIDENCE_CHARS = 500
REPEATS = 3
# The run went on: a step with its loss, as XTuner, the Trainer and our own training print it.
LIVES = re.compile(r"Iter\(train\)\s*\[\s*\d+/\d+\]|[{,]\s?['\"]loss['\"]: ['\"]?\d|\[train\].{0,40}loss")


Read = tuple[int | None, str, str, str, bool, int]
"""(number, raw, said, level, whether it has a prefix of its own, length) of a line."""


@dataclass(frozen=True)
class Line:
    """number: counted from 1, None where it is not known. raw: as it stands there. said: without its prefix. level: ``""``,
    ``quiet`` for a warning or less, ``loud`` for an error, ``code`` for source code in a traceback. length: of what was
    printed, without a frame around it. start: where it begins in the squeezed text. episode: lines of one traceback, with those that led to it, share one."""

    number: int | None
    raw: str
    said: str
    level: str
    length: int
    start: int
    episode: int


class Text:
    """A log made ready to be searched: :attr:`squeezed` holds all lines without blanks, one after the other. :attr:`lives`
    are the places in it where the run still went on."""

    def __init__(self, lines: Iterable[tuple[int | None, str]]) -> None:
        self.lines: list[Line] = []
        parts: list[str] = []
        at = 0
        tracebacks = _Tracebacks()
        before: Line | None = None
        self.lives: list[int] = []
        read = _unlike(lines)
        wrapped = _wrapped(read)
        for number, raw, said, level, own, length in read:
            if ("loss" in raw or "Iter(" in raw) and LIVES.search(raw):
                self.lives.append(at)
            squeezed = "".join(said.split())
            if not squeezed:
                continue
            if tracebacks.shows(said):
                level = "code"
            else:
                tracebacks.passes(said, squeezed, before)
            if not level and before and before.level == "quiet" and before.length in wrapped and not own:
                level = "" if SPEAKS.match(said) else "quiet"
            before = Line(number, raw, said, level, length, at, tracebacks.episode)
            self.lines.append(before)
            parts.append(squeezed)
            at += len(squeezed)
        self.squeezed = "".join(parts)
        lowered = self.squeezed.lower()
        # A few letters get longer in lower case; then all places would be wrong.
        self.lowered = lowered if len(lowered) == len(self.squeezed) else self.squeezed.translate(_ASCII_LOWER)
        self._starts = [line.start for line in self.lines]
        self._last_loud = max((n for n, line in enumerate(self.lines) if line.level == "loud"), default=-1)

    def failed_after(self, index: int) -> bool:
        """Whether a later line reports an error: what was only a warning until then may be its cause."""
        return index < self._last_loud

    def index(self, place: int) -> int:
        """Which of :attr:`lines` holds the character at ``place``."""
        return bisect_right(self._starts, place) - 1

    def end(self, index: int) -> int:
        """Where the line ends in the squeezed text."""
        return self._starts[index + 1] if index + 1 < len(self.lines) else len(self.squeezed)

    def original(self, start: int, end: int) -> str:
        """What stands between two places, with its blanks."""
        out = []
        for index in range(self.index(start), self.index(max(start, end - 1)) + 1):
            line = self.lines[index]
            columns = [n for n, c in enumerate(line.said) if not c.isspace()]
            first, last = max(0, start - line.start), min(len(columns), end - line.start)
            if first < last:
                out.append(line.said[columns[first] : columns[last - 1] + 1])
        return "".join(out)

    def evidence(self, start: int, end: int) -> tuple[int | None, str]:
        """Number and text of the line, or of the pieces of the line, in which the match lies."""
        first, last = self.index(start), self.index(max(start, end - 1))
        pieces = [self.lines[index].raw.strip() for index in range(first, last + 1)]
        return self.lines[first].number, "\n".join(pieces)[:EVIDENCE_CHARS]


class _Tracebacks:
    """Which lines belong together: a traceback, those that led to it, and the messages at their ends are one episode."""

    def __init__(self) -> None:
        self.episode = 0
        self._newest = self._chain = 0
        self._linked = self._inside = False
        self._indent: int | None = None  # of the last line that named a file; what is shown of it is indented further

    def shows(self, said: str) -> bool:
        """Whether the line names a file or shows source code of it, which may name any trouble there is."""
        indent = len(said) - len(said.lstrip())
        if said[indent:].startswith('File "') and ", line " in said:
            self._indent = indent
            return True
        if self._indent is not None and indent > self._indent:
            return True
        self._indent = None
        return False

    def passes(self, said: str, squeezed: str, before: Line | None) -> None:
        """A line that is no source code."""
        if squeezed.startswith(LINKS):
            self._linked = True
        elif squeezed.startswith("Traceback(mostrecent"):
            self._newest += 1
            self._chain = self.episode = self._chain if self._linked else self._newest
            self._linked, self._inside = False, True
        elif self._inside:
            self._inside = not SPEAKS.match(said)
        elif not self._linked and not said[0].isspace():  # what is indented goes on with the message before it
            if not (before and before.episode == self._chain and before.length >= WRAPS):
                self._newest += 1
                self.episode = self._newest
            if SPEAKS.match(said):
                self._chain = self.episode


def _unlike(lines: Iterable[tuple[int | None, str]]) -> list[Read]:
    """Every line; what was said often before, but for its numbers, is left empty."""
    seen = Counter[str]()
    kept: list[tuple[int | None, str, bool]] = []
    for number, raw in lines:
        kind = raw.translate(_NO_DIGITS)
        seen[kind] += 1
        kept.append((number, raw, seen[kind] <= REPEATS))
    margin = common(raw for _number, raw, new in kept if new)
    return [(number, raw, *(stripped(raw, margin) if new else ("", "", False, 0))) for number, raw, new in kept]


def _wrapped(read: list[Read]) -> set[int]:
    """Lengths of lines that go on in the next line."""
    whole, broken = Counter[int](), Counter[int]()
    for (_n, _raw, _said, level, _own, length), (_m, _r, said, _l, own, _length) in pairwise(read):
        if level == "quiet" and length >= WRAPS:
            whole[length] += 1
            broken[length] += not own and bool(said.strip())
    return {
        length for length in whole if length in WIDTHS or (whole[length] > 1 and 2 * broken[length] >= whole[length])
    }


_NO_DIGITS = dict.fromkeys(range(ord("0"), ord("9") + 1))
_ASCII_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}


def clean(text: str) -> str:
    """``text`` without colours, and with every state of a progress bar on a line of its own."""
    return ANSI.sub("", text)
