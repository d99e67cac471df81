"""ShareGPT: ``{"conversations": [{"from": "human", "value": ...}, {"from": "gpt", ...}]}``, with the roles of LLaMA-Factory for functions.

A call is a turn ``function_call`` whose value is JSON, its result one of ``observation``; ``tools`` is a column of JSON text. What such a
turn has no place for (identifiers, a text beside a call, loss flags) stands in keys of ours beside, which other tools do not look at.
"""

from __future__ import annotations

from typing import Any

import orjson

from backend.data.rows import Message, Row
from backend.data.schemas import about, conversation, plain
from backend.data.schemas.conversation import Reader
from backend.data.schemas.mapping import Mapping

COLUMNS = {"messages": "conversations", **conversation.BESIDE}
SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def reader(mapping: Mapping) -> Reader:
    """See :func:`backend.data.schemas.conversation.reader`."""
    return conversation.reader(mapping, COLUMNS, "from", "value")


def write(row: Row) -> dict[str, Any]:
    """``row`` as a record."""
    images = plain.images_of(row)
    whole = not images or plain.marked(row)
    listed = [_turn(each, not whole) for each in row["messages"]]
    rest = conversation.put_back(row, listed)
    record: dict[str, Any] = {"conversations": listed}
    if row.get("tools"):
        record["tools"] = orjson.dumps(row["tools"]).decode()
    if images and whole:
        record["images"] = images
    return about.write(rest, record)


def _turn(message: Message, images_beside: bool) -> dict[str, Any]:
    turn: dict[str, Any] = {"from": SPEAKERS[message["role"]], "value": message["content"]}
    if calls := message.get("tool_calls"):
        said = [plain.plain_call(call) for call in calls]
        turn["from"] = "function_call" if message["role"] == "assistant" else turn["from"]
        if message["role"] == "assistant":
            turn["value"] = orjson.dumps(said[0] if len(said) == 1 else said).decode()
            if message["content"]:
                turn["content"] = message["content"]
        turn["tool_calls"] = calls
    for key in ("loss", "tool_call_id", "name", *(("images",) if images_beside else ())):
        if key in message:
            turn[key] = message[key]  # type: ignore[literal-required]
    return turn


def losses(row: Row) -> list[str]:
    """What other tools will not read; nothing of it is gone."""
    found = plain.common_losses(row, tools=True, images=True)
    if any(each.get("tool_calls") and each["content"] for each in row["messages"]):
        found.append("call_text")
    return found
