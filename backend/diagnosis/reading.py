"""Reading a log that may be huge: its head and its end, in whatever encoding.

Of a log of more than ``HEAD_BYTES + TAIL_BYTES`` only the first 256 KiB and the last 1 MiB are looked at: how it was started
stands at the beginning, and why it failed at the end. The bytes between are at most counted (for line numbers), never kept.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from backend.diagnosis.lines import clean
from backend.errors import NotFoundError, PanelError
from backend.i18n import N_

HEAD_BYTES, TAIL_BYTES = 256 << 10, 1 << 20
BLOCK = 1 << 20
COUNT_UP_TO = 2 << 30
"""A larger log is not read through for the numbers of its lines."""
SAMPLE = 8192
LINE_CHARS = 4000

Lines = list[tuple[int | None, str]]


def read(path: Path, count_up_to: int = COUNT_UP_TO) -> Lines:
    """The numbered lines of the log ``path``; numbers are None where they would need more than ``count_up_to`` bytes read.

    Raises:
        NotFoundError: there is no such file.
        PanelError: it is a folder, not text, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size <= HEAD_BYTES + TAIL_BYTES:
                return lines_of(file.read(), str(path))
            head = file.read(HEAD_BYTES)
            between = size - TAIL_BYTES
            newlines = head.count(b"\n")
            if size <= count_up_to:
                newlines += sum(block.count(b"\n") for block in _blocks(file, between - HEAD_BYTES))
            file.seek(between)
            return _joined(head, file.read(TAIL_BYTES), newlines if size <= count_up_to else None, str(path))
    except FileNotFoundError as error:
        raise NotFoundError(
            "log_missing", N_("There is no file {path}."), N_("Check the path of the log."), path=str(path)
        ) from error
    except IsADirectoryError as error:
        raise PanelError(
            "log_is_folder",
            N_("{path} is a folder, not a log."),
            N_("Give the log file in it, such as attempt-1.log."),
            path=str(path),
        ) from error
    except OSError as error:
        raise PanelError(
            "log_unreadable",
            N_("The log {path} cannot be read: {problem}."),
            N_("Check that you may read the file."),
            path=str(path),
            problem=error.strerror or str(error),
        ) from error


def read_stream(file: BinaryIO, name: str) -> Lines:
    """The same of a pipe, which can be read only once; never more than head and end are held."""
    head = b""
    while len(head) < HEAD_BYTES and (block := file.read(HEAD_BYTES - len(head))):
        head += block
    tail, newlines = bytearray(), head.count(b"\n")
    while block := file.read(BLOCK):
        tail += block
        if (over := len(tail) - TAIL_BYTES) > 0:
            newlines += tail.count(b"\n", 0, over)
            del tail[:over]
    # Nothing was dropped: head and tail are one text.
    if newlines == head.count(b"\n") and len(tail) < TAIL_BYTES:
        return lines_of(head + bytes(tail), name)
    return _joined(head, bytes(tail), newlines, name)


def lines_of(data: bytes, name: str) -> Lines:
    """``data`` as numbered lines. A carriage return begins a new state of the same line.

    Raises:
        PanelError: it is not text.
    """
    return _numbered(_decoded(data, name), 1)


def _joined(head: bytes, tail: bytes, newlines: int | None, name: str) -> Lines:
    encoding = _encoding(head, name)
    wide = encoding.startswith("utf-16")
    if wide:
        newlines = None  # its bytes are also parts of other characters
    else:
        # The first line of the end is torn, its number is that of the line before it.
        cut = tail.find(b"\n") + 1
        tail, newlines = tail[cut:], None if newlines is None else newlines + (1 if cut else 0)
    first = None if newlines is None else newlines + 1
    begins = _numbered(head.decode(encoding, "replace"), 1)[:-1]
    later = "utf-16-be" if wide and head[:2] == codecs.BOM_UTF16_BE else "utf-16-le" if wide else encoding
    return begins + _numbered(tail.decode(later, "replace"), first)


def _numbered(text: str, first: int | None) -> Lines:
    numbered: Lines = []
    for offset, line in enumerate(clean(text).split("\n")):
        number = None if first is None else first + offset
        if "\r" in line:
            # Of a progress bar the last states say enough.
            numbered += [(number, state[:LINE_CHARS]) for state in line.split("\r")[-4:] if state]
        else:
            numbered.append((number, line[:LINE_CHARS]))
    return numbered


def _decoded(data: bytes, name: str) -> str:
    return data.decode(_encoding(data, name), "replace")


def _encoding(data: bytes, name: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = data[:SAMPLE]
    if sample[1::2].count(0) > 0.7 * len(sample[1::2]) and sample[::2].count(0) < 0.1 * len(sample):
        return "utf-16-le"
    odd = sum(sample.count(bytes([c])) for c in (*range(7), *range(14, 27), *range(28, 32)))
    if odd > 0.05 * len(sample):
        raise PanelError(
            "log_not_text", N_("{path} is not a text file."), N_("Give the log that the program wrote."), path=name
        )
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            # The end may be in the middle of a character.
            codecs.getincrementaldecoder(encoding)().decode(data)
            return encoding
        except UnicodeDecodeError:
            continue
    return "utf-8-sig" if _mostly_utf8(data) else "latin-1"


def _mostly_utf8(data: bytes) -> bool:
    return data.decode("utf-8", "replace").count("\ufffd") < 0.02 * len(data)


def _blocks(file: BinaryIO, count: int) -> Iterator[bytes]:
    while count > 0 and (block := file.read(min(BLOCK, count))):
        count -= len(block)
        yield block
