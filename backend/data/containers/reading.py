"""One part read: what it is, and the reader for that; packed ones unpacked on the way."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from backend.data.containers import archive, columnar, document, lines, sniff, table, text, workbook
from backend.data.containers.encodings import CHUNK, NAMES, Text
from backend.data.containers.parts import Counted, Meter, Part, Readable
from backend.data.containers.records import Context, Item
from backend.data.containers.unpacked import Unpacked
from backend.errors import DataError
from backend.i18n import N_


@dataclass
class Told:
    """What was found out about the first part."""

    kind: str = ""
    encoding: str = ""


def read(
    part: Part, context: Context, meter: Meter, unpacked: Unpacked, told: Told, options: Options
) -> Iterator[Item]:
    """Items of ``part``.

    Raises:
        DataError: the part as a whole cannot be read.
        OSError, EOFError, zlib.error, zipfile.BadZipFile: it stopped on the way.
    """
    with part.open() as file:
        counted = Counted(file, meter)
        head, stream = _begin(counted)
        kind = sniff.by_magic(head, part.name)
        packed = kind == "gzip"
        if packed:
            head, stream = _begin(_Unzipped(_Joined(head, stream), part.name, meter))
            kind = sniff.by_magic(head, part.name)
        if kind is None:
            yield from _text(part, context, stream, head, told, options)
            return
        path = unpacked.keep(part.name[:-3], _Joined(head, stream)) if packed else part.local()
    if kind == "zip":
        kind = "excel" if workbook.is_workbook(path) else "zip"
    _name(kind, part, context, told)
    if kind == "excel":
        yield from workbook.read(path, part.name, context, options.sheet)
    elif kind in ("parquet", "arrow"):
        yield from columnar.read(path, part.name, kind, context, unpacked)
    else:
        raise _other(part.name)


@dataclass(frozen=True)
class Options:
    """What a person chose: a sheet of Excel files, the encoding of text."""

    sheet: str | None = None
    encoding: str | None = None


def _text(part: Part, context: Context, stream: Readable, head: bytes, told: Told, options: Options) -> Iterator[Item]:
    whole = len(head) < CHUNK
    decoded = Text(stream.read, head, context.notices, part.name, options.encoding)
    kind, delimiter = sniff.by_text(decoded.head, part.name, whole)
    _name(kind, part, context, told)
    told.encoding = told.encoding or NAMES.get(decoded.encoding, decoded.encoding)
    chunks = iter(decoded)
    if b"\r" in decoded.head and b"\n" not in decoded.head:  # as old Macs ended lines
        chunks = (chunk.replace(b"\r", b"\n") for chunk in chunks)
    if kind == "json":
        return document.read(chunks, context)
    if kind == "jsonl":
        return lines.read(chunks, context)
    if kind == "text":
        return text.read(chunks, context, decoded.head)
    return table.read(chunks, context, delimiter)


def _name(kind: str, part: Part, context: Context, told: Told) -> None:
    """Say so where the extension means something else."""
    told.kind = told.kind or kind
    suffix = sniff.extension(part.name)
    named = sniff.EXTENSIONS.get(suffix)
    if named in (None, kind) or {named, kind} in ({"json", "jsonl"}, {"csv", "tsv"}):
        return
    context.notices.note(
        "data_extension_wrong",
        N_("{name} ends in {suffix} but holds {kind}: it was read as what it holds."),
        name=part.name,
        suffix=suffix,
        kind=sniff.KINDS[kind],
        part=context.part,
    )


class _Unzipped:
    """What a ``.gz`` unpacks to; stops when that is more than a dataset can be packed to."""

    def __init__(self, packed: Readable, name: str, meter: Meter) -> None:
        self._file = gzip.GzipFile(fileobj=cast(io.BufferedReader, packed), mode="rb")
        self._name = name
        self._meter = meter
        self._given = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes."""
        data = self._file.read1(size)  # read() would lose what comes before a damaged place
        self._given += len(data)
        if archive.suspicious(self._given, self._meter.used):
            raise DataError(
                "data_zip_bomb",
                N_("{name} is refused: it unpacks from {packed} MB to more than {total} MB."),
                N_("Datasets do not look like this. If you trust it, unpack it yourself and import the folder."),
                name=self._name,
                packed=round(self._meter.used / 1e6, 1),
                total=round(self._given / 1e6),
            )
        return data


class _Joined:
    """``head``, then the rest of a stream."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes."""
        if self._head:
            found, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
            return found
        return self._rest.read(size)


class _Failed:
    """A stream that stopped: what was read before is used first."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int = -1, /) -> bytes:
        """Raises."""
        raise self._error


def _begin(stream: Readable) -> tuple[bytes, Readable]:
    """The first megabyte (less only where nothing follows) and the stream of the rest."""
    found = bytearray()
    try:
        while len(found) < CHUNK and (more := stream.read(CHUNK - len(found))):
            found += more
    except STOPPED as error:
        if not found:
            raise
        return bytes(found), _Failed(error)
    return bytes(found), stream


def _other(name: str) -> DataError:
    return DataError(
        "data_other_kind",
        N_("{name} is an archive of another kind, or one within an archive: it is not read."),
        N_("Unpack it, and import the folder; Word files belong to “Documents”."),
        name=name,
    )


STOPPED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What reading raises when a file, or what packs it, ends or fails on the way; the last two are a ZIP's password or packing."""


def stopped(name: str, error: BaseException) -> DataError:
    """Reading ended before the file did."""
    problem = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return DataError(
        "data_unreadable",
        N_("{name} cannot be read to its end: {problem}."),
        N_("The rows before were read. Copy the file again; perhaps it was cut off on its way."),
        name=name,
        problem=problem.rstrip("."),
    )
