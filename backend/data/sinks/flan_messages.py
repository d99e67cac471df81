"""Agent-FLAN's files as XTuner reads them from a disk: one Hugging Face dataset whose column ``messages`` is what was ``conversation``, without ``id``.

Records go through as they are: roles, texts and flags stay as the files have them, whatever their names are, and all files become one dataset. Only a
flag that is the word "True" becomes the truth value it means, because one column cannot hold both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from backend.data.rows import line
from backend.data.sinks.arrow import BATCH_BYTES, BATCH_ROWS, schema_of, stream, tell
from backend.data.sinks.spool import Column, Kind
from backend.data.sinks.whole import beside, place, refuse, sync
from backend.errors import DataError
from backend.i18n import N_
from backend.workspace import explain_os_error

NAME = "agent-flan-messages"
SCHEMA = "agent-flan"
TURNS, COLUMN = "conversation", "messages"


def record(value: Mapping[str, Any], number: int) -> dict[str, Any]:
    """``value`` with its column renamed.

    Raises:
        DataError: ``flan_no_conversation``, ``flan_turn_bad``.
    """
    turns = value.get(TURNS)
    if not isinstance(turns, list) or not turns:
        raise DataError(
            "flan_no_conversation",
            N_("Row {number} has no list of turns called 'conversation'."),
            N_("Leave this row out, or import the file as a dataset first: other forms are read there."),
            number=number,
        )
    if not all(isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str) for turn in turns):  # fmt: skip
        raise DataError(
            "flan_turn_bad",
            N_("A turn of row {number} lacks a role or a text."),
            N_("Each turn is written as {{'role': …, 'content': …, 'loss': …}}."),
            number=number,
        )
    rest = {key: each for key, each in value.items() if key not in ("id", TURNS, COLUMN)}
    return {**rest, COLUMN: [_turn(turn) for turn in turns]}


def write(records: Iterable[Mapping[str, Any]], path: Path) -> tuple[int, int]:
    """Write what :func:`record` made to the folder ``path``; (rows, bytes).

    Raises:
        ConflictError: ``export_target_taken``. WorkspaceError: the disk is full or read-only; what was there is as it was.
    """
    refuse(path, "hf")
    try:
        with beside(path) as folder:
            columns, count = _spool(records, folder / "spool")
            written = folder / "rows"
            written.mkdir()
            schema = schema_of(columns)
            with stream(written, schema) as out:
                _batches(folder / "spool", columns, schema, out.write_batch)
            tell(written, None)
            size = sync(written)
            place(written, path, folder)
    except OSError as error:
        raise explain_os_error(error, path.parent) from error
    return count, size


def _turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    loss = turn.get("loss")
    return {**turn, "loss": loss.strip().casefold() == "true"} if isinstance(loss, str) else dict(turn)


def _spool(records: Iterable[Mapping[str, Any]], path: Path) -> tuple[list[Column], int]:
    """The records in a file, because all must be seen before the first can be written; their columns, those of the first record; how many."""
    kinds: dict[str, set[str]] = {}
    keys: dict[str, set[str]] = {}
    count = 0
    with path.open("wb", buffering=1 << 20) as file:
        for each in records:
            if not count:
                kinds = {name: set() for name in each if name != COLUMN}
            for name in kinds:
                kinds[name].add(type(each.get(name)).__name__)
            for turn in each[COLUMN]:
                for key, value in turn.items():
                    keys.setdefault(key, set()).add(type(value).__name__)
            file.write(line(each) + b"\n")  # type: ignore[arg-type]  # any record will do
            count += 1
    columns = [Column(name, _kind(found)) for name, found in kinds.items()]
    turns = {key: _kind(found) for key, found in keys.items()} or {"role": "text", "content": "text"}
    return [*columns, Column(COLUMN, "turns", turns)], count


def _kind(found: set[str]) -> Kind:
    found = found - {"NoneType"}
    if found == {"bool"}:
        return "bool"
    if found == {"int"}:
        return "int"
    return "float" if found and found <= {"int", "float"} else "text"


def _batches(path: Path, columns: list[Column], schema: Any, out: Callable[[Any], None]) -> None:
    import pyarrow as pa

    waiting: list[dict[str, Any]] = []
    size = 0
    for data in _lines(path):
        waiting.append(_fitted(orjson.loads(data), columns))
        size += len(data)
        if len(waiting) >= BATCH_ROWS or size > BATCH_BYTES:
            out(pa.RecordBatch.from_pylist(waiting, schema=schema))
            waiting, size = [], 0
    if waiting:
        out(pa.RecordBatch.from_pylist(waiting, schema=schema))


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=1 << 20) as file:
        yield from file


def _fitted(record: dict[str, Any], columns: list[Column]) -> dict[str, Any]:
    made: dict[str, Any] = {column.name: _value(record.get(column.name), column.kind) for column in columns[:-1]}
    kinds = columns[-1].keys or {}
    made[COLUMN] = [{key: _value(turn.get(key), kind) for key, kind in kinds.items()} for turn in record[COLUMN]]
    return made


def _value(value: Any, kind: Kind) -> Any:
    """A text column holds what differs from row to row as JSON."""
    return value if value is None or kind != "text" or isinstance(value, str) else orjson.dumps(value).decode()
