"""The one form in which rows are kept, whatever they came from: a conversation, as JSON.

    {"messages": [{"role": "user", "content": "Who are you?"},
                  {"role": "assistant", "content": "I am Robin.", "loss": true}],
     "tools": [...], "meta": {"split": "test", "source": "...", ...}}

Keys that hold nothing are left out. ``<image>`` in a content stands where a picture belongs; ``images`` of that message names
the pictures in this order (addresses below the dataset's pictures, see :mod:`backend.data.store`). Plain dicts, because a
million of them pass through here: orjson reads one in two microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Required, TypedDict

import orjson
import xxhash

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
IMAGE = "<image>"


class Message(TypedDict, total=False):
    """One turn.

    loss: whether it is learned; left out: answers of the assistant are, all else is not. tool_calls: as the OpenAI API has
    them, ``{"id", "type": "function", "function": {"name", "arguments"}}``, arguments being JSON text. tool_call_id, name:
    of a tool's result.
    """

    role: Required[Role]
    content: Required[str]
    loss: bool
    tool_calls: list[dict[str, Any]]
    tool_call_id: str
    name: str
    images: list[str]


class Row(TypedDict, total=False):
    """One conversation.

    tools: the functions that were offered, as the OpenAI API has them. meta: what else is known of the row, JSON-able:
    ``split`` (left out: train), ``id``, ``source``, ``lineage``, and ``extra``, columns that no part of a conversation came from.
    """

    messages: Required[list[Message]]
    tools: list[dict[str, Any]]
    meta: dict[str, Any]


def trained(message: Message) -> bool:
    """Whether ``message`` is learned."""
    return message.get("loss", message["role"] == "assistant")


def split_of(row: Row) -> Split:
    """The part of the dataset that ``row`` belongs to."""
    found: Split = row.get("meta", {}).get("split", "train")
    return found


def line(row: Row) -> bytes:
    """``row`` as the line that is kept: JSON with sorted keys, without an end of line."""
    try:
        return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return orjson.dumps(plain(row), option=orjson.OPT_SORT_KEYS)


def plain(value: Any) -> Any:
    """``value`` as something that orjson writes: lone surrogates and large numbers come from what people upload."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float)) else plain(str(value))


def parse(data: bytes) -> Row:
    """The row of a line that :func:`line` made."""
    row: Row = orjson.loads(data)
    return row


def row_hash(row: Row) -> int:
    """64 bits of what is said and learned in ``row``; ``meta`` does not count. For finding the same row, not for proof."""
    said = {key: value for key, value in row.items() if key != "meta"}
    return xxhash.xxh3_64_intdigest(line(said))  # type: ignore[arg-type]
