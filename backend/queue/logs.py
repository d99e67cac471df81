"""Reading job logs by byte offset: a log of 1 GiB opens as fast as a small one, and nothing reads it whole.

What programs print is not tidy. Lines are cut where a page ends only at line ends; UTF-8 that is torn (the program is
writing it now) waits for its rest; progress bars that overwrite themselves with a carriage return show their last state;
colours and other terminal codes (ECMA-48 escape sequences) are dropped. Offsets are always bytes of the raw file.
"""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

PAGE_BYTES = 64 * 1024
"""How much of a log one page holds; a line longer than this is cut."""
SEARCH_BLOCK = 1 << 20
SEARCH_BUDGET = 64 << 20
"""How much one search reads before it reports what it has; the person decides whether it goes on."""
LINE_CHARS = 2000
NEEDLE_CHARS = 200

_ESCAPE = rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]+[0-~]|[0-Z\\^-~])"
_ESCAPES = re.compile(_ESCAPE)
_TORN_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,200})?\Z")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Page:
    """Some lines of a log. ``start`` and ``end`` are the bytes of the file that they came from, ``size`` its length."""

    text: str
    start: int
    end: int
    size: int

    @property
    def first(self) -> bool:
        return self.start == 0

    @property
    def last(self) -> bool:
        return self.end >= self.size


@dataclass(frozen=True)
class Hit:
    """A line in which the text was found; ``offset`` is the byte of the match."""

    offset: int
    line: str


@dataclass(frozen=True)
class Found:
    """Hits, newest first. ``reached`` is the byte down to which the log was searched; 0 means all of it."""

    hits: list[Hit] = field(default_factory=list)
    reached: int = 0
    size: int = 0


def clean(raw: bytes) -> str:
    """``raw`` as a person should see it: no terminal codes, a rewritten line in its last state, bad UTF-8 as U+FFFD."""
    if b"\x1b" in raw:
        raw = _TORN_ESCAPE.sub(b"", _ESCAPES.sub(b"", raw))
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n")
    if "\r" in text:
        text = "\n".join(_last_state(line) for line in text.split("\n"))
    return _CONTROL.sub("", text)


def _last_state(line: str) -> str:
    """The last thing that was written over the line; a carriage return with nothing after it erases nothing."""
    return next((part for part in reversed(line.split("\r")) if part.strip()), "")


def tail(path: Path, *, lines: int = 200, limit: int = PAGE_BYTES) -> Page:
    """The last ``lines`` lines, from at most the last ``limit`` bytes. A log that is not there yet is empty."""
    page, raw = _back(path, None, limit)
    found = raw.removesuffix(b"\n").split(b"\n")
    left_out = found[:-lines]
    start = page.start + sum(len(line) + 1 for line in left_out)
    return Page(clean(b"\n".join(found[len(left_out) :])), start, page.end, page.size)


def before(path: Path, end: int, *, limit: int = PAGE_BYTES) -> Page:
    """The page of whole lines that ends at byte ``end``."""
    return _back(path, end, limit)[0]


def after(path: Path, start: int, *, limit: int = PAGE_BYTES) -> Page:
    """The page of whole lines that begins at byte ``start``, a line's beginning."""
    size, raw = _read(path, start, limit)
    start = min(start, size)
    if start + len(raw) < size:
        raw = raw[: _whole(raw)]
    raw = raw[: len(raw) - _torn_utf8(raw)]
    return Page(clean(raw).removesuffix("\n"), start, start + len(raw), size)


