"""A look at documents before a model is asked about them: what they are, their first chunks, and how many there will be.

Only the beginning of a long document is read, and only some of many documents; the count is then an estimate and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.data.documents.chunking import chunks
from backend.data.documents.document import GAP, Chunk, Document
from backend.data.documents.reading import read
from backend.errors import DataError

PAGES = 20
CHARS = 200_000
SHOWN = 12


@dataclass(frozen=True)
class Look:
    """What was seen of one file. count: how many chunks it gives; exact: counted, not estimated. problem, notices: as
    :meth:`backend.errors.PanelError.to_dict`. bytes: of the file."""

    path: str
    name: str
    bytes: int = 0
    kind: str = ""
    pages: int | None = None
    chunks: tuple[Chunk, ...] = ()
    count: int = 0
    exact: bool = True
    problem: dict[str, Any] | None = None
    notices: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Count:
    """How many chunks all documents give. exact: counted, not estimated."""

    chunks: int
    exact: bool


def look(path: str | Path, size: int, overlap: int) -> Look:
    """Read the beginning of ``path`` and cut it; what is wrong with it is in the result, not raised."""
    path = Path(path)
    try:
        bytes_ = path.stat().st_size
        document = read(path, most_pages=PAGES)
    except (DataError, OSError) as error:
        problem = error if isinstance(error, DataError) else DataError("document_unreadable", str(error))
        return Look(str(path), path.name, problem=problem.to_dict())
    begun, share = _beginning(document)
    if document.pages is not None:
        share *= min(1.0, PAGES / document.pages)
    found = chunks(begun, size, overlap, path=str(path))
    return Look(
        str(path),
        path.name,
        bytes_,
        document.kind,
        document.pages,
        tuple(found[:SHOWN]),
        max(1, round(len(found) / share)),
        share == 1.0,
        notices=tuple(notice.to_dict() for notice in document.notices),
    )


def count(looks: Sequence[Look], others: Sequence[Path]) -> Count:
    """The chunks of the documents that were looked at, and of ``others``, by their size."""
    good = [each for each in looks if each.problem is None]
    seen = sum(each.count for each in good)
    size = sum(each.bytes for each in good)
    rest = sum(path.stat().st_size for path in others if path.is_file())
    more = round(seen * rest / size) if size else 0
    return Count(seen + more, not others and all(each.exact for each in good))


def _beginning(document: Document) -> tuple[Document, float]:
    """The first blocks, and which share of the text they are."""
    if len(document.text) <= CHARS:
        return document, 1.0
    last = next((n for n, start in enumerate(document.starts) if start > CHARS), len(document.blocks))
    begun = replace(document, blocks=document.blocks[:last])
    if len(begun.text) > 2 * CHARS:  # one block without an end
        begun = replace(
            document, blocks=(*begun.blocks[:-1], replace(begun.blocks[-1], text=begun.blocks[-1].text[:CHARS]))
        )
    return begun, (len(begun.text) + len(GAP)) / (len(document.text) + len(GAP))
