"""Reading a record whose conversation is a list of turns with a role and a text: OpenAI, ShareGPT, Agent-FLAN, LLaVA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.data.rows import Row
from backend.data.schemas import calls, pictures, turns
from backend.data.schemas.about import About, plain
from backend.data.schemas.mapping import Mapping

Reader = Callable[[dict[str, Any]], Row]
BESIDE = {"system": "system", "tools": "tools", "images": "images"}
"""Part -> column, of what stands beside the turns in most files."""


def reader(mapping: Mapping, names: dict[str, str], role_key: str, content_key: str) -> Reader:
    """The function that reads a record. names: part -> column, where ``mapping`` names none at all."""
    columns = mapping.columns or names
    column = columns.get("messages") or names["messages"]
    system_column, tools_column = columns.get("system"), columns.get("tools")
    image_columns = pictures.columns(columns.get("images"))
    about = About(mapping, (column, system_column, tools_column, *image_columns))
    constant = mapping.system

    def read(record: dict[str, Any]) -> Row:
        raw = record.get(column)
        if raw is None:
            from backend.data.schemas.detect import read_otherwise

            return read_otherwise(record, mapping, turns.no_messages())
        messages, beside = turns.read(raw, role_key, content_key)
        row: Row = {"messages": messages}
        if len(record) > 1:
            if system_column and (system := turns.text(record.get(system_column))):
                if messages[0]["role"] != "system":
                    messages.insert(0, {"role": "system", "content": system})
                    beside = {str(int(place) + 1): rest for place, rest in beside.items()}
                elif messages[0]["content"] != system:
                    row["meta"] = {"extra": {system_column: system}}
            if tools_column and (offered := calls.offered(record.get(tools_column))):
                row["tools"] = offered
            for name in image_columns:
                if name in record and (found := pictures.references(record[name])):
                    pictures.place_images(messages, found)
            about.read(record, row)
        if constant and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": constant})
            beside = {str(int(place) + 1): rest for place, rest in beside.items()}
        if beside:
            row.setdefault("meta", {})["turns"] = {place: plain(rest) for place, rest in beside.items()}
        return row

    return read


def put_back(row: Row, listed: list[dict[str, Any]]) -> Row:
    """Give the turns of a record what only they knew; returns ``row`` without it, for its other columns."""
    beside = row.get("meta", {}).get("turns")
    if not isinstance(beside, dict) or not all(
        place.isdecimal() and int(place) < len(listed) and isinstance(rest, dict) and not rest.keys() & turns.KNOWN
        for place, rest in beside.items()
    ):
        return row
    for place, rest in beside.items():
        listed[int(place)] |= {key: value for key, value in rest.items() if value is not None}
    meta = {key: value for key, value in row["meta"].items() if key != "turns"}
    return {**row, "meta": meta}
