"""Columns that are no part of a conversation: into ``meta`` of a row, and back to columns."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import orjson

from backend.data.rows import SPLITS, Row
from backend.data.schemas.mapping import Mapping

SPLIT_NAMES: dict[str, str] = {
    **{name: name for name in SPLITS},
    "training": "train",
    "训练": "train",
    "训练集": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "eval": "validation",
    "验证": "validation",
    "验证集": "validation",
    "testing": "test",
    "测试": "test",
    "测试集": "test",
}
META = "meta"
"""The column for what has no column of its own; our own files hold ``meta`` itself there."""
RESERVED = frozenset(
    [
        "messages",
        "conversation",
        "conversations",
        "dialog",
        "dialogue",
        "chat",
        "turns",
        "对话",
        "消息",
        "system",
        "tools",
        "images",
        "image",
        "instruction",
        "input",
        "output",
        "history",
    ]
)
"""Columns that mean something in one format or another; somebody else's of these names goes into :data:`META`."""
OWN = ("id", "source", "lineage", "split")
"""Keys of ``meta`` that are columns of their own in every format."""


class About:
    """Reads the columns of one mapping that are left when the conversation was read."""

    def __init__(self, mapping: Mapping, used: Collection[str | None]) -> None:
        columns = mapping.columns
        self.used = frozenset(name for name in used if name)
        self.places = {columns.get(part, part): part for part in OWN}

    def read(self, record: dict[str, Any], row: Row) -> None:
        """Put what is left of ``record`` into ``row["meta"]``; nothing where nothing is left."""
        if record.keys() <= self.used:
            return
        meta: dict[str, Any] = row.get("meta", {})
        extra: dict[str, Any] = meta.get("extra", {})
        kept: dict[str, Any] = {}
        for key, value in record.items():
            if key in self.used or value is None:
                continue
            if key == META and (own := _own_meta(value)) is not None:
                kept = own
                continue
            place = self.places.get(key)
            if place == "split":
                name = SPLIT_NAMES.get(value.strip().casefold()) if isinstance(value, str) else None
                if name is not None:
                    meta["split"] = name
                    continue
            elif place is not None:
                if value != "" and (found := plain(value)) is not None:
                    meta[place] = found
                continue
            if value != "" and (found := plain(value)) is not None:
                extra[key] = found
        if kept:
            # What a spreadsheet made text of stands here as it was.
            extra |= kept.pop("extra", {})
            meta |= kept
        if extra:
            meta["extra"] = extra
        if meta:
            row["meta"] = meta


def _own_meta(value: Any) -> dict[str, Any] | None:
    """``value`` where it is the ``meta`` of a row, also as JSON text in a cell; somebody else's column of this name is None."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    if not isinstance(value, dict) or value.get("split", "train") not in SPLITS:
        return None
    if not isinstance(value.get("extra", {}), dict) or not isinstance(value.get("turns", {}), dict):
        return None
    found: dict[str, Any] = plain(value)
    return found


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: dates and large numbers become text, what is no number nothing."""
    kind = type(value)
    if kind is str or kind is bool:
        return value
    try:
        return orjson.loads(orjson.dumps(value, default=_text, option=orjson.OPT_NON_STR_KEYS))
    except (TypeError, ValueError):
        return str(value)


def _text(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return f"{len(value)} bytes" if isinstance(value, (bytes, bytearray)) else str(value)


def write(row: Row, record: dict[str, Any], taken: Callable[[str], bool] = RESERVED.__contains__) -> dict[str, Any]:
    """Add what is known of ``row`` to its ``record``; ``taken``: whether a column of this name means something."""
    meta = row.get("meta")
    if not meta:
        return record
    rest: dict[str, Any] = {}
    hidden: dict[str, Any] = {}
    for key, value in meta.items():
        if key == "extra" and isinstance(value, dict):
            for name, each in value.items():
                if name in record or taken(name) or name in OWN or name == META or each is None or each == "":
                    hidden[name] = each
                else:
                    record[name] = each
        elif key in OWN and value is not None and value != "" and record.get(key, value) == value:
            record[key] = value
        else:
            rest[key] = value
    if hidden:
        rest["extra"] = hidden
    if rest:
        record[META] = rest
    return record
