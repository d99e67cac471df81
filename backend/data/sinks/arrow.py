"""Parquet, and the folder that ``datasets.load_from_disk`` opens: Arrow either way.

Turns are lists of structs, so that every tool finds role and content; what differs from row to row in its shape (calls, functions that
were offered, ``meta``) is JSON text, as Hugging Face advises.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.data.sinks.spool import Column, Spool, cell_text

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1000
BATCH_BYTES = 16 << 20


def schema_of(columns: list[Column]) -> pa.Schema:
    """The Arrow schema of a table."""
    import pyarrow as pa

    simple = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    simple |= {"strings": pa.list_(pa.string()), "pairs": pa.list_(pa.list_(pa.string()))}
    fields = []
    for column in columns:
        if column.keys is not None:
            inner = [pa.field(key, simple[kind]) for key, kind in column.keys.items()]
            fields.append(pa.field(column.name, pa.list_(pa.struct(inner))))
        else:
            fields.append(pa.field(column.name, simple[column.kind]))
    return pa.schema(fields)


class _ArrowSink:
    """What both have in common: records from the spool, in batches that fit into memory."""

    def __init__(self, path: Path, to: str, notes: Counter[str]) -> None:
        self._path = path
        self._spool = Spool(path.with_name("spool"), to, notes)
        self._notes = notes
        self.add, self.discard = self._spool.add, self._spool.discard

    def _write(self, columns: list[Column], schema: pa.Schema, pulse: Callable[[], None], out: Any) -> None:
        """Give batches to ``out(split, batch)``."""
        import pyarrow as pa

        waiting: dict[str, list[dict[str, Any]]] = {}
        sizes: Counter[str] = Counter()
        for split, record in self._spool.records(pulse):
            key = self._part(split)
            waiting.setdefault(key, []).append({column.name: self._value(record, column) for column in columns})
            sizes[key] += sum(len(value) for value in record.values() if isinstance(value, str)) + 200
            sizes[key] += sum(_size(record[column.name]) for column in columns if column.keys and column.name in record)
            if len(waiting[key]) >= BATCH_ROWS or sizes[key] > BATCH_BYTES:
                out(key, pa.RecordBatch.from_pylist(waiting.pop(key), schema=schema))
                sizes[key] = 0
        for key, left in waiting.items():
            out(key, pa.RecordBatch.from_pylist(left, schema=schema))

    def _part(self, split: str) -> str:
        return ""

    def _value(self, record: dict[str, Any], column: Column) -> Any:
        value = record.get(column.name)
        if value is None:
            return None
        if column.keys is not None:
            texts = [key for key, kind in column.keys.items() if kind == "text"]
            return [
                turn
                if all(type(turn.get(key)) is str for key in texts)
                else {**turn, **{key: cell_text(turn[key]) for key in texts if key in turn and turn[key] is not None}}
                for turn in value
            ]
        if column.kind == "strings":
            return [value] if isinstance(value, str) else value
        if column.kind == "text" and not isinstance(value, str):
            self._notes["values_as_text"] += 1
            return cell_text(value)
        return value


def _size(turns: list[dict[str, Any]]) -> int:
    return sum(len(value) for turn in turns for value in turn.values() if isinstance(value, str))


class ParquetSink(_ArrowSink):
    """One Parquet file."""

    def close(self, pulse: Callable[[], None]) -> None:
        """See :class:`backend.data.sinks.Sink`."""
        import pyarrow.parquet as pq

        columns = self._spool.columns()
        schema = schema_of(columns)
        with pq.ParquetWriter(self._path, schema, compression="zstd") as writer:
            self._write(columns, schema, pulse, lambda _key, batch: writer.write_batch(batch))


class HfSink(_ArrowSink):
    """A folder as ``Dataset.save_to_disk`` writes it; as ``DatasetDict`` does, where rows are of more than one split."""

    def _part(self, split: str) -> str:
        return split if len(self._spool.splits) > 1 else ""

    def close(self, pulse: Callable[[], None]) -> None:
        """See :class:`backend.data.sinks.Sink`."""

        self._path.mkdir()
        columns = self._spool.columns()
        schema = schema_of(columns)
        with ExitStack() as stack:
            writers: dict[str, Any] = {}

            def out(key: str, batch: pa.RecordBatch) -> None:
                if key not in writers:
                    writers[key] = stack.enter_context(stream(self._path / key, schema))
                writers[key].write_batch(batch)

            self._write(columns, schema, pulse, out)
            if not writers:
                stack.enter_context(stream(self._path, schema))
        parts = list(writers) or [""]
        for part in parts:
            split = part or next(iter(self._spool.splits), "train")
            tell(self._path / part, split)
        if "" not in parts:
            (self._path / "dataset_dict.json").write_text(json.dumps({"splits": parts}), encoding="utf-8")


DATA = "data-00000-of-00001.arrow"


def stream(folder: Path, schema: pa.Schema) -> Any:
    """The file of rows in ``folder``, to be written in batches and closed."""
    import pyarrow as pa

    folder.mkdir(exist_ok=True)
    return pa.ipc.new_stream(str(folder / DATA), schema)


def tell(folder: Path, split: str | None) -> None:
    """The two files that ``datasets`` writes beside the rows (``Dataset.save_to_disk``); ``split``: None for one that is of none."""
    data = folder / DATA
    with data.open("rb") as file:
        fingerprint = hashlib.file_digest(file, "md5").hexdigest()[:16]
    state: dict[str, Any] = {
        "_data_files": [{"filename": DATA}],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")
    info = {"citation": "", "description": "", "features": None, "homepage": "", "license": ""}
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2), encoding="utf-8")