def around(path: Path, offset: int, *, limit: int = PAGE_BYTES) -> Page:
    """A page with the byte ``offset`` near its middle."""
    start = max(0, offset - limit // 2)
    if start:
        _size, raw = _read(path, start, limit // 2)
        start += _line_start(raw)
    return after(path, start, limit=limit)


def search(
    path: Path,
    needle: str,
    *,
    end: int | None = None,
    hits: int = 100,
    budget: int = SEARCH_BUDGET,
    block: int = SEARCH_BLOCK,
) -> Found:
    """Lines that hold ``needle``, newest first, upper and lower case alike (ASCII), colours inside it ignored.

    Args:
        end: search only what lies before this byte (``Found.reached`` of the search that this one continues).
        hits: stop after that many lines.
        budget: stop after that many bytes; memory is about two ``block``, whatever the log's length.
    """
    wanted = needle[:NEEDLE_CHARS].encode("utf-8", "replace").lower()
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            high = size if end is None else min(end, size)
            if not wanted:
                return Found([], high, size)
            return _search(file, wanted, size, high, max(0, high - budget), hits, block)
    except FileNotFoundError:
        return Found()


def _search(file: BinaryIO, wanted: bytes, size: int, high: int, low: int, hits: int, block: int) -> Found:
    coloured = re.compile((rb"(?:" + _ESCAPE + rb")*").join(re.escape(bytes([b])) for b in wanted), re.IGNORECASE)
    found: list[Hit] = []
    last_line = -1
    while high > low:
        begin = max(low, high - block)
        file.seek(begin)
        # A match may begin in this block and end in the next one, with colour codes between its letters.
        data = file.read(high - begin + len(wanted) * 16)
        for at in reversed(_matches(data, wanted, coloured, high - begin)):
            line_at, line = _line_of(file, begin + at)
            if line_at != last_line:
                found.append(Hit(begin + at, line))
                last_line = line_at
            if len(found) == hits:
                return Found(found, line_at, size)
        high = begin
    return Found(found, high, size)


def _matches(data: bytes, wanted: bytes, coloured: re.Pattern[bytes], below: int) -> list[int]:
    """Where ``wanted`` begins in ``data``, before ``below``, in order."""
    if b"\x1b" in data:
        return [m.start() for m in coloured.finditer(data) if m.start() < below]
    lower, places, at = data.lower(), [], -1
    while 0 <= (at := lower.find(wanted, at + 1)) < below:
        places.append(at)
    return places


def _line_of(file: BinaryIO, offset: int) -> tuple[int, str]:
    """(its first byte, its text) of the line around ``offset``; a state of a progress bar counts as a line."""
    start = max(0, offset - LINE_CHARS)
    file.seek(start)
    data = file.read(2 * LINE_CHARS)
    at = offset - start
    left = max(data.rfind(b"\n", 0, at), data.rfind(b"\r", 0, at)) + 1
    ends = [e for e in (data.find(b"\n", at), data.find(b"\r", at)) if e >= 0]
    return start + left, clean(data[left : min(ends, default=len(data))]).strip()


def _back(path: Path, end: int | None, limit: int) -> tuple[Page, bytes]:
    """The page that ends at ``end`` (None: the end of the file) and its raw bytes."""
    size = _size(path)
    end = size if end is None else min(end, size)
    start = max(0, end - limit)
    _size_now, raw = _read(path, start, end - start)
    if start:
        skip = _line_start(raw)
        start, raw = start + skip, raw[skip:]
    raw = raw[: len(raw) - _torn_utf8(raw)]
    return Page(clean(raw).removesuffix("\n"), start, start + len(raw), size), raw


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path, start: int, count: int) -> tuple[int, bytes]:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(min(start, size))
            return size, file.read(max(0, count))
    except FileNotFoundError:
        return 0, b""


def _line_start(raw: bytes) -> int:
    """Where the first whole line of ``raw`` begins; without any line end, the first whole character."""
    newline = raw.find(b"\n")
    if 0 <= newline < len(raw) - 1:
        return newline + 1
    return next((i for i in range(min(4, len(raw))) if raw[i] & 0xC0 != 0x80), 0)


def _whole(raw: bytes) -> int:
    """The length of ``raw`` up to its last line end; all of it where there is none."""
    return raw.rfind(b"\n") + 1 or len(raw)


def _torn_utf8(raw: bytes) -> int:
    """How many bytes at the end of ``raw`` begin a character whose rest is not there."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(raw[-4:])
    return len(decoder.getstate()[0])
