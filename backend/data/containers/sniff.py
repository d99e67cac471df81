"""What a file is, by its content; its name is only believed where the content leaves it open."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import orjson

from backend.data.containers import table
from backend.errors import DataError
from backend.i18n import N_

EXTENSIONS = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "text",
    ".md": "text",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".ods": "excel",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".zip": "zip",
    ".gz": "gzip",
}
KINDS = {
    "json": "JSON",
    "jsonl": "JSON Lines",
    "csv": "CSV",
    "tsv": "TSV",
    "text": "text",
    "excel": "Excel",
    "parquet": "Parquet",
    "arrow": "Arrow",
    "zip": "ZIP",
    "gzip": "gzip",
}
_MAGIC = (
    (b"PAR1", "parquet"),
    (b"ARROW1\0\0", "arrow"),
    (b"\xff\xff\xff\xff", "arrow"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "excel"),
)
_OTHERS = (
    (b"%PDF", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"Rar!", "RAR"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"SQLite format 3", "SQLite"),
    (b"\x7fELF", "ELF"),
    (b"\x80\x04\x95", "pickle"),
)
NUMBERS = re.compile(r"(\d+)")
_LIST = re.compile(rb'\[\s*([\[{"\]\d-]|true|false|null|$)')


def extension(name: str) -> str:
    """``.jsonl`` of ``rows.jsonl.gz``: in lower case, without what only packs."""
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix == ".gz" else path.suffix


def by_magic(head: bytes, name: str) -> str | None:
    """The kind of a binary file; None for what may be text.

    Raises:
        DataError: ``data_other_kind``: something that holds no rows.
    """
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    found = next((kind for magic, kind in _OTHERS if head.startswith(magic)), None)
    if found is None and head[257:262] == b"ustar":
        found = "tar"
    if found is not None:
        raise DataError(
            "data_other_kind",
            N_("{name} is a {kind} file: it holds no rows that can be read here."),
            N_(
                "Rows come as JSON, JSON Lines, CSV, TSV, Excel, Parquet, or as a .zip or folder of these; unpack others."
            ),
            name=name,
            kind=found,
        )
    return None


def by_text(head: bytes, name: str, whole: bool) -> tuple[str, str]:
    """(kind, separator of a table) of the UTF-8 text that begins with ``head``; ``whole``: nothing follows it.

    Raises:
        DataError: ``data_empty``, ``data_binary``, ``data_web_page``, ``data_lfs_pointer``, ``data_not_json``.
    """
    named = EXTENSIONS.get(extension(name), "")
    start = head.lstrip()
    _refuse(head, start, name, whole)
    if start[:1] == b"[" and (_LIST.match(start) or named in ("json", "jsonl")):
        return ("jsonl" if _one_a_line(start, whole, named == "jsonl") else "json"), ""
    if start[:1] == b"{":
        return ("jsonl" if _one_a_line(start, whole, named == "jsonl") else "json"), ""
    if named in ("json", "jsonl") and _some_objects(head):
        return "jsonl", ""
    text = head[: 1 << 18].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    delimiter = table.separator(text, whole)
    if named in ("csv", "tsv"):
        delimiter = delimiter or ("\t" if named == "tsv" else ",")
        return ("tsv" if delimiter == "\t" else "csv"), delimiter
    if delimiter == "\t" or (delimiter and named != "text"):
        return ("tsv" if delimiter == "\t" else "csv"), delimiter
    if named in ("json", "jsonl"):
        raise DataError(
            "data_not_json",
            N_("{name} is named as JSON, but begins with “{text}”, which is none."),
            N_("A JSON file begins with [ or {{. Export it again, or give it the extension of what it is."),
            name=name,
            text=start[:40].decode("utf-8", "replace"),
        )
    return "text", ""


def _refuse(head: bytes, start: bytes, name: str, whole: bool) -> None:
    if whole and not start:
        raise DataError(
            "data_empty",
            N_("{name} is empty."),
            N_("Export or copy it again; an interrupted copy leaves such a file."),
            name=name,
        )
    if not start:
        raise DataError(
            "data_empty",
            N_("{name} begins with a megabyte of blanks: it holds no rows."),
            N_("Export or copy it again; an interrupted copy leaves such a file."),
            name=name,
        )
    if start[:1] not in b"[{" and head.count(0) > 0.1 * len(head):
        raise DataError(
            "data_binary",
            N_("{name} is no text: {share} % of its beginning are NUL bytes."),
            N_("A crash or a full disk leaves such files behind: copy it again from where it came."),
            name=name,
            share=round(100 * head.count(0) / len(head)),
        )
    low = start[:100].lower()
    if low.startswith((b"<!doctype html", b"<html")):
        raise DataError(
            "data_web_page",
            N_("{name} is a web page, not a file of rows."),
            N_(
                "A download link often gives a page to log in or to confirm: open it in the browser and save the file itself."
            ),
            name=name,
        )
    if low.startswith(b"version https://git-lfs"):
        raise DataError(
            "data_lfs_pointer",
            N_("{name} only says where the real file is kept (Git LFS)."),
            N_("Fetch the real one with `git lfs pull`, or download it from the page of the dataset."),
            name=name,
        )


def _one_a_line(start: bytes, whole: bool, named: bool) -> bool:
    """Whether JSON text holds one value a line."""
    first, end, rest = start.partition(b"\n")
    if not end:
        return named and not (whole and first[:1] == b"[")
    try:
        orjson.loads(first.rstrip(b" \t\r,"))
    except orjson.JSONDecodeError:
        following = rest.lstrip()[:1]
        return following == first[:1] == b"{" or (named and len(first.strip()) > 1 and following in (b"{", b""))
    return bool(rest.strip()) or (named and first[:1] == b"{")


def _some_objects(head: bytes) -> bool:
    """Whether one of the first lines is an object: the first is damaged, the rest are rows."""
    for line in head.split(b"\n")[:20]:
        if line[:1] == b"{":
            try:
                return isinstance(orjson.loads(line), dict)
            except orjson.JSONDecodeError:
                continue
    return False
