"""Alpaca: ``{"instruction", "input", "output", "history": [[question, answer], ...], "system"}``."""

from __future__ import annotations

from typing import Any

from backend.data.rows import Row
from backend.data.schemas import pairs
from backend.data.schemas.conversation import Reader
from backend.data.schemas.mapping import Mapping

COLUMNS = {part: part for part in ("instruction", "input", "output", "history", "system", "images")}


def reader(mapping: Mapping) -> Reader:
    """See :func:`backend.data.schemas.pairs.reader`."""
    return pairs.reader(mapping, COLUMNS)


def write(row: Row) -> dict[str, Any]:
    """``row`` as a record; ``input`` is always there, as the tools that read this want it."""
    return pairs.write(row, COLUMNS, True)


def losses(row: Row) -> list[str]:
    """See :func:`backend.data.schemas.pairs.losses`."""
    return pairs.losses(row)
