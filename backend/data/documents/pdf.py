"""PDF: the text of each page, its lines joined to paragraphs; headings from the bookmarks, where the file has some.

Covered: page numbers, running titles and page numbers in the margin (left out), words divided at the end of a line, files
with an owner's password only. Not covered: reading the text in pictures (it is told), columns in an unusual order.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, Any

from backend.data.documents import limits
from backend.data.documents.document import Block
from backend.errors import DataError
from backend.i18n import N_

if TYPE_CHECKING:
    from pypdf import PdfReader

_CJK = r"\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef"
_ENDS = re.compile(r"[.!?:。！？：…]['\")\]”’」』）]*$")
_REPEATED = 0.6
"""A line at the edge of so many of the pages is a running title."""


def blocks(name: str, data: bytes, most: int | None = None) -> tuple[list[Block], list[DataError], int]:
    """The blocks of a PDF, what should be known of it, and how many pages it has. most: read only so many of them.

    Raises:
        DataError: ``document_encrypted``, ``document_broken``, ``document_scanned``, ``document_too_long``.
    """
    import pypdf
    from pypdf.errors import DependencyError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of each flaw that it has got over
    try:
        reader = pypdf.PdfReader(BytesIO(data))
        # An owner's password forbids printing, not reading: such a file opens with none.
        if reader.is_encrypted and not reader.decrypt(""):
            raise limits.encrypted(name)
        total = len(reader.pages)
        pages, bare = _pages(name, reader, min(total, most or total))
        titles = _titles(reader)
    except DataError:
        raise
    except DependencyError as error:
        raise limits.encrypted(name) from error
    except RecursionError as error:
        raise limits.broken(name, "nested too deeply") from error
    except (
        PyPdfError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OSError,
        NotImplementedError,
        AssertionError,
        MemoryError,
    ) as error:
        raise limits.broken(name, error) from error
    if not any(pages):
        raise limits.scanned(name, len(pages)) if bare else limits.empty(name)
    found = []
    for number, lines in enumerate(_without_margins(pages, titles), 1):
        found += _paragraphs(lines, number, titles.get(number, set()))
    return found, _notices(name, bare, len(pages)), total


def _pages(name: str, reader: PdfReader, count: int) -> tuple[list[list[str]], list[int]]:
    """The lines of the first ``count`` pages, and the numbers of those that have pictures and no text."""
    if len(reader.pages) > limits.MAX_PAGES:
        raise limits.too_long(name)
    pages: list[list[str]] = []
    bare, chars = [], 0
    for number in range(1, count + 1):
        page = reader.pages[number - 1]
        text = page.extract_text() or ""
        chars += len(text)
        if chars > limits.MAX_TEXT_CHARS:
            raise limits.too_long(name)
        lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in text.replace("\0", "").split("\n")]
        pages.append(lines if any(lines) else [])
        if not any(lines) and _has_pictures(page):
            bare.append(number)
    return pages, bare


def _has_pictures(page: Any) -> bool:
    """Whether a page shows a picture; by its resources, without unpacking any."""
    resources = page.get("/Resources")
    objects = resources.get_object().get("/XObject") if resources is not None else None
    return bool(objects is not None and objects.get_object())


def _titles(reader: PdfReader) -> dict[int, set[str]]:
    """page -> its bookmarks, folded. A file whose bookmarks are damaged has none."""
    found: dict[int, set[str]] = {}

    def take(items: list[Any]) -> None:
        for item in items:
            if isinstance(item, list):
                take(item)
            elif (page := reader.get_destination_page_number(item)) is not None and page >= 0:
                found.setdefault(page + 1, set()).add(_folded(str(item.title)))

    try:
        take(reader.outline)
    except Exception:
        logging.getLogger(__name__).debug("bookmarks unreadable", exc_info=True)
    return found


def _folded(line: str) -> str:
    return re.sub(r"\W+", "", line).casefold()


def _without_margins(pages: list[list[str]], titles: dict[int, set[str]]) -> list[list[str]]:
    """The pages without the lines that stand at the top or bottom of most of them, but for their numbers; a heading stays on
    the page that its bookmark leads to."""
    edges: Counter[str] = Counter()
    trimmed = [list(page) for page in pages]
    for page in trimmed:
        while page and not page[0]:
            page.pop(0)
        while page and not page[-1]:
            page.pop()
        edges.update({_shape(line) for line in (page[:1] + page[-1:])})
    filled = sum(map(bool, trimmed))
    running = {shape for shape, count in edges.items() if filled >= 3 and count >= _REPEATED * filled}
    for number, page in enumerate(trimmed, 1):
        if len(page) > 1 and _shape(page[0]) in running and _folded(page[0]) not in titles.get(number, set()):
            page.pop(0)
        if len(page) > 1 and _shape(page[-1]) in running:
            page.pop()
    return trimmed


def _shape(line: str) -> str:
    return re.sub(r"\d+", "0", line)


def _paragraphs(lines: list[str], page: int, titles: set[str]) -> list[Block]:
    widest = max(map(len, lines), default=0)
    found: list[Block] = []
    held = ""
    for line in [*lines, ""]:
        title = bool(line) and _folded(line) in titles
        if (not line or title) and held:
            found.append(Block(held, page=page))
            held = ""
        if title:
            found.append(Block(line, level=1, page=page))
        elif line:
            held = _joined(held, line)
            if len(line) < 0.7 * widest and _ENDS.search(line):
                found.append(Block(held, page=page))
                held = ""
    return found


def _joined(before: str, line: str) -> str:
    if not before:
        return line
    if re.search(r"[a-zà-ÿ]-$", before) and re.match(r"[a-zà-ÿ]", line):
        return before[:-1] + line
    if re.search(f"[{_CJK}]$", before) and re.match(f"[{_CJK}]", line):
        return before + line
    return f"{before} {line}"


def _notices(name: str, bare: list[int], pages: int) -> list[DataError]:
    if not bare:
        return []
    return [
        DataError(
            "document_pages_scanned",
            N_("{count} of the {pages} pages of '{name}' are pictures without text and were left out: {listing}."),
            N_("Run it through a program that recognizes text (OCR), such as ocrmypdf, and take its result."),
            name=name,
            count=len(bare),
            pages=pages,
            listing=", ".join(map(str, bare[:20])) + (" …" if len(bare) > 20 else ""),
        )
    ]
