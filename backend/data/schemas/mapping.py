"""Which column of a record is which part of a conversation: what detection guesses and a person may correct."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from backend.data.rows import Row
from backend.errors import DataError
from backend.i18n import N_

NAMES = ("openai", "sharegpt", "xtuner", "alpaca", "agent-flan", "llava", "table")
TITLES: dict[str, str] = {
    "openai": N_("OpenAI messages"),
    "sharegpt": N_("ShareGPT conversations"),
    "xtuner": N_("XTuner conversation"),
    "alpaca": N_("Alpaca: instruction, input, output"),
    "agent-flan": N_("Agent-FLAN: role, content, loss"),
    "llava": N_("LLaVA: conversations about pictures"),
    "table": N_("Table with a question and an answer in each row"),
}
"""What a person reads for the name of a schema; translated when drawn."""

PART_TITLES: dict[str, str] = {
    "messages": N_("Messages"),
    "instruction": N_("Question or instruction"),
    "input": N_("More input, added below the question"),
    "output": N_("Answer"),
    "history": N_("Earlier turns"),
    "system": N_("System prompt"),
    "tools": N_("Functions that may be called"),
    "images": N_("Pictures"),
    "split": N_("Train, validation or test"),
    "id": N_("Identifier"),
    "source": N_("Source"),
}
ABOUT = ("split", "id", "source")
_TURNS = ("messages", "system", "tools", "images", *ABOUT)
_PAIR = ("instruction", "input", "output", "history", "system", "images", *ABOUT)
PARTS: dict[str, tuple[str, ...]] = {name: _PAIR if name in ("alpaca", "table") else _TURNS for name in NAMES}
"""Schema -> the parts that a column may be chosen for, the needed ones first."""


@dataclass(frozen=True)
class Mapping:
    """How the records of a file are read.

    schema: one of :data:`NAMES`. columns: part (see :data:`PARTS`) -> name of the column; a part without a column is not
    read. system: system prompt for the rows that have none of their own.
    """

    schema: str
    columns: dict[str, str] = field(default_factory=dict)
    system: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` reads it."""
        return {"schema": self.schema, "columns": dict(self.columns), "system": self.system}

    @classmethod
    def from_dict(cls, data: AnyMapping[str, Any]) -> Mapping:
        """The mapping that :meth:`to_dict` wrote.

        Raises:
            DataError: ``schema_unknown``, ``mapping_part_unknown``.
        """
        schema = check_schema(str(data.get("schema", "")))
        columns = {str(part): str(column) for part, column in (data.get("columns") or {}).items() if column}
        for part in columns:
            if part not in PARTS[schema]:
                raise DataError(
                    "mapping_part_unknown",
                    N_("There is no part '{part}' in a row of the format {schema}."),
                    N_("Choose among: {known}."),
                    part=part,
                    schema=schema,
                    known=", ".join(PARTS[schema]),
                )
        return cls(schema, columns, str(data.get("system") or ""))

    @cached_property
    def reader(self) -> Callable[[dict[str, Any]], Row]:
        """The function that reads a record by this mapping, made once: a million records pass through it."""
        from backend.data.schemas import FORMATS

        return FORMATS[self.schema].reader(self)


def check_schema(name: str) -> str:
    """``name``, where it is a schema.

    Raises:
        DataError: ``schema_unknown``.
    """
    if name not in NAMES:
        raise DataError(
            "schema_unknown",
            N_("There is no format of rows called '{name}'."),
            N_("Known formats: {known}."),
            name=name,
            known=", ".join(NAMES),
        )
    return name
