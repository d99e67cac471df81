"""A JSON file that is one value: a list of rows, an object around such lists, columns, one row, or rows one after another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from backend.data.containers import problems, values
from backend.data.containers.array import Array
from backend.data.containers.buffered import Buffered
from backend.data.containers.elements import Scanner
from backend.data.containers.names import split_name
from backend.data.containers.records import MAX_RECORD_BYTES, Broken, Context, Item, Record, excerpt
from backend.errors import DataError
from backend.i18n import N_

_KEY = re.compile(rb'[\s,]*"((?:[^"\\]|\\.)*)"\s*:\s*')
_ROWS = re.compile(rb"\[\s*\{")
_TURNS = re.compile(rb'\[\s*\{\s*"(?:role|from)"')
_WRAPPERS = {
    "data",
    "dataset",
    "datasets",
    "rows",
    "row",
    "records",
    "items",
    "examples",
    "samples",
    "instances",
    "results",
}
_PARTS_OF_A_ROW = {
    "messages",
    "conversations",
    "conversation",
    "dialog",
    "dialogue",
    "history",
    "turns",
    "tools",
    "chosen",
}
_PARTS_OF_A_ROW |= {"rejected", "images", "instruction", "output", "question", "answer", "prompt", "completion"}


def read(chunks: Iterator[bytes], context: Context) -> Iterator[Item]:
    """Records of a JSON text in UTF-8."""
    stream = Buffered(chunks)
    number = context.first - 1
    values_read = 0
    while (first := stream.skip_space()) != b"":
        values_read += 1
        if values_read == 2:
            context.notices.note(
                "data_several_values",
                N_("The file holds several JSON values one after another; all were read."),
                part=context.part,
            )
        if first == b"[":
            stream.drop(1)
            reader = Array(stream, context, number)
            yield from reader
            number = reader.number
        elif first == b"{":
            for item in _object(stream, context, number):
                number = item.number
                yield item
        elif values_read > 1 and first == b",":
            stream.drop(1)
        else:
            number += 1
            yield Broken(
                number, problems.rest_unreadable(stream.line, stream.byte), excerpt(stream.data), context.part, 1
            )
            return


class _Found:
    """What the beginning of an object shows. ``rows``: offset behind the bracket of a list of rows; ``key``: its name.
    ``end``: offset behind the object's bracket. ``keys``: fields seen before either."""

    def __init__(self) -> None:
        self.rows: int | None = None
        self.key = ""
        self.end: int | None = None
        self.keys: list[str] = []


def _object(stream: Buffered, context: Context, number: int) -> Iterator[Item]:
    """The object at the beginning of ``stream``: its rows, or itself as a row."""
    looked = 0
    while True:
        if len(stream.data) > looked:
            looked = len(stream.data)
            found = _look(stream.data)
            if found.rows is not None:
                yield from _wrapped(stream, context, number, found)
                return
            if found.end is not None:
                yield from _plain(stream, context, number, found.end)
                return
        size = len(stream.data)
        while len(stream.data) < 2 * size and stream.more():
            pass
        if len(stream.data) == size or size > MAX_RECORD_BYTES:
            data, line, byte = stream.data, stream.line, stream.byte
            error = problems.too_long(line, byte) if size > MAX_RECORD_BYTES else _why(data, context, line, byte)
            yield Broken(number + 1, error, excerpt(data), context.part, context.progress.at())
            stream.drop(size)
            while stream.chunk():
                pass  # nothing after it has a known beginning
            return


def _look(data: bytes) -> _Found:
    found = _Found()
    cuts = Scanner().scan(data[1:])
    starts = [0, *cuts.commas]
    found.end = cuts.end + 2 if cuts.end is not None else None
    for start in starts:
        key = _KEY.match(data, start + 1)
        if not key:
            continue
        name = key[1].decode("utf-8", "replace")
        if name.lower() in _PARTS_OF_A_ROW:
            return found  # the object is a row itself
        if _ROWS.match(data, key.end()) and (_wraps(name) or not _TURNS.match(data, key.end())):
            found.rows, found.key = key.end() + 1, name
            return found
        found.keys.append(name)
    return found


