"""Parquet and Arrow, as Hugging Face keeps datasets: read by the batch, each value as JSON has it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.data.containers.records import Context, Item, Record
from backend.data.containers.unpacked import Unpacked, picture_suffix
from backend.errors import DataError
from backend.i18n import N_

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 256


def read(path: Path, name: str, kind: str, context: Context, unpacked: Unpacked) -> Iterator[Item]:
    """Records of the file ``path``, called ``name``. Pictures within become files, and their place in the row a reference.

    Raises:
        DataError: ``data_columnar_broken``.
    """
    import pyarrow as pa

    try:
        schema, batches, total = _parquet(path) if kind == "parquet" else _arrow(path)
        context.columns = list(schema.names)
        convert = _converter(schema, context, unpacked)
        number = context.first - 1
        done = 0
        for batch in batches:
            batch.validate(full=True)  # offsets that lead out of the file, texts that are none
            for start in range(0, batch.num_rows, BATCH_ROWS):
                rows = batch.slice(start, BATCH_ROWS).to_pylist()
                context.fraction = min(1.0, done / total) if total else 0.0
                done += len(rows)
                for value in rows:
                    number += 1
                    row = convert(value) if convert else value
                    yield Record(number, row, context.part, context.fraction, context.split)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            "data_columnar_broken",
            N_("{name} is a damaged {kind} file: {problem}."),
            N_("It was probably cut off while it was copied: copy or download it again."),
            name=name,
            kind="Parquet" if kind == "parquet" else "Arrow",
            problem=str(error).splitlines()[0][:200].rstrip("."),
        ) from None


def _parquet(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch], int]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path, pre_buffer=False)
    return file.schema_arrow, file.iter_batches(BATCH_ROWS, use_threads=False), file.metadata.num_rows


def _arrow(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch], int]:
    import pyarrow as pa

    source = pa.OSFile(str(path))  # not mapped: a file cut short while it is read would end this process
    if source.read(6) == b"ARROW1":
        file = pa.ipc.open_file(source)
        batches = (file.get_batch(at) for at in range(file.num_record_batches))
        return file.schema, batches, 0
    source.seek(0)
    stream = pa.ipc.open_stream(source)
    return stream.schema, iter(stream), 0


def _converter(
    schema: pa.Schema, context: Context, unpacked: Unpacked
) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """What makes a row JSON-able; None where all of its types are."""
    strange = {field.name for field in schema if _strange(field.type)}
    if not strange:
        return None

    def convert(row: dict[str, Any]) -> dict[str, Any]:
        for name in strange:
            row[name] = _plain(row[name], name, context, unpacked)
        return row

    return convert


def _strange(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(_strange(kind.field(at).type) for at in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _strange(kind.value_type)
    plain = (
        types.is_string,
        types.is_large_string,
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_null,
    )
    return not any(test(kind) for test in plain)


def _plain(value: Any, name: str, context: Context, unpacked: Unpacked) -> Any:
    if isinstance(value, dict):
        if set(value) == {"bytes", "path"}:  # the Image and Audio features of Hugging Face's datasets
            return _binary(value["bytes"], name, context, unpacked) if value["bytes"] else value["path"]
        return {key: _plain(item, name, context, unpacked) for key, item in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return {str(key): _plain(item, name, context, unpacked) for key, item in value}  # a map
        return [_plain(item, name, context, unpacked) for item in value]
    if isinstance(value, bytes):
        return _binary(value, name, context, unpacked)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal | dt.timedelta):
        return str(value)
    return value


def _binary(data: bytes, name: str, context: Context, unpacked: Unpacked) -> str | None:
    try:
        picture_suffix(data, "")
    except DataError:
        try:
            return data.decode()
        except UnicodeDecodeError:
            context.notices.note(
                "data_binary_left",
                N_("The column “{column}” holds bytes that are neither text nor a picture: they were left out."),
                column=name,
                part=context.part,
            )
            return None
    return unpacked.picture(data)
