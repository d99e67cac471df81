"""From files to records: whatever a person has, one row after another, in bounded memory.

    with open_source("rows.jsonl") as source:
        for item in source:            # Record(number, value, part, at, split) or Broken(number, error, text, part, at)
            ...

JSON, JSON Lines, CSV and TSV, Excel, Parquet, Arrow, text; folders of these (also as Hugging Face's ``save_to_disk`` writes
them), ``.zip`` and ``.gz``. Content decides over the name. What a row means is the room next door's: :mod:`backend.data.schemas`.
"""

from __future__ import annotations

from pathlib import Path

from backend.data.containers.places import parts
from backend.data.containers.records import MAX_RECORD_BYTES, Broken, Item, Notice, Notices, Record
from backend.data.containers.source import Source
from backend.data.containers.unpacked import Unpacked
from backend.errors import DataError
from backend.i18n import N_

__all__ = ["MAX_RECORD_BYTES", "Broken", "Item", "Notice", "Record", "Source", "open_source"]


def open_source(
    path: Path | str, *, sheet: str | None = None, encoding: str | None = None, member: str | None = None
) -> Source:
    """The rows of a file, a folder or an archive.

    Args:
        sheet: of an Excel file; None: the first that holds rows.
        encoding: of text; None: found by its content.
        member: of a folder or archive, the one file to read; None: all that hold rows.

    Raises:
        DataError: it is not there, cannot be read, or holds no rows; what is wrong within is told row by row.
    """
    path = Path(path)
    notices, unpacked = Notices(), Unpacked()
    try:
        if not path.exists():
            raise DataError(
                "data_missing",
                N_("{path} does not exist on this machine."),
                N_("Check the path; a file on your own computer is uploaded instead."),
                path=str(path),
            )
        files, find_image, close = parts(path, member, notices, unpacked)
        try:
            return Source(
                files, unpacked, notices=notices, find_image=find_image, sheet=sheet, encoding=encoding, close=close
            )
        except BaseException:
            close()
            unpacked.close()
            raise
    except OSError as error:
        raise DataError(
            "data_no_access",
            N_("{path} cannot be read: {problem}."),
            N_("Give yourself permission to read it, or choose another file."),
            path=str(path),
            problem=error.strerror or str(error),
        ) from error
