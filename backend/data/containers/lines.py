"""JSON Lines: one object a line. Read in binary by the megabyte, so that a million rows cost little more than their parsing."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from backend.data.containers import problems, values
from backend.data.containers.records import MAX_RECORD_BYTES, Broken, Context, Item, Record, excerpt
from backend.errors import DataError


def read(chunks: Iterator[bytes], context: Context) -> Iterator[Item]:
    """Records of UTF-8 ``chunks`` of any size; blank lines are passed over; at most one long line is held."""
    number, line, byte = context.first - 1, 0, 1
    part, split, loads = context.part, context.split, orjson.loads
    for piece in pieces(chunks):
        at = context.progress.at()
        for data in piece.lines:
            line += 1
            if piece.skipped:
                number += 1
                error = (
                    problems.nul_bytes(line, byte, piece.skipped)
                    if not data.strip(b"\0")
                    else problems.too_long(line, byte, piece.skipped)
                )
                yield Broken(number, error, excerpt(data), part, at)
                byte += piece.skipped + 1
                continue
            try:
                value = loads(data)
                if type(value) is not dict:
                    value = values.as_row(value, context, line, byte)
            except orjson.JSONDecodeError:
                if not data or data.isspace():
                    byte += len(data) + 1
                    continue
                number += 1
                try:
                    value = values.load(data, context, line, byte)
                except DataError as error:
                    yield Broken(number, error, excerpt(data), part, at)
                else:
                    yield Record(number, value, part, at, split)
            except DataError as error:
                number += 1
                yield Broken(number, error, excerpt(data), part, at)
            else:
                number += 1
                yield Record(number, value, part, at, split)
            byte += len(data) + 1


class Piece:
    """Whole lines without their ends; or the beginning of one line of ``skipped`` bytes, too long to be held."""

    __slots__ = ("lines", "skipped")

    def __init__(self, lines: list[bytes], skipped: int = 0) -> None:
        self.lines = lines
        self.skipped = skipped


def pieces(chunks: Iterator[bytes], limit: int = MAX_RECORD_BYTES) -> Iterator[Piece]:
    """Lines of ``chunks`` in groups; never more than ``limit`` bytes and one chunk are held."""
    held: list[bytes] = []  # the beginning of a line whose end is in a chunk to come
    size = 0
    beginning = b""
    for chunk in chunks:
        end = chunk.find(b"\n")
        if end < 0:
            size += len(chunk)
            if size <= limit:
                held.append(chunk)
            elif held:
                beginning, held = held[0], []
            elif not beginning:
                beginning = chunk
            continue
        if size > limit:
            yield Piece([beginning], size + end)
            chunk = chunk[end + 1 :]
        elif held:
            chunk = b"".join((*held, chunk))
        held, size, beginning = [], 0, b""
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines:
            yield Piece(lines)
        if rest:
            held, size = [rest], len(rest)
    if size > limit:
        yield Piece([beginning], size)
    elif held:
        yield Piece([b"".join(held)])
