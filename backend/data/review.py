"""Reading rows one by one: which were accepted, changed or rejected, by whom; and rows that were written by hand.

    datasets/sets/<name>/review.jsonl     one JSON object a decision, appended; the last one about a row counts
    {"row": "9f86d081884c7d65", "state": "edited", "to": {row}, "by": "ada", "t": 1764194400.0}
    {"add": "4f1c…", "to": {row} or null, "by": …, "t": …}

A row is known by what is said in it (:func:`backend.data.rows.row_hash`), so a decision holds in every version, and for every
copy of a row. A decision is one write under a lock and on the disk when the call returns: a kill loses none, and two people at
once see each other's. Nothing here changes a version: :func:`reviewed` makes the rows of a new one.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from backend.data.rows import Row, parse, row_hash
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.data.writer import user
from backend.errors import DataError
from backend.i18n import N_
from backend.workspace import explain_os_error

State = Literal["todo", "accepted", "edited", "rejected"]
STATES: tuple[State, ...] = ("todo", "accepted", "edited", "rejected")
FILE, HASHES = "review.jsonl", "hashes.u64"
States = npt.NDArray[np.uint8]
"""For each row the place of its state in :data:`STATES`."""


@dataclass(frozen=True)
class Decision:
    """What was decided about a row. row: as it is to be, where it was changed. by: Linux user. at: epoch seconds."""

    state: State = "todo"
    row: Row | None = None
    by: str = ""
    at: float = 0.0


@dataclass
class _Known:
    """What the file said up to ``read`` bytes. inode: of that file; another one is another story."""

    inode: int = 0
    read: int = 0
    decided: dict[int, Decision] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    added: dict[str, Row] = field(default_factory=dict)


class Review:
    """The decisions about the rows of one dataset. Safe to use from several threads and processes at once; cheap to keep."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        self._known = _Known()

    def decision(self, row: Row) -> Decision:
        """What was decided about ``row``; of a row that came from a change in review: that it was accepted."""
        known = self._read()
        return _decision(known, row_hash(row))

    def decide(self, row: Row, state: State, to: Row | None = None) -> None:
        """Decide about ``row``, as it stands in its version. to: what it is to become, with the state ``edited``.

        Raises:
            DataError: ``row_bad``: ``to`` is no row.
            WorkspaceError: the disk is full or read-only.
        """
        if (
            state == "edited"
            and to is not None
            and row_hash(checked(to)) == row_hash(row)
            and to.get("meta") == row.get("meta")
        ):
            state, to = "accepted", None
        record: dict[str, Any] = {"row": f"{row_hash(row):016x}", "state": state}
        if state == "edited":
            record["to"] = to
        self._append(record)

    def add(self, row: Row) -> str:
        """A row that was written by hand; returns its name, under which it can be changed.

        Raises:
            DataError: ``row_bad``.
            WorkspaceError: the disk is full or read-only.
        """
        name = uuid.uuid4().hex[:16]
        self._append({"add": name, "to": checked(row)})
        return name

    def change_added(self, name: str, row: Row | None) -> None:
        """Change a row that was written by hand; None takes it away."""
        self._append({"add": name, "to": checked(row) if row is not None else None})

    def added(self, hashes: npt.NDArray[np.uint64] | None = None) -> dict[str, Row]:
        """The rows written by hand, by name, in order; without those that a version with ``hashes`` holds already."""
        found = dict(self._read().added)
        if hashes is None or not found:
            return found
        return {name: row for name, row in found.items() if not (hashes == np.uint64(row_hash(row))).any()}

    def states(self, hashes: npt.NDArray[np.uint64]) -> States:
        """The state of each row of a version, by :func:`hashes_of`."""
        known = self._read()
        told = {key: STATES.index(decision.state) for key, decision in known.decided.items()}
        for key in known.kept:
            told.setdefault(key, STATES.index("accepted"))
        if not told:
            return np.zeros(len(hashes), np.uint8)
        keys = np.fromiter(told, np.uint64, len(told))
        order = np.argsort(keys)
        keys, values = keys[order], np.fromiter(told.values(), np.uint8, len(told))[order]
        place = np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)
        return np.where(keys[place] == hashes, values[place], 0).astype(np.uint8)

    def version(self) -> int:
        """Grows with every decision, of anybody: to see that there is something new."""
        return self._read().read

    def _read(self) -> _Known:
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                known = self._known
                if status.st_ino != known.inode or status.st_size < known.read:
                    known = _Known(inode=status.st_ino)
                if status.st_size > known.read:
                    known = _Known(known.inode, known.read, dict(known.decided), set(known.kept), dict(known.added))
                    file.seek(known.read)
                    data = file.read(status.st_size - known.read)
                    whole = data.rfind(b"\n") + 1  # half a line is somebody's write under way
                    _take(known, data[:whole])
                    known.read += whole
                self._known = known
        except FileNotFoundError:
            self._known = _Known()
        except OSError as error:
            raise explain_os_error(error, self.path.parent) from error
        return self._known

    def _append(self, record: dict[str, Any]) -> None:
        line = orjson.dumps({**record, "by": user(), "t": round(time.time(), 3)}) + b"\n"
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                size = os.fstat(fd).st_size
                if size and os.pread(fd, 1, size - 1) != b"\n":
                    # A power cut left half a line: it stays a line of its own, which is no decision.
                    line = b"\n" + line
                if os.write(fd, line) != len(line):
                    os.ftruncate(fd, size)
                    raise OSError(28, os.strerror(28))  # a short write to a file means: no room for the rest
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise explain_os_error(error, self.path.parent) from error


