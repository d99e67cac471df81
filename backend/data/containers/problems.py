"""The errors of this room: what is wrong, in which row and at which byte, and what to do about it.

A position counts bytes from 1, as ``head -c`` and hex editors with an offset do; a line counts from 1, as every editor does.
"""

from __future__ import annotations

import orjson

from backend.data.containers.records import MAX_RECORD_BYTES
from backend.errors import DataError
from backend.i18n import N_

NEAR_CHARS = 24


def json_problem(data: bytes, error: orjson.JSONDecodeError, line: int, byte: int) -> DataError:
    """Why ``data``, which begins in line ``line`` at byte ``byte`` of the file (both from 1), is not JSON."""
    if b"\0" in data:
        return nul_bytes(line, byte + data.index(b"\0"), data.count(b"\0"))
    try:
        data.decode()
    except UnicodeDecodeError as bad:
        return DataError(
            "row_not_utf8",
            N_("Line {line} holds bytes that are not UTF-8, the first at byte {byte}."),
            N_("Save the file as UTF-8, or name its encoding when you import it."),
            line=line + data.count(b"\n", 0, bad.start),
            byte=byte + bad.start,
        )
    before = error.doc[: error.pos].encode() if isinstance(error.doc, str) else data
    line += before.count(b"\n")
    where = {"line": line, "byte": byte + len(before)}
    if error.msg.startswith("depth"):
        return too_deep(**where)
    if len(before) >= len(data.rstrip()):
        return DataError(
            "row_cut",
            N_("The row in line {line} ends too early, at byte {byte}: a bracket or a quotation mark is never closed."),
            N_("Add what is missing, or copy the file again if it was cut off on its way."),
            **where,
        )
    rest = data[len(before) :].decode("utf-8", "replace")
    near = rest[:NEAR_CHARS].replace("\n", " ").replace("\r", " ")
    if rest.startswith(("'", "True", "False", "None")):
        return DataError(
            "row_python",
            N_("Line {line} is written as Python prints it, not as JSON: at byte {byte} stands {near}."),
            N_("Write the file with json.dump, or replace ' by \" and True, False, None by true, false, null."),
            near=near,
            **where,
        )
    return DataError(
        "row_not_json",
        N_("Line {line} is not valid JSON: at byte {byte}, before “{near}”, something is missing or too much."),
        N_("Look there for a missing comma, bracket or quotation mark, a line break inside a text, or a single \\."),
        near=near,
        **where,
    )


def nul_bytes(line: int, byte: int, count: int) -> DataError:
    """Bytes that stand in no text."""
    return DataError(
        "row_nul_bytes",
        N_("NUL bytes in line {line}: {count}, the first at byte {byte}."),
        N_("A crash or a full disk leaves such bytes behind: copy the file again from where it came."),
        line=line,
        byte=byte,
        count=count,
    )


def too_deep(line: int, byte: int) -> DataError:
    """More brackets within brackets than a row can mean."""
    return DataError(
        "row_too_deep",
        N_("Line {line} nests more than 1,000 brackets, at byte {byte}."),
        N_("A row of a dataset needs about five: this is damaged, or something else."),
        line=line,
        byte=byte,
    )


def too_long(line: int, byte: int = 0, size: int | None = None) -> DataError:
    """A row of more than :data:`MAX_RECORD_BYTES`; ``size`` bytes, where that is known."""
    if size is None:
        return DataError(
            "row_too_long",
            N_("The row that begins in line {line}, at byte {byte}, does not end within {limit} MiB."),
            N_("A quotation mark or a bracket may be missing, or the line breaks between the rows."),
            line=line,
            byte=byte,
            limit=MAX_RECORD_BYTES >> 20,
        )
    return DataError(
        "row_too_long",
        N_("The row that begins in line {line} is {size} MB long; at most {limit} MiB are read."),
        N_("Split it into rows of one conversation each; if they were one line each, the line breaks were lost."),
        line=line,
        size=round(size / 1e6, 1),
        limit=MAX_RECORD_BYTES >> 20,
    )


def not_object(line: int, byte: int, found: str) -> DataError:
    """A JSON value that is no object and so no row."""
    return DataError(
        "row_not_object",
        N_("Line {line} holds {found} where a row should be, at byte {byte}."),
        N_('Each row is an object in braces, such as {{"instruction": "…", "output": "…"}}.'),
        line=line,
        byte=byte,
        found=found,
    )


def rest_unreadable(line: int, byte: int) -> DataError:
    """After a damaged place no beginning of a row was found."""
    return DataError(
        "rest_unreadable",
        N_("From line {line}, byte {byte} on, nothing could be read as rows."),
        N_("Mend the row before it, or copy the file again; the rows before it were read."),
        line=line,
        byte=byte,
    )
