"""A document as plain text with its structure, and a piece of it that knows where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from backend.errors import DataError

GAP = "\n\n"
"""What stands between two blocks in :attr:`Document.text`."""


@dataclass(frozen=True)
class Block:
    """A paragraph, heading, list item, table or piece of code. level: of a heading, 1 to 6; else 0. page: from 1, where the
    file has pages. lines: its lines are rows or code, so that it is cut between them and never inside one."""

    text: str
    level: int = 0
    page: int | None = None
    lines: bool = False


@dataclass(frozen=True)
class Document:
    """What was read of one file. name: the file's. kind: ``pdf``, ``docx``, ``markdown``, ``html`` or ``text``. notices:
    what a person should know although it could be read. pages: how many it has, where it has any."""

    name: str
    kind: str
    blocks: tuple[Block, ...]
    notices: tuple[DataError, ...] = ()
    pages: int | None = None

    @cached_property
    def text(self) -> str:
        """All of it. Character ranges are ranges of this."""
        return GAP.join(block.text for block in self.blocks)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each block begins in :attr:`text`."""
        return tuple(accumulate((len(block.text) + len(GAP) for block in self.blocks[:-1]), initial=0))


@dataclass(frozen=True)
class Chunk:
    """``text`` is characters ``start`` to ``end`` of its document. number: from 1, through all documents of one run.
    heading: the headings that it stands below, the outermost first. pages: ``(page, where it begins in the document)``, from
    the page that the chunk begins on to the one that it ends on; empty where the file has no pages."""

    number: int
    source: str
    text: str
    start: int
    end: int
    heading: tuple[str, ...] = ()
    pages: tuple[tuple[int, int], ...] = ()
    path: str = field(default="", compare=False)

    def page_at(self, place: int) -> int | None:
        """The page of the character at ``place`` of the document; None where the file has no pages."""
        return next((page for page, start in reversed(self.pages) if start <= place), None)