def _wraps(name: str) -> bool:
    return name.lower() in _WRAPPERS or split_name(name) is not None


def _wrapped(stream: Buffered, context: Context, number: int, found: _Found) -> Iterator[Item]:
    """The lists in an object; other fields beside them are named."""
    assert found.rows is not None
    lists, others = [found.key], list(found.keys)
    stream.drop(found.rows)
    split = split_name(found.key)
    while True:
        reader = Array(stream, context, number, split)
        yield from reader
        number = reader.number
        entry = _next_list(stream, lists, others)
        if entry is None:
            break
        split = split_name(entry)
    context.notices.note(
        "data_unwrapped",
        N_("The rows were taken from inside an object, from its field “{fields}”."),
        fields="”, “".join(lists),
        part=context.part,
    )
    if others:
        context.notices.note(
            "data_fields_left",
            N_("Beside the rows, the object holds “{fields}”: not read."),
            fields="”, “".join(others),
            part=context.part,
        )


def _next_list(stream: Buffered, lists: list[str], others: list[str]) -> str | None:
    """Go to the next list of rows in the object; its name, or None behind the object."""
    while stream.skip_space() == b",":
        while len(stream.data) < 65536 and stream.more():
            pass
        key = _KEY.match(stream.data)
        if not key:
            break
        name = key[1].decode("utf-8", "replace")
        rows = _ROWS.match(stream.data, key.end())
        stream.drop(key.end() + (1 if rows else 0))
        if rows:
            lists.append(name)
            return name
        others.append(name)
        _skip_value(stream)
    if stream.skip_space() == b"}":
        stream.drop(1)
    return None


def _skip_value(stream: Buffered) -> None:
    scanner = Scanner()
    while chunk := stream.chunk():
        cuts = scanner.scan(chunk)
        end = min([*cuts.commas[:1], *([cuts.end] if cuts.end is not None else [])], default=None)
        if end is not None:
            rest = chunk[end:]
            stream.push(rest, stream.line - rest.count(b"\n"), stream.byte - len(rest))
            return


def _plain(stream: Buffered, context: Context, number: int, end: int) -> Iterator[Item]:
    """An object that is a row, or columns."""
    data, line, byte = stream.data[:end], stream.line, stream.byte
    stream.drop(end)
    at = context.progress.at()
    try:
        value = values.load(data, context, line, byte)
    except DataError as error:
        yield Broken(number + 1, error, excerpt(data), context.part, at)
        return
    rows = _columns(value)
    if rows is None:
        if number == context.first - 1 and not stream.skip_space():
            context.notices.note(
                "data_one_object",
                N_("The file holds one object, not a list: it was read as a set of one row."),
                part=context.part,
            )
        yield Record(number + 1, value, context.part, at, context.split)
        return
    context.notices.note(
        "data_columns", N_("The file holds columns, not rows; the rows were put together."), part=context.part
    )
    for row in rows:
        number += 1
        yield Record(number, row, context.part, at, context.split)


def _columns(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of {"question": ["…", "…"], "answer": ["…", "…"]}, or of pandas' {"question": {"0": "…"}}; else None."""
    columns = list(value.values())
    if len(columns) < 2:
        return None
    if all(isinstance(column, dict) and column and all(key.isdigit() for key in column) for column in columns):
        return [{name: column.get(key) for name, column in value.items()} for key in columns[0]]
    same = all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns)
    if not same or not columns[0] or any(isinstance(item, dict) for column in columns for item in column):
        return None
    return [dict(zip(value, items, strict=True)) for items in zip(*columns, strict=True)]


def _why(data: bytes, context: Context, line: int, byte: int) -> DataError:
    try:
        values.load(data, context, line, byte)
    except DataError as error:
        return error
    return problems.rest_unreadable(line, byte)
