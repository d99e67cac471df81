"""LLaVA: ``{"id", "image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\\n..."}, {"from": "gpt", ...}]}``."""

from __future__ import annotations

from typing import Any

from backend.data.rows import Row
from backend.data.schemas import about, conversation, plain
from backend.data.schemas.conversation import Reader
from backend.data.schemas.mapping import Mapping

COLUMNS = {"messages": "conversations", "images": "image", "system": "system", "tools": "tools"}


def reader(mapping: Mapping) -> Reader:
    """See :func:`backend.data.schemas.conversation.reader`; the pictures go to the turns that mark them."""
    return conversation.reader(mapping, COLUMNS, "from", "value")


def write(row: Row) -> dict[str, Any]:
    """``row`` as a record. XTuner asks every record for an ``id``, so there is one, maybe empty."""
    record: dict[str, Any] = {"id": row.get("meta", {}).get("id", "")}
    images = plain.images_of(row)
    if images:
        record["image"] = images[0] if len(images) == 1 else images
    messages = plain.flat(row)
    system = [each["content"] for each in messages if each["role"] == "system" and each["content"]]
    if system:
        record["system"] = "\n".join(system)
    record["conversations"] = [
        {"from": "gpt" if each["role"] == "assistant" else "human", "value": each["content"]}
        for each in messages
        if each["role"] != "system"
    ]
    return about.write(row, record)


def losses(row: Row) -> list[str]:
    """Functions, loss flags, names, and system prompts, which XTuner's reading of this format does not know."""
    found = plain.common_losses(row, images=True)
    if any(each["role"] == "system" for each in row["messages"]):
        found.append("system")
    if all(each["role"] == "system" for each in row["messages"]):
        found.append("no_answer")
    return found
