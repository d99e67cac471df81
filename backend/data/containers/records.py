"""What comes out of a file: records, places that could not be read, and notices about the file as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from backend.data.rows import Split
from backend.errors import DataError, fill
from backend.i18n import _

MAX_RECORD_BYTES = 16 << 20
"""A longer row is refused: 16 MiB of text are about four million tokens, more than any model reads at once."""
EXCERPT_CHARS = 200
"""So much of an unreadable row is shown."""


class Record(NamedTuple):
    """One row as the file has it. ``number`` counts the file's rows from 1, those that cannot be read among them.
    ``part``: the file in a folder or archive. ``at``: the fraction of bytes read so far. ``split``: what the container itself says
    about the part of the dataset (a DatasetDict's folder, a file named ``test-00000.parquet``)."""

    number: int
    value: dict[str, Any]
    part: str = ""
    at: float = 0.0
    split: Split | None = None


class Broken(NamedTuple):
    """One place that is no row, and why. ``text``: its beginning."""

    number: int
    error: DataError
    text: str = ""
    part: str = ""
    at: float = 0.0


Item = Record | Broken


@dataclass(frozen=True)
class Notice:
    """Something about the file that a person should know though it was read: template and values, translated when drawn."""

    code: str
    message: str
    params: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return fill(self.message, self.params)

    def localized(self) -> str:
        """The sentence in the language of the current person."""
        return fill(_(self.message), self.params)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"code": self.code, "message": self.message, "params": self.params}


class Notices(list[Notice]):
    """Each code once for each part, for the first parts of many; a later one with the same code and part replaces the earlier
    (counts grow)."""

    MAX_PARTS = 20

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[str, dict[Any, int]] = {}

    def note(self, code: str, message: str, **params: Any) -> None:
        """Add or renew a notice."""
        new = Notice(code, message, params)
        places = self._places.setdefault(code, {})
        place = places.get(params.get("part"))
        if place is not None:
            self[place] = new
        elif len(places) < self.MAX_PARTS:
            places[params.get("part")] = len(self)
            self.append(new)


class Progress(Protocol):
    """How far a reader is."""

    def at(self) -> float:
        """The fraction of bytes read, 0 to 1."""


@dataclass
class Context:
    """What every reader is told: which part it reads, where its numbers begin, and where its notices go; and what it tells.

    columns: their names, where the format has such. sheets: of an Excel file. fraction: how far a reader of rows, not of bytes, is.
    """

    part: str
    first: int
    split: Split | None
    notices: Notices
    progress: Progress
    columns: list[str] | None = None
    sheets: list[str] = field(default_factory=list)
    fraction: float = 0.0


def excerpt(data: bytes) -> str:
    """The beginning of ``data``, readable: what cannot be shown is replaced."""
    text = data[: 4 * EXCERPT_CHARS].decode("utf-8", "replace")[:EXCERPT_CHARS]
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
