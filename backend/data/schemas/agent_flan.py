"""Agent-FLAN: ``{"id", "conversation": [{"role", "content", "loss"}]}``: every turn says whether it is learned; functions are text."""

from __future__ import annotations

from typing import Any

from backend.data.rows import Row, trained
from backend.data.schemas import about, conversation, plain
from backend.data.schemas.conversation import Reader
from backend.data.schemas.mapping import Mapping

COLUMNS = {"messages": "conversation", **conversation.BESIDE}


def reader(mapping: Mapping) -> Reader:
    """See :func:`backend.data.schemas.conversation.reader`."""
    return conversation.reader(mapping, COLUMNS, "role", "content")


def write(row: Row) -> dict[str, Any]:
    """``row`` as a record."""
    listed: list[dict[str, Any]] = [
        {"role": each["role"], "content": each["content"], "loss": trained(each)} for each in plain.flat(row)
    ]
    rest = conversation.put_back(row, listed)
    # The identifier comes first, as in the published files.
    identifier = row.get("meta", {}).get("id")
    record: dict[str, Any] = (
        {"conversation": listed} if identifier in (None, "") else {"id": identifier, "conversation": listed}
    )
    return about.write(rest, record)


def losses(row: Row) -> list[str]:
    """Functions, pictures and names."""
    return plain.common_losses(row, loss="all")