def of(sets: Datasets, name: str) -> Review:
    """The review of the dataset ``name``.

    Raises:
        DataError: ``dataset_unknown``.
    """
    sets.get(name)
    return Review(sets.folder / name)


def hashes_of(version: Version) -> npt.NDArray[np.uint64]:
    """The hash of each row of ``version``; kept beside its rows, as it takes some microseconds each."""
    path = version.folder / HASHES
    try:
        found = np.fromfile(path, "<u8")
        if len(found) == len(version):
            return found
    except OSError:
        pass  # not there yet
    found = np.fromiter(map(row_hash, version), "<u8", len(version))
    partial = path.with_name(f".{HASHES}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        found.tofile(partial)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)  # no room for it: it is computed again the next time
    return found


def reviewed(rows: Iterable[Row], review: Review, *, only_reviewed: bool = False) -> Iterator[Row]:
    """The rows of a version after the review: changed ones as they were changed, rejected ones left out, then those written
    by hand. only_reviewed: leave out what nobody has decided about."""
    known = review._read()
    there = set()
    for row in rows:
        key = row_hash(row)
        there.add(key)
        decision = _decision(known, key)
        if decision.state == "rejected" or (only_reviewed and decision.state == "todo"):
            continue
        yield decision.row if decision.row is not None else row
    for row in known.added.values():
        if row_hash(row) not in there:
            yield row


def checked(row: Row) -> Row:
    """``row``, if it is one.

    Raises:
        DataError: ``row_bad``.
    """
    messages = row.get("messages") if isinstance(row, dict) else None
    good = isinstance(messages, list) and bool(messages)
    for message in messages if isinstance(messages, list) else ():
        good = (
            good
            and isinstance(message, dict)
            and message.get("role") in ("system", "user", "assistant", "tool")
            and isinstance(message.get("content"), str)
        )
    if not good or not isinstance(row.get("meta", {}), dict):
        raise DataError(
            "row_bad",
            N_("This is not a row: it needs turns, each with a role and a text."),
            N_("Roles are system, user, assistant and tool. A turn may be empty, but it must be there."),
        )
    return row


def _decision(known: _Known, key: int) -> Decision:
    found = known.decided.get(key)
    if found is not None:
        return found
    return Decision("accepted") if key in known.kept else Decision()


def _take(known: _Known, data: bytes) -> None:
    for line in data.splitlines():
        try:
            record = parse(line)
        except orjson.JSONDecodeError:
            continue  # the half of a line that a power cut left
        _take_one(known, dict(record))


def _take_one(known: _Known, record: dict[str, Any]) -> None:
    to = record.get("to") if isinstance(record.get("to"), dict) else None
    if "add" in record:
        name = str(record["add"])
        if to is None:
            known.added.pop(name, None)
        else:
            known.added[name] = to
            known.kept.add(row_hash(to))
        return
    try:
        key = int(str(record.get("row")), 16)
    except ValueError:
        return
    state = record.get("state")
    if state not in STATES:
        return
    before = known.decided.pop(key, None)
    if before is not None and before.row is not None:
        known.kept.discard(row_hash(before.row))
    if state == "todo":
        return
    known.decided[key] = Decision(state, to, str(record.get("by") or ""), float(record.get("t") or 0.0))
    if to is not None:
        known.kept.add(row_hash(to))
