"""How large a document may be, and the sentences for one that cannot be read.

A document is read whole, so its size is bounded: by its bytes, by what it unpacks to, and by the text that comes out.
"""

from __future__ import annotations

from backend.errors import DataError
from backend.i18n import N_

MAX_BYTES = 100 << 20
MAX_HTML_BYTES = 20 << 20
"""Its tree takes many times its size, and some seconds for each MB."""
MAX_TEXT_CHARS = 20_000_000
"""About 20 thick books; a chunk of 1,500 characters makes 13,000 questions to the model of it."""
MAX_PAGES = 5_000
MAX_PARTS = 10_000
MAX_UNPACKED_BYTES = 400 << 20
MAX_RATIO = 200
"""Text in XML packs to a tenth; what packs to less than a two-hundredth is made to fill a memory."""


def too_large(name: str, size: int, limit: int) -> DataError:
    return DataError(
        "document_too_large",
        N_("'{name}' has {size} MiB; a document may have at most {limit} MiB."),
        N_("Take the chapters that matter, or save it without its pictures."),
        name=name,
        size=f"{size / (1 << 20):,.0f}",
        limit=limit >> 20,
    )


def too_long(name: str) -> DataError:
    return DataError(
        "document_too_long",
        N_("'{name}' is longer than what is read of one document ({limit} characters)."),
        N_("Divide it into several files."),
        name=name,
        limit=f"{MAX_TEXT_CHARS:,}",
    )


def bomb(name: str) -> DataError:
    return DataError(
        "document_zip_bomb",
        N_("'{name}' unpacks to far more than a document holds; it was not opened."),
        N_("If it is a real document, open it in its own program and save it again."),
        name=name,
    )


def broken(name: str, problem: object) -> DataError:
    return DataError(
        "document_broken",
        N_("'{name}' is damaged and cannot be read: {problem}"),
        N_("Open it in its own program and save it again, or get it once more."),
        name=name,
        problem=" ".join(str(problem).split())[:200] or type(problem).__name__,
    )


def encrypted(name: str) -> DataError:
    return DataError(
        "document_encrypted",
        N_("'{name}' is protected by a password."),
        N_("Save a copy without a password, and take that."),
        name=name,
    )


def empty(name: str) -> DataError:
    return DataError(
        "document_empty", N_("There is no text in '{name}'."), N_("Choose a document that holds text."), name=name
    )


def scanned(name: str, pages: int) -> DataError:
    return DataError(
        "document_scanned",
        N_("'{name}' was scanned: its pages ({pages}) are pictures and hold no text."),
        N_("Run it through a program that recognizes text (OCR), such as ocrmypdf, and take its result."),
        name=name,
        pages=pages,
    )


def unknown(name: str, holds: str) -> DataError:
    return DataError(
        "document_unknown",
        N_("'{name}' is no document that can be read here ({holds})."),
        N_("Save it as PDF, DOCX, Markdown, HTML or plain text."),
        name=name,
        holds=holds,
    )
