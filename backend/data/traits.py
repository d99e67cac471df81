"""What rows are told apart by, where parts of a dataset are to be alike or equally large: language, source, or a field of ``meta``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from backend.data.doctor.language import language as script
from backend.data.rows import Row, split_of

LANGUAGE, SPLIT, SOURCE = "language", "split", "source"
MOST_VALUES = 50
"""A field with more different values tells every row from every other one: nothing to balance by."""
LOOKED_AT = 1_000


def trait(row: Row, by: str) -> str:
    """The value of ``row`` for ``by``: :data:`LANGUAGE`, :data:`SPLIT`, or a field of ``meta``; empty where it has none."""
    if by == LANGUAGE:
        return language(row)
    if by == SPLIT:
        return split_of(row)
    value = (row.get("meta") or {}).get(by)
    if value is None:
        value = ((row.get("meta") or {}).get("extra") or {}).get(by)
    return "" if value is None else str(value)


def with_meta(row: Row, field: str, value: Any) -> Row:
    """``row`` with ``field`` of its ``meta`` set; None or an empty text takes it away, as does ``train`` for the split: that is
    what stands in training rows, nothing."""
    meta = {key: known for key, known in (row.get("meta") or {}).items() if key != field}
    if value not in (None, "") and (field, value) != (SPLIT, "train"):
        meta[field] = value
    new: Row = {**row, "meta": meta}
    if not meta:
        del new["meta"]
    return new


def language(row: Row) -> str:
    """The script that the conversation is written in; see :func:`backend.data.doctor.language.language`."""
    return script(" ".join(m["content"] for m in row["messages"] if m["role"] in ("user", "assistant")))


def fields(rows: Iterable[Row]) -> list[str]:
    """What ``rows`` (the beginning of a dataset) can be told apart by: at least two values, and few enough to be kinds."""
    values: dict[str, Counter[str]] = {}
    count = 0
    for row in rows:
        count += 1
        meta = row.get("meta") or {}
        extra = meta.get("extra")
        known = {
            **(extra if isinstance(extra, dict) else {}),
            **{k: v for k, v in meta.items() if k not in ("extra", SPLIT)},
        }
        for name, value in known.items():
            if isinstance(value, str | int | bool):
                values.setdefault(str(name), Counter())[str(value)] += 1
        values.setdefault(LANGUAGE, Counter())[language(row)] += 1
        if count >= LOOKED_AT:
            break
    most = min(MOST_VALUES, max(2, count // 2))
    found = [name for name, seen in values.items() if 2 <= len(seen) + (seen.total() < count) <= most]
    return sorted(found, key=lambda name: (name not in (SOURCE, LANGUAGE), name))
