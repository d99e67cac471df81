"""Plain text: a row for each paragraph, or for each line where no blank line divides paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from backend.data.containers import problems
from backend.data.containers.lines import pieces
from backend.data.containers.records import MAX_RECORD_BYTES, Broken, Context, Item, Record, excerpt

_BLANK_LINE = re.compile(rb"\S[ \t]*\r?\n[ \t]*\r?\n\s*\S")


def read(chunks: Iterator[bytes], context: Context, head: bytes) -> Iterator[Item]:
    """Records ``{"text": …}`` of UTF-8 ``chunks``; ``head`` decides whether blank lines divide."""
    paragraphs = _BLANK_LINE.search(head) is not None
    number, line, first, size = context.first - 1, 0, 1, 0
    held: list[bytes] = []
    for piece in pieces(chunks):
        for data in piece.lines:
            line += 1
            if piece.skipped or size > MAX_RECORD_BYTES:
                number += 1
                error = problems.too_long(line, size=piece.skipped or size)
                yield Broken(number, error, excerpt(held[0] if held else data), context.part, context.progress.at())
                held, size = [], 0
                continue
            blank = not data or data.isspace()
            if held and (blank or not paragraphs):
                number += 1
                yield _item(number, held, first, context)
                held, size = [], 0
            if not blank:
                first = first if held else line
                held.append(data)
                size += len(data)
    if held:
        yield _item(number + 1, held, first, context)


def _item(number: int, held: list[bytes], line: int, context: Context) -> Item:
    data = b"\n".join(held)
    at = context.progress.at()
    if b"\0" in data:
        before = data.index(b"\0")
        error = problems.nul_bytes(line + data.count(b"\n", 0, before), before + 1, data.count(b"\0"))
        return Broken(number, error, excerpt(data), context.part, at)
    text = data.decode("utf-8", "replace").replace("\r", "").strip()
    return Record(number, {"text": text}, context.part, at, context.split)
