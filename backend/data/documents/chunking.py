"""A document in pieces that a model can read at once: cut at headings, else between paragraphs, else between sentences.

Sentences end where English and Chinese end them. A table is cut between its rows, code between its lines; what has neither
sentences nor blanks is cut where the size ends.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from backend.data.documents.document import Block, Chunk, Document

MIN_SIZE, MAX_SIZE = 100, 20_000
_SMALL = 0.25
"""A section smaller than this share of the size takes the next one in, so that no chunk is a line."""
_FULL = 0.5
"""A chunk that is so full ends with its paragraph rather than in the middle of the next one."""
_END = re.compile(
    r"[。！？；…]+[”’」』）】》\"')]*"  # Chinese: no blank follows
    r"|(?<![.!?])[.!?]+[\"')\]”’]*(?=\s+[\"'(\[“‘]*[A-Z0-9À-ÞЀ-Я\u4e00-\u9fff])"  # English: a blank and a capital do
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|Fig|Figs|No|Nos|Eq|Sec|Ch|Vol|al|Inc|Ltd|Co|Jr|Sr|approx|cf|e\.g|i\.e|[A-Z]))\.$"
)


@dataclass(frozen=True)
class _Unit:
    """What is never divided: a heading, a sentence, a row. block: number of its block."""

    start: int
    end: int
    block: int
    heading: bool


def chunks(document: Document, size: int = 1500, overlap: int = 150, *, first: int = 1, path: str = "") -> list[Chunk]:
    """``document`` in pieces of at most ``size`` characters, numbered from ``first``.

    Args:
        overlap: about so many characters of a chunk's end are repeated at the next one's start, in whole sentences, where
            the text was cut in the middle of a section.

    Raises:
        ValueError: ``size`` is out of bounds, or ``overlap`` is more than half of it.
    """
    if not MIN_SIZE <= size <= MAX_SIZE or not 0 <= overlap <= size // 2:
        raise ValueError(f"size {size} must be {MIN_SIZE} to {MAX_SIZE}, overlap {overlap} at most half of it")
    headings = _headings(document.blocks)
    made: list[Chunk] = []
    for units in _packed(_units(document, size), size, overlap):
        start, end = units[0].start, units[-1].end
        # Below which headings the text itself stands; a chunk that begins with its heading stands below that one.
        body = next((unit for unit in units if not unit.heading), units[-1])
        pages = _pages(document, units[0].block, units[-1].block)
        made.append(
            Chunk(
                first + len(made),
                document.name,
                document.text[start:end],
                start,
                end,
                headings[body.block],
                pages,
                path,
            )
        )
    return made


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence of ``text`` begins and ends; together they hold all that is not blank."""
    found, start = [], 0
    for match in _END.finditer(text):
        if match[0].startswith(".") and _ABBREVIATION.search(text, max(0, match.start() - 8), match.start() + 1):
            continue
        found.append((start, match.end()))
        start = match.end()
    found.append((start, len(text)))
    return [span for begin, end in found if (span := _stripped(text, begin, end))[0] < span[1]]


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _pages(document: Document, first: int, last: int) -> tuple[tuple[int, int], ...]:
    """Which page begins where, in the blocks from ``first`` to ``last``."""
    found: dict[int, int] = {}
    for number in range(first, last + 1):
        page = document.blocks[number].page
        if page is not None:
            found.setdefault(page, document.starts[number])
    return tuple(found.items())


def _headings(blocks: tuple[Block, ...]) -> list[tuple[str, ...]]:
    """Of each block, the headings that it stands below; a heading stands below itself."""
    path: list[tuple[int, str]] = []
    found = []
    for block in blocks:
        if block.level:
            path = [held for held in path if held[0] < block.level] + [
                (block.level, " ".join(block.text.split())[:200])
            ]
        found.append(tuple(text for _level, text in path))
    return found


def _units(document: Document, size: int) -> Iterator[_Unit]:
    for number, (block, offset) in enumerate(zip(document.blocks, document.starts, strict=True)):
        if block.level and len(block.text) <= size:
            yield _Unit(offset, offset + len(block.text), number, heading=True)
            continue
        for start, end in _lines(block.text) if block.lines else sentences(block.text):
            for begin, stop in _cut(block.text, start, end, size):
                yield _Unit(offset + begin, offset + stop, number, heading=False)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in text.split("\n"):
        if line.strip():
            yield start, start + len(line)
        start += len(line) + 1


def _cut(text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """A sentence in parts of at most ``size``: at a blank or a comma in the last third, else anywhere."""
    while end - start > size:
        window = text[start : start + size]
        places = [match.end() for match in re.finditer(r"\s+|[,;，、：]", window) if match.end() > size * 2 // 3]
        stop = start + (places[-1] if places else size)
        if (span := _stripped(text, start, stop))[0] < span[1]:
            yield span
        start = stop
    if (span := _stripped(text, start, end))[0] < span[1]:
        yield span


def _packed(units: Iterator[_Unit], size: int, overlap: int) -> Iterator[list[_Unit]]:
    """Units put together. What is yielded has at least one unit that no chunk before it had."""
    rest = list(units)
    # Where a block ends: whether a whole paragraph still fits is known before its first sentence is taken.
    block_ends = [unit.block for unit in rest]
    held: list[_Unit] = []
    fresh = 0  # how many of them are not repeated from the chunk before
    for index, unit in enumerate(rest):
        if held and fresh and _full(held, unit, rest, block_ends, index, size):
            carried = _trailing_headings(held)
            whole = held[: len(held) - len(carried)]
            yield whole
            held = carried if unit.heading or carried else _overlap(whole, unit, size, overlap)
            fresh = len(carried)
        held.append(unit)
        fresh += 1
    if held and fresh:
        yield held


def _full(held: list[_Unit], unit: _Unit, rest: list[_Unit], block_ends: list[int], index: int, size: int) -> bool:
    length = held[-1].end - held[0].start
    if all(each.heading for each in held):
        return unit.end - held[0].start > size
    if unit.end - held[0].start > size:
        return True
    if unit.heading:
        return length >= _SMALL * size
    begins = unit.block != held[-1].block
    if not begins or length < _FULL * size or all(each.heading for each in held[-1:]):
        return False
    last = rest[bisect_right(block_ends, unit.block, lo=index) - 1]
    return last.end - held[0].start > size


def _trailing_headings(held: list[_Unit]) -> list[_Unit]:
    """Headings at the end belong to what follows; all of them, unless there is nothing else."""
    count = 0
    while count < len(held) and held[-1 - count].heading:
        count += 1
    return held[len(held) - count :] if count < len(held) else []


def _overlap(whole: list[_Unit], unit: _Unit, size: int, overlap: int) -> list[_Unit]:
    kept: list[_Unit] = []
    for each in reversed(whole[1:]):
        if each.heading or whole[-1].end - each.start > overlap or unit.end - each.start > size:
            break
        kept.insert(0, each)
    return kept
