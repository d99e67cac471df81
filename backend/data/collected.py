"""Rows collected while working: an answer that was good, or was corrected, becomes a row that a model can be taught with.

    datasets/collected/From chat.jsonl      one JSON object a line:
    {"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}], "lineage": {…}}

``messages`` is the form of the OpenAI API, which the fine-tuning tools read, with calls of tools and ``"loss": false`` where an answer is not to be
learned; ``tools`` are the functions that were offered; ``lineage`` says where the row comes from.
A row is appended whole, with one write under a lock, and is on the disk when :meth:`Collected.add` returns.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import ConflictError
from backend.i18n import N_
from backend.workspace import Workspace, explain_os_error

MAX_NAME_CHARS = 60
"""A name is a file name: 60 Chinese characters are 180 of the 255 bytes that a file system allows."""
Messages = Sequence[Mapping[str, Any]]
_KEPT = ("role", "content", "loss", "tool_calls", "tool_call_id", "name")


@dataclass(frozen=True)
class Collection:
    """One file of rows. ``updated``: epoch seconds."""

    name: str
    path: Path
    rows: int
    updated: float


@dataclass(frozen=True)
class Added:
    """What became of a row. ``duplicate``: it was there already and was not added again. ``same_question``: how many
    other rows have the same messages up to the last answer, and another answer."""

    collection: Collection
    duplicate: bool
    same_question: int


class Collected:
    """The collections of one workspace; safe to use from several processes at once."""

    def __init__(self, workspace: Workspace) -> None:
        self.folder = workspace.collected

    def list(self) -> list[Collection]:
        """The last used first; an unreadable folder holds none."""
        try:
            paths = [path for path in self.folder.glob("*.jsonl") if path.is_file()]
            return sorted(map(_collection, paths), key=lambda c: c.updated, reverse=True)
        except OSError:
            return []

    def add(
        self, name: str, messages: Messages, lineage: dict[str, Any], tools: Sequence[Mapping[str, Any]] = ()
    ) -> Added:
        """Append a row to the collection ``name``, which is made when there is none.

        Args:
            messages: the turns, the answer to learn last.
            lineage: JSON-able; the same keys in every row, so that table readers find the same columns.
            tools: functions that were offered, as the OpenAI API has them.

        Raises:
            ConflictError: ``collection_name_bad``; ``row_empty``: there is no answer to learn.
            WorkspaceError: the disk is full or read-only; the file is as it was.
        """
        path = self.folder / f"{checked_name(name)}.jsonl"
        if not messages or messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
            raise ConflictError(
                "row_empty", N_("There is no answer to learn from."), N_("Type the answer that the model should give.")
            )
        turns = [{key: m[key] for key in _KEPT if key in m} for m in messages]
        same_question = 0
        try:
            with _locked(path) as fd:
                for known in _rows(path):
                    if known == turns:
                        return Added(_collection(path), True, same_question)
                    same_question += known[:-1] == turns[:-1]
                offered = {"tools": list(tools)} if tools else {}
                row = json.dumps({"messages": turns, **offered, "lineage": lineage}, ensure_ascii=False)
                _append(fd, path, row.encode("utf-8", "backslashreplace") + b"\n")
                return Added(_collection(path), False, same_question)
        except OSError as error:
            raise explain_os_error(error, self.folder) from error


def checked_name(name: str) -> str:
    """``name`` as the name of a file.

    Raises:
        ConflictError: ``collection_name_bad``.
    """
    line = " ".join(name.split())
    if (
        not line
        or len(line) > MAX_NAME_CHARS
        or line.startswith(".")
        or not line.isprintable()
        or set("/\\") & set(line)
    ):
        raise ConflictError(
            "collection_name_bad",
            N_("'{name}' cannot be the name of a dataset."),
            N_("Use 1 to {limit} characters, without slashes and without a dot at the beginning."),
            name=line[: 2 * MAX_NAME_CHARS],
            limit=MAX_NAME_CHARS,
        )
    return line


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The open file, this process's alone; whatever fails inside leaves it as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def _append(fd: int, path: Path, line: bytes) -> None:
    _set_torn_end_aside(fd, path)
    size = os.fstat(fd).st_size
    try:
        if os.write(fd, line) != len(line):
            raise OSError(28, os.strerror(28))  # a short write to a file means: no room for the rest
        os.fsync(fd)
    except OSError:
        os.ftruncate(fd, size)
        raise
    if size == 0:
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # a new file's name is on the disk only with its folder
        finally:
            os.close(folder)


def _set_torn_end_aside(fd: int, path: Path) -> None:
    """A power cut can leave half a row; it is kept beside, so that every line of the file stays a row."""
    size = os.fstat(fd).st_size
    if size == 0 or os.pread(fd, 1, size - 1) == b"\n":
        return
    end = path.read_bytes().rpartition(b"\n")[2]
    if _messages(end) is not None:
        os.write(fd, b"\n")  # whole: somebody's editor left out the last line break
        return
    with path.with_suffix(".torn").open("ab") as beside:
        beside.write(end + b"\n")
    os.ftruncate(fd, size - len(end))


def _rows(path: Path) -> Iterator[list[Any]]:
    with path.open("rb") as file:
        for line in file:
            messages = _messages(line)
            if messages:
                yield messages


def _messages(line: bytes) -> list[Any] | None:
    """The messages of a row, or None for a line that is none."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    messages = row.get("messages") if isinstance(row, dict) else None
    return messages if isinstance(messages, list) else None


def _collection(path: Path) -> Collection:
    with path.open("rb") as file:
        rows = sum(1 for line in file if line.strip())
    return Collection(path.stem, path, rows, path.stat().st_mtime)
