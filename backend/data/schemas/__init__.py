"""Formats of rows: how each tool writes a conversation, recognised, read into our one form and written from it.

detect(records) -> Detection          which format, with reasons, and a mapping to begin with
to_row(record, mapping) -> Row        DataError where this record cannot be one
from_row(row, "xtuner") -> record     what it cannot hold is in losses(row, "xtuner"), as codes of LOSSES
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backend.data.rows import Row
from backend.data.schemas import agent_flan, alpaca, llava, openai, sharegpt, table, xtuner
from backend.data.schemas.detect import Detection, Reason, detect, recognise
from backend.data.schemas.mapping import NAMES, PART_TITLES, PARTS, TITLES, Mapping, check_schema
from backend.data.schemas.plain import LOSSES


@dataclass(frozen=True)
class Format:
    """One format. columns: part -> its usual column."""

    reader: Callable[[Mapping], Callable[[dict[str, Any]], Row]]
    write: Callable[[Row], dict[str, Any]]
    losses: Callable[[Row], list[str]]
    columns: dict[str, str]


FORMATS: dict[str, Format] = {
    name: Format(module.reader, module.write, module.losses, module.COLUMNS)
    for name, module in {
        "openai": openai,
        "sharegpt": sharegpt,
        "xtuner": xtuner,
        "alpaca": alpaca,
        "agent-flan": agent_flan,
        "llava": llava,
        "table": table,
    }.items()
}


def to_row(record: dict[str, Any], mapping: Mapping) -> Row:
    """``record`` as a row. ``mapping.reader`` is the same function, for those who read very many.

    Raises:
        DataError: this record cannot be a row: ``row_no_answer``, ``row_no_messages``, ``row_role_missing``,
            ``row_role_unknown``, ``row_not_text``, ``row_call_bad``, ``row_history_bad``.
    """
    return mapping.reader(record)


def from_row(row: Row, to: str) -> dict[str, Any]:
    """``row`` as a record of the format ``to``; ``row`` is not changed, and parts of it may stand in the record.

    Raises:
        DataError: ``schema_unknown``.
    """
    return FORMATS[check_schema(to)].write(row)


def losses(row: Row, to: str) -> list[str]:
    """Codes (of :data:`LOSSES`) of what the format ``to`` cannot hold of ``row``, each once; none: it comes back as it is.

    Raises:
        DataError: ``schema_unknown``.
    """
    return list(dict.fromkeys(FORMATS[check_schema(to)].losses(row)))


__all__ = [
    "FORMATS",
    "LOSSES",
    "NAMES",
    "PARTS",
    "PART_TITLES",
    "TITLES",
    "Detection",
    "Format",
    "Mapping",
    "Reason",
    "check_schema",
    "detect",
    "from_row",
    "losses",
    "recognise",
    "to_row",
]
