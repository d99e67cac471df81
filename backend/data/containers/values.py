"""From JSON text to a row's value, with what people's JSON holds and JSON does not allow."""

from __future__ import annotations

import json
from typing import Any

import orjson

from backend.data.containers import problems
from backend.data.containers.records import Context
from backend.i18n import N_

NAMES = {list: "[…]", str: "“…”", bool: "true / false", type(None): "null", int: "1", float: "1.0"}


def load(data: bytes, context: Context, line: int, byte: int) -> dict[str, Any]:
    """The row that ``data`` holds; it begins in ``line`` at ``byte`` of the file, both counted from 1.

    Raises:
        DataError: ``row_not_json`` and the others of :mod:`.problems`.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        value = _lenient(data, error, context, line, byte)
    return value if type(value) is dict else as_row(value, context, line, byte)


def as_row(value: Any, context: Context, line: int, byte: int) -> dict[str, Any]:
    """``value`` as a row: an object, or a list of turns.

    Raises:
        DataError: ``row_not_object``.
    """
    if isinstance(value, dict):
        return value
    if (
        isinstance(value, list)
        and value
        and all(isinstance(turn, dict) and {"role", "from"} & set(turn) for turn in value)
    ):
        context.notices.note(
            "data_bare_turns",
            N_("Rows that are a bare list of turns were read as the field “messages”."),
            part=context.part,
        )
        return {"messages": value}
    raise problems.not_object(line, byte, NAMES.get(type(value), type(value).__name__))


def is_json(data: bytes) -> bool:
    """Whether ``data`` is one JSON value."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _lenient(data: bytes, error: orjson.JSONDecodeError, context: Context, line: int, byte: int) -> Any:
    """What only strict readers refuse: NaN, as Python writes it, and a comma after each line."""
    text = data.strip()
    if text[-1:] == b"," and text[:1] == b"{":
        try:
            value = orjson.loads(text[:-1])
        except orjson.JSONDecodeError:
            pass
        else:
            context.notices.note(
                "data_line_commas", N_("Lines that end with a comma were read without it."), part=context.part
            )
            return value
    if b"\0" not in data and (b"NaN" in data or b"Infinity" in data or b"\\u" in data):
        try:
            value = json.loads(data)
            rewritten = orjson.loads(json.dumps(_mend(value)))
        except (ValueError, RecursionError):
            raise problems.json_problem(data, error, line, byte) from None
        context.notices.note(
            "data_values_mended",
            N_("NaN and Infinity were read as empty, and halves of characters as “�”: JSON has neither."),
            part=context.part,
        )
        return rewritten
    raise problems.json_problem(data, error, line, byte) from None


def _mend(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    return value


__all__ = ["as_row", "is_json", "load"]
