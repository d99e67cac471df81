"""OpenAI messages: ``{"messages": [{"role", "content"}], "tools": [...]}``, what most tools read today.

Pictures stand as ``<image>`` in the text and in order in a column ``images``, as LLaMA-Factory and ms-swift read them; contents in
parts are read too. ``loss`` on a message says that it is learned or not (XTuner reads it); ``weight``, OpenAI's own, is read.
"""

from __future__ import annotations

from typing import Any

from backend.data.rows import Row
from backend.data.schemas import about, conversation, plain
from backend.data.schemas.conversation import Reader
from backend.data.schemas.mapping import Mapping

COLUMNS = {"messages": "messages", **conversation.BESIDE}


def reader(mapping: Mapping) -> Reader:
    """See :func:`backend.data.schemas.conversation.reader`."""
    return conversation.reader(mapping, COLUMNS, "role", "content")


def write(row: Row) -> dict[str, Any]:
    """``row`` as a record."""
    images = plain.images_of(row)
    whole = not images or plain.marked(row)
    listed: list[dict[str, Any]] = [
        {key: value for key, value in each.items() if key != "images" or not whole} for each in row["messages"]
    ]
    rest = conversation.put_back(row, listed)
    record: dict[str, Any] = {"messages": listed}
    if row.get("tools"):
        record["tools"] = row["tools"]
    if images and whole:
        record["images"] = images
    return about.write(rest, record)


def losses(row: Row) -> list[str]:
    """Nothing: everything that a row can hold has its place here."""
    return []
