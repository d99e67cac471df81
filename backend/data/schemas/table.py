"""A table: one column of questions, one of answers, maybe more of the parts; earlier turns stand as JSON in ``history``."""

from __future__ import annotations

from typing import Any

from backend.data.rows import Row
from backend.data.schemas import columns, pairs
from backend.data.schemas.conversation import Reader
from backend.data.schemas.mapping import Mapping

COLUMNS = {
    "system": "system",
    "instruction": "question",
    "input": "context",
    "output": "answer",
    "history": "history",
    "images": "images",
}


def reader(mapping: Mapping) -> Reader:
    """See :func:`backend.data.schemas.pairs.reader`."""
    return pairs.reader(mapping, COLUMNS)


def write(row: Row) -> dict[str, Any]:
    """``row`` as a record."""
    # Names that would be taken for a part when this is read again must not be somebody else's column.
    return pairs.write(row, COLUMNS, False, columns.means_something)


def losses(row: Row) -> list[str]:
    """See :func:`backend.data.schemas.pairs.losses`."""
    return pairs.losses(row)
