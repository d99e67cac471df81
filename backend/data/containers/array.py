"""The elements of a JSON array as records, in memory for one of them, going on after a damaged one.

A damaged row takes the brackets of the rest with it. It ends where the next row begins: after a comma, with the key that all
rows begin with. What cannot be found again like this is named as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import orjson

from backend.data.containers import problems, values
from backend.data.containers.buffered import SPACE, Buffered
from backend.data.containers.elements import Scanner
from backend.data.containers.records import MAX_RECORD_BYTES, Broken, Context, Item, Record, excerpt
from backend.data.rows import Split
from backend.errors import DataError
from backend.i18n import N_

SOON_BYTES = 1 << 20
"""An element longer than this is looked at: perhaps a missing quotation mark has made many rows one."""
LOOK_BYTES = 6 << 20
"""Not beyond this: parsing takes twelve times the memory of the text."""
MAX_SEARCHES = 100
"""So often the end of a damaged row is searched over megabytes; a file with more of them is no JSON."""
_FIRST_KEY = re.compile(rb'\s*\{\s*"((?:[^"\\]|\\.){1,200})"\s*:')


class Array:
    """Reads one array, of which the opening bracket has been used; afterwards ``stream`` stands behind its end."""

    def __init__(self, stream: Buffered, context: Context, number: int, split: Split | None = None) -> None:
        self.stream = stream
        self.context = context
        self.number = number
        self.split = split or context.split
        self.ended = False
        self._key: bytes | None = None
        self._searches = 0
        self._held: list[bytes] = []
        self._size = 0
        self._line, self._byte = stream.line, stream.byte  # of the element that is held
        self._too_long = b""  # the beginning of an element that is passed over
        self._lines_passed = 0

    def __iter__(self) -> Iterator[Item]:
        scanner = Scanner()
        look_at = SOON_BYTES
        after_comma = False
        while not self.ended:
            chunk = self.stream.chunk()
            if not chunk:
                yield from self._unfinished(after_comma)
                if not self.stream.data:
                    return
                scanner, look_at = Scanner(), SOON_BYTES
                continue
            cuts = scanner.scan(chunk)
            bounds = cuts.commas if cuts.end is None else [*cuts.commas, cuts.end]
            if bounds:
                yield from self._whole(chunk, bounds, cuts.end is not None, after_comma)
                after_comma = after_comma or bool(cuts.commas)
                look_at = SOON_BYTES
                if cuts.end is not None:
                    self._give_back(chunk, cuts.end + 1)
                    return
                chunk = chunk[bounds[-1] + 1 :]
            self._size += len(chunk)
            if self._too_long:
                self._lines_passed += chunk.count(b"\n")
                continue
            self._held.append(chunk)
            if self._size > look_at:
                look_at = 2 * look_at if 2 * look_at < LOOK_BYTES else MAX_RECORD_BYTES
                again = self._damaged(final=False)
                if again:
                    yield from again
                    scanner, look_at = Scanner(), SOON_BYTES

    def _give_back(self, chunk: bytes, used: int) -> None:
        self.ended = True
        rest = chunk[used:]
        byte = self.stream.byte - len(rest)
        self.stream.push(rest, self.stream.line - rest.count(b"\n"), byte)

    def _whole(self, chunk: bytes, bounds: list[int], ended: bool, after_comma: bool) -> Iterator[Item]:
        """The elements up to the last of ``bounds``: the held one, and many at once."""
        at = self.context.progress.at()
        only = len(bounds) == 1
        if self._too_long:
            yield self._passed(chunk[: bounds[0]], at)
        else:
            first = b"".join((*self._held, chunk[: bounds[0]]))
            if not (ended and only and self._blank(first, after_comma)):
                yield from self._one(first, at)
            self._move(first)
        self._held, self._size = [], 0
        if only:
            return
        middle = chunk[bounds[0] + 1 : bounds[-1]]
        if ended and not chunk[bounds[-2] + 1 : bounds[-1]].strip(SPACE):
            self._blank(b"", True)
            bounds = bounds[:-1]
            middle = chunk[bounds[0] + 1 : bounds[-1]]
        try:
            found = orjson.loads(b"[" + middle + b"]") if len(bounds) > 1 else []
        except orjson.JSONDecodeError:
            found = []
        if len(found) == len(bounds) - 1 and all(type(value) is dict for value in found):
            part, split, number = self.context.part, self.split, self.number
            for value in found:
                number += 1
                yield Record(number, value, part, at, split)
            self.number = number
            if found:
                self._move(middle)
        else:
            for start, end in pairwise(bounds):
                piece = chunk[start + 1 : end]
                yield from self._one(piece, at)
                self._move(piece)

    def _one(self, data: bytes, at: float) -> Iterator[Item]:
        """The element ``data``, which begins at the place of the held one; rows that damage has drawn into it by themselves."""
        line, byte = self._line, self._byte
        while True:
            self.number += 1
            blank = len(data) - len(data.lstrip(SPACE))
            line, byte, data = line + data.count(b"\n", 0, blank), byte + blank, data[blank:]
            try:
                value = values.load(data, self.context, line, byte)
            except DataError as error:
                next_row = self._next_row(data)
                yield Broken(self.number, error, excerpt(data), self.context.part, at)
                if next_row is None:
                    return
                line, byte, data = line + data.count(b"\n", 0, next_row), byte + next_row, data[next_row:]
            else:
                if self._key is None and (key := _FIRST_KEY.match(data)):
                    self._key = key[1]
                yield Record(self.number, value, self.context.part, at, self.split)
                return

    def _next_row(self, data: bytes) -> int | None:
        """Where in ``data``, which begins with a damaged row, the next one begins: with the key that all begin with."""
        key = self._key or (found[1] if (found := _FIRST_KEY.match(data)) else None)
        if key is None:
            return None
        start = re.search(rb'[,}\]]\s*(?=\{\s*"' + re.escape(key) + rb'"\s*:)', data[1:])
        return start.end() + 1 if start else None

    def _passed(self, rest: bytes, at: float) -> Item:
        """The element that was passed over ends with ``rest``."""
        self.number += 1
        size = self._size + len(rest)
        error = problems.too_long(self._line, self._byte, size)
        broken = Broken(self.number, error, excerpt(self._too_long), self.context.part, at)
        self._line += self._lines_passed + rest.count(b"\n")
        self._byte += size + 1
        self._too_long, self._lines_passed = b"", 0
        return broken

    def _move(self, used: bytes) -> None:
        """The held place is behind ``used`` and the comma after it."""
        self._line += used.count(b"\n")
        self._byte += len(used) + 1

    def _blank(self, data: bytes, after_comma: bool) -> bool:
        """Whether nothing stands before the end: an empty array, or a comma too much."""
        if data.strip(SPACE):
            return False
        if after_comma:
            self.context.notices.note(
                "data_last_comma", N_("A comma after the last row was passed over."), part=self.context.part
            )
        return True

    def _unfinished(self, after_comma: bool) -> Iterator[Item]:
        """The file ends before the array does."""
        if self._too_long:
            error = problems.too_long(self._line, self._byte)
            self.number += 1
            self.ended = True
            yield Broken(self.number, error, excerpt(self._too_long), self.context.part, 1.0)
        else:
            data = b"".join(self._held)
            whole = values.is_json(data)
            if data.strip(SPACE) and not whole:
                yield from self._damaged(final=True)
                return
            if whole:
                yield from self._one(data, self.context.progress.at())
            self.context.notices.note(
                "data_array_open",
                N_("The list is not closed: the file may have been cut off, and rows at its end may be missing."),
                part=self.context.part,
            )
            self.ended = True

    def _damaged(self, final: bool) -> list[Item]:
        """The held bytes, if they cannot become an element: named, and the stream set to the next row in them."""
        data = b"".join(self._held)
        self._held = [data]
        certain = False  # that it is no JSON, not only too long so far
        try:
            if final or self._size < LOOK_BYTES:
                orjson.loads(data)
        except orjson.JSONDecodeError as bad:
            certain = final or not bad.msg.startswith("unexpected end")
            if certain:
                error = problems.json_problem(data, bad, self._line, self._byte)
        if not certain:
            if self._size <= MAX_RECORD_BYTES:
                return []
            error = problems.too_long(self._line, self._byte)
        self._searches += 1
        next_row = self._next_row(data) if self._searches <= MAX_SEARCHES else None
        if not final and not certain and next_row is None:
            self._too_long, self._lines_passed, self._held = data[:1024], data.count(b"\n"), []
            return []
        items = [self._broken(error, data)]
        end = next_row or len(data)
        self._line += data.count(b"\n", 0, end)
        self._byte += end
        self._held, self._size = [], 0
        if next_row:
            self.stream.push(data[end:], self._line, self._byte)
            return items
        self.ended = True
        if not final:
            items.append(self._broken(problems.rest_unreadable(self._line, self._byte), b""))
            while self.stream.chunk():
                pass
        return items

    def _broken(self, error: DataError, data: bytes) -> Item:
        self.number += 1
        text = excerpt(data.lstrip(SPACE))
        return Broken(self.number, error, text, self.context.part, self.context.progress.at())
