"""Function calls as different tools write them -> calls as the OpenAI API has them, and lists that stand as JSON text in a cell."""

from __future__ import annotations

from typing import Any, cast

import orjson

from backend.errors import DataError
from backend.i18n import N_


def calls_of(turn: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls of one message."""
    raw = turn.get("tool_calls")
    if raw is None and isinstance(old := turn.get("function_call"), dict):
        raw = [old]
    if isinstance(raw, str):
        raw = from_json(raw)
    return (
        [call(each, place) for place, each in enumerate(raw) if isinstance(each, dict)] if isinstance(raw, list) else []
    )


def call(raw: dict[str, Any], place: int) -> dict[str, Any]:
    """One function call as the OpenAI API has it, whatever shape it came in. place: among the calls of its message."""
    function = raw["function"] if isinstance(raw.get("function"), dict) else raw
    arguments = function.get("arguments", function.get("parameters"))
    if not isinstance(arguments, str):
        arguments = orjson.dumps({} if arguments is None else arguments, default=str).decode()
    return {
        "id": str(raw.get("id") or f"call_{place + 1}"),
        "type": "function",
        "function": {"name": str(function.get("name") or ""), "arguments": arguments},
    }


def calls_of_text(value: Any) -> list[dict[str, Any]]:
    """The calls in the value of a ``function_call`` turn: one or several ``{"name", "arguments"}`` as JSON text.

    Raises:
        DataError: ``row_call_bad``.
    """
    found = from_json(value) if isinstance(value, str) else value
    listed = [found] if isinstance(found, dict) else found
    if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
        raise DataError(
            "row_call_bad",
            N_("A function call is no JSON object with a name and arguments."),
            N_('Write it as {{"name": "search", "arguments": {{"query": "rain"}}}}.'),
        )
    return [call(each, place) for place, each in enumerate(listed)]


def offered(value: Any) -> list[dict[str, Any]]:
    """The functions that were offered: a list, or the same as JSON text."""
    found = from_json(value) if isinstance(value, str) else value
    return [cast("dict[str, Any]", each) for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def from_json(value: str) -> Any:
    """What the text says, or None where it is no JSON."""
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
