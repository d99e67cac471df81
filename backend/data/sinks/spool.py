"""Tables need to know their columns before their first line: records wait in a file beside until all have been seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from backend.data import schemas
from backend.data.rows import Row, split_of
from backend.data.schemas.about import META, OWN

Kind = Literal["text", "int", "float", "bool", "turns", "strings", "pairs"]
MAX_COLUMNS = 200
"""Of somebody else's columns; what more there are share the column ``meta``."""
PULSE_EVERY = 500
_OURS: dict[str, Kind] = {
    "messages": "turns",
    "conversations": "turns",
    "conversation": "turns",
    "history": "pairs",
    "images": "strings",
    "image": "strings",
}
_FIRST = ("id", "system", "instruction", "question", "input", "context", "output", "answer", *_OURS, "tools")
_LAST = ("split", "source", META)


@dataclass(frozen=True)
class Column:
    """One column. keys: of the turns in it, and what each of them is."""

    name: str
    kind: Kind
    keys: dict[str, Kind] | None = None


class Spool:
    """Records of rows on the disk, and what is known of their columns."""

    def __init__(self, path: Path, to: str, notes: Counter[str]) -> None:
        self._path = path
        self._file = path.open("wb", buffering=1 << 20)
        self._write_record = schemas.FORMATS[to].write
        self._notes = notes
        self._kinds: dict[str, set[str]] = {}
        self._keys: dict[str, dict[str, set[str]]] = {}
        self._theirs = 0
        self.splits: dict[str, int] = {}

    def add(self, row: Row) -> None:
        """Put ``row`` down."""
        split = split_of(row)
        self.splits[split] = self.splits.get(split, 0) + 1
        meta = dict(row.get("meta", {}))
        turns = meta.pop("turns", None)
        record = self._write_record({**row, "meta": meta})
        beside: dict[str, Any] = record.pop(META, {})
        if turns:
            beside["turns"] = turns
        for name in list(record):
            value = record[name]
            if name in _OURS:
                if _OURS[name] == "turns":
                    self._look(name, value)
            elif not isinstance(value, (str, int, float, bool)) or (
                isinstance(value, int) and not -(2**63) <= value < 2**63
            ):
                if name == "tools":
                    record[name] = orjson.dumps(value).decode()
                else:
                    self._aside(name, record.pop(name), beside)
            elif name not in self._kinds and name not in _FIRST and name not in _LAST:
                if self._theirs == MAX_COLUMNS or not _heading(name):
                    self._aside(name, record.pop(name), beside)
                else:
                    self._theirs += 1
        if beside:
            record[META] = orjson.dumps(beside).decode()
        for name, value in record.items():
            self._kinds.setdefault(name, set()).add(_OURS.get(name) or type(value).__name__)
        self._file.write(orjson.dumps([split, record]) + b"\n")

    @staticmethod
    def _aside(name: str, value: Any, beside: dict[str, Any]) -> None:
        if name in OWN:
            beside[name] = value
        else:
            beside.setdefault("extra", {})[name] = value

    def _look(self, name: str, turns: list[dict[str, Any]]) -> None:
        keys = self._keys.setdefault(name, {})
        for turn in turns:
            for key, value in turn.items():
                keys.setdefault(key, set()).add(type(value).__name__)

    def columns(self) -> list[Column]:
        """All columns in the order of the table; call it when every row was added."""
        if not self._file.closed:
            self._file.close()
        rank = {name: place for place, name in enumerate(_FIRST)}
        last = {name: place for place, name in enumerate(_LAST)}
        order = {name: place for place, name in enumerate(self._kinds)}
        names = sorted(
            self._kinds,
            key=lambda name: (2, last[name]) if name in last else (0, rank[name]) if name in rank else (1, order[name]),
        )
        return [self._column(name) for name in names]

    def _column(self, name: str) -> Column:
        if _OURS.get(name) == "turns":
            kinds: dict[str, Kind] = {}
            for key, found in self._keys.get(name, {}).items():
                kinds[key] = "bool" if found == {"bool"} else "strings" if key == "images" else "text"
            return Column(name, "turns", kinds)
        found = self._kinds[name]
        if name in _OURS:
            return Column(name, _OURS[name])
        simple: dict[str, Kind] = {"int": "int", "float": "float", "bool": "bool"}
        return Column(name, simple.get(next(iter(found)), "text") if len(found) == 1 else "text")

    def records(self, pulse: Callable[[], None]) -> Iterator[tuple[str, dict[str, Any]]]:
        """(split, record) of every row, in their order."""
        with self._path.open("rb", buffering=1 << 20) as file:
            for number, line in enumerate(file):
                if number % PULSE_EVERY == 0:
                    pulse()
                split, record = orjson.loads(line)
                yield split, record

    def discard(self) -> None:
        """Give the room back."""
        with suppress(OSError):  # what it still holds does not fit on a full disk
            self._file.close()
            self._path.unlink(missing_ok=True)


def _heading(name: str) -> bool:
    """Whether ``name`` comes back as it is from the heading of a table."""
    return bool(name) and name == " ".join(name.split()) and name.isprintable() and name[:4].lower() != "sep="


def cell_text(value: Any, kind: Kind = "text") -> str:
    """``value`` as the text of a cell; what is no text is JSON, so that it can be read again."""
    if value is None:
        return ""
    if kind == "strings" and isinstance(value, str) and value.startswith("["):
        value = [value]  # a lone name that would be taken for a list
    return value if isinstance(value, str) else orjson.dumps(value).decode()
