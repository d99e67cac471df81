"""One file as a document: what it is, told by what it holds rather than by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from backend.data.documents import docx, html, limits, markdown, pdf, plain
from backend.data.documents.document import Block, Document
from backend.errors import DataError
from backend.i18n import N_

TYPES = ("pdf", "docx", "md", "markdown", "txt", "text", "html", "htm", "xhtml")
"""Endings of files that are looked for in a folder, and offered for upload."""
MAX_FILES = 2_000
_HTML_START = re.compile(
    rb"\A\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)


def read(path: str | Path, name: str | None = None, *, most_pages: int | None = None) -> Document:
    """The file ``path``; ``name``: what people call it, where that is not the file's name.

    Args:
        most_pages: read only so many pages of a PDF, which take about 20 ms each; for a preview.

    Raises:
        DataError: ``document_missing``, ``document_unreadable``, or one of :mod:`backend.data.documents.limits`.
    """
    path = Path(path)
    name = name or path.name
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise _missing(path)
        if size > limits.MAX_BYTES:
            raise limits.too_large(name, size, limits.MAX_BYTES)
        data = path.read_bytes()
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise DataError(
            "document_unreadable",
            N_("{path} cannot be read: {problem}."),
            N_("Give the panel's user permission to read it."),
            path=str(path),
            problem=error.strerror or str(error),
        ) from error
    return read_bytes(data, name, most_pages=most_pages)


def read_bytes(data: bytes, name: str, *, most_pages: int | None = None) -> Document:
    """What people gave, as a document; raises as :func:`read`."""
    if len(data) > limits.MAX_BYTES:
        raise limits.too_large(name, len(data), limits.MAX_BYTES)
    if not data.strip(b" \t\r\n\f\0"):
        raise limits.empty(name)
    kind = _kind(name, data)
    notices: list[DataError] = []
    pages: int | None = None
    found: list[Block]
    if kind == "pdf":
        found, notices, pages = pdf.blocks(name, data, most_pages)
    elif kind == "docx":
        found = docx.blocks(name, data)
    elif kind == "html":
        if len(data) > limits.MAX_HTML_BYTES:
            raise limits.too_large(name, len(data), limits.MAX_HTML_BYTES)
        found = html.blocks(data)
    else:
        text = plain.decoded(name, data)
        found = markdown.blocks(text) if kind == "markdown" else plain.blocks(text)
    if not found:
        raise limits.empty(name)
    document = Document(name, kind, tuple(found), (*_surprise(name, kind), *notices), pages)
    if len(document.text) > limits.MAX_TEXT_CHARS:
        raise limits.too_long(name)
    return document


def gather(paths: Sequence[str | Path]) -> list[Path]:
    """The files that ``paths`` name, each once; of a folder all documents below it, sorted, links left out.

    Raises:
        DataError: ``document_missing``, ``documents_none``, ``documents_too_many``.
    """
    found: dict[Path, None] = {}
    for each in paths:
        path = Path(each).expanduser()
        if path.is_dir():
            found |= dict.fromkeys(_below(path))
        elif path.is_file():
            found[path] = None
        else:
            raise _missing(path)
        if len(found) > MAX_FILES:
            raise DataError(
                "documents_too_many",
                N_("These are more than {limit} documents."),
                N_("Name a folder further below, or make several datasets and mix them."),
                limit=f"{MAX_FILES:,}",
            )
    if not found:
        raise DataError(
            "documents_none",
            N_("There is no document in {path}."),
            N_("Name a folder with files that end in one of: {types}."),
            path=", ".join(map(str, paths)) or "-",
            types=", ".join(TYPES),
        )
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            path = Path(place, file)
            if (
                path.suffix.lower().removeprefix(".") in TYPES
                and not file.startswith((".", "~$"))
                and not path.is_symlink()
            ):
                yield path


def _kind(name: str, data: bytes) -> str:
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "docx"
    if data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        # The old formats, and the wrapping in which Word keeps a document with a password.
        if b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e" in data:
            raise limits.encrypted(name)
        raise limits.unknown(name, "Microsoft Office 97-2003")
    if data[:5] == b"{\\rtf":
        raise limits.unknown(name, "RTF")
    ending = name.rpartition(".")[2].lower()
    if ending in ("html", "htm", "xhtml") or _HTML_START.match(data[:4096]):
        return "html"
    return "markdown" if ending in ("md", "markdown") else "text"


def _surprise(name: str, kind: str) -> list[DataError]:
    """Where the name says something else than the content."""
    named = {
        "pdf": "pdf",
        "docx": "docx",
        "htm": "html",
        "html": "html",
        "xhtml": "html",
        "md": "markdown",
        "markdown": "markdown",
    }
    ending = name.rpartition(".")[2].lower()
    if ending not in (*TYPES, "doc") or named.get(ending, "text") == kind:
        return []
    return [
        DataError(
            "document_not_what_it_says",
            N_("'{name}' is named like another kind of file; it was read as {kind}."),
            name=name,
            kind=kind,
        )
    ]


def _missing(path: Path) -> DataError:
    return DataError(
        "document_missing",
        N_("There is no file {path}."),
        N_("Check the path: it must lie on this server, not on your own computer."),
        path=str(path),
    )
