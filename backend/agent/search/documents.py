"""Search in documents: those that a job asked a model about, those that were uploaded for one, texts sent in chats.

All of them lie in the workspace. The same file counts once, by its content: what a job has cut already is taken from it.

    jobs/N/chunks.jsonl       passages of the documents of a job that asks about documents
    datasets/documents/       uploads, whole
    attachments/              texts of chats, whole; their names stand in chat.db
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backend.agent.search import keeping, terms
from backend.agent.search.index import Index, looked_through
from backend.data import documents
from backend.data.documents import limits, uploads
from backend.errors import DataError
from backend.workspace import Workspace

INDEX = "documents"
CHUNK_CHARS = 1500
MOST_UPLOAD_BYTES, MOST_PAGES = 20 << 20, 300
"""Of an upload that no job has read yet: it is read while somebody waits."""
MOST_BYTES = 512 << 20
BUILD_S = 60.0
CHUNKS = "chunks.jsonl"
KEY_CHARS = 16
"""Of the SHA-256 of a document: what its folder is called where it was uploaded."""


@dataclass(frozen=True)
class Source:
    """One document. key: of its content. origin: ``job 12``, ``upload`` or ``chat``. path: what is read of it. inside: of a
    job's file, the path of the document in it."""

    key: str
    name: str
    origin: str
    path: Path
    inside: str = ""


@dataclass(frozen=True)
class Passage:
    """A piece of a document. place: its page or heading, "" where it has none."""

    name: str
    origin: str
    place: str
    text: str


@dataclass(frozen=True)
class Found:
    """passages: the best first. documents: how many were searched. left_out: (name, why) of those that could not be. waiting:
    documents that were not read yet, for want of time."""

    passages: tuple[Passage, ...]
    documents: int
    left_out: tuple[tuple[str, str], ...]
    waiting: int


def sources(workspace: Workspace) -> list[Source]:
    """All documents, each once."""
    found: dict[str, Source] = {}
    for source in (*_of_jobs(workspace), *_uploaded(workspace), *_of_chats(workspace)):
        found.setdefault(source.key, source)
    return list(found.values())


def search(
    workspace: Workspace,
    among: list[Source],
    asked: terms.Question,
    *,
    most: int,
    names: Callable[[str], bool] = lambda _name: True,
    stopped: Callable[[], bool] = lambda: False,
    build_s: float = BUILD_S,
) -> Found:
    """The passages that fit ``asked`` best. among: all :func:`sources`. names: which documents are meant, by their names.

    Raises:
        ConflictError: ``search_stopped``, ``search_busy``.
        WorkspaceError: the disk is full or read-only.
    """

    def work(index: Index) -> Found:
        waiting = _bring_up_to_date(index, among, stopped, time.monotonic() + build_s)
        known = {int(row[0]): row for row in index.db.execute("SELECT id, name, origin, note FROM sources WHERE done")}
        meant = {number: row for number, row in known.items() if names(str(row[1]))}
        passages = _passages(index, asked, most, meant, everything=len(meant) == len(known))
        left_out = tuple((str(row[1]), str(row[3])) for row in meant.values() if row[3])
        return Found(tuple(passages), len(meant) - len(left_out), left_out, waiting)

    return keeping.use(workspace, INDEX, work, stopped)


def _passages(
    index: Index, asked: terms.Question, most: int, meant: dict[int, tuple[object, ...]], *, everything: bool
) -> Iterator[Passage]:
    """The best ones of the documents ``meant``."""
    texts = "SELECT id, text FROM passages"
    # Which document a passage is of, the index of words does not know: more are asked for than are wanted.
    wanted = most if everything else max(most, 2000)
    numbers = index.best(asked, wanted) if index.ranked else looked_through(index.db.execute(texts), asked, wanted)
    count = 0
    for number in numbers:
        row = index.db.execute("SELECT source, place, text FROM passages WHERE id = ?", (number,)).fetchone()
        if row is None or row[0] not in meant:
            continue
        name, origin = (str(each) for each in meant[row[0]][1:3])
        yield Passage(name, origin, str(row[1]), str(row[2]))
        count += 1
        if count == most:
            return


def _bring_up_to_date(index: Index, among: list[Source], stopped: Callable[[], bool], until: float) -> int:
    """Take out what is gone, and read what is new; how many are left to read."""
    wanted = {source.key: source for source in among}
    known = {str(row[1]): int(row[0]) for row in index.db.execute("SELECT id, key FROM sources")}
    for key in known.keys() - wanted.keys():
        _forget(index, known[key])
    fresh = [source for key, source in wanted.items() if key not in known]
    for number, source in enumerate(fresh):
        if stopped():
            raise keeping.stopped_error()
        if time.monotonic() > until or index.size() > MOST_BYTES:
            return len(fresh) - number
        _take_in(index, source)
    return 0


def _forget(index: Index, source: int) -> None:
    with index.writing() as db:
        index.forget(db.execute("SELECT id, text FROM passages WHERE source = ?", (source,)).fetchall())
        db.execute("DELETE FROM passages WHERE source = ?", (source,))
        db.execute("DELETE FROM sources WHERE id = ?", (source,))


def _take_in(index: Index, source: Source) -> None:
    """All passages of a document, or the reason why it has none."""
    with index.writing() as db:
        query = "INSERT INTO sources (key, name, origin, done) VALUES (?, ?, ?, 1)"
        number = db.execute(query, (source.key, source.name, source.origin)).lastrowid
        try:
            found = [
                (int(db.execute("INSERT INTO passages (source, place, text) VALUES (?, ?, ?)", (number, place, text)).lastrowid or 0), text)
                for place, text in _read(source)
            ]  # fmt: skip
            index.add(found)
        except (DataError, OSError, ValueError, KeyError) as error:
            db.execute("DELETE FROM passages WHERE source = ?", (number,))
            reason = str(error) if isinstance(error, DataError) else "it cannot be read"
            db.execute("UPDATE sources SET note = ? WHERE id = ?", (reason[:300], number))


def _read(source: Source) -> Iterator[tuple[str, str]]:
    """(place, text) of each passage."""
    if source.inside:
        with source.path.open("rb") as file:
            next(file)
            for line in file:
                chunk = json.loads(line)
                if chunk["path"] == source.inside:
                    pages = tuple(map(tuple, chunk["pages"]))
                    yield _place(tuple(chunk["heading"]), pages), str(chunk["text"])
        return
    if source.path.stat().st_size > MOST_UPLOAD_BYTES:
        raise limits.too_large(source.name, source.path.stat().st_size, MOST_UPLOAD_BYTES)
    document = documents.read(source.path, source.name, most_pages=MOST_PAGES)
    for each in documents.chunks(document, CHUNK_CHARS, 0):
        yield _place(each.heading, each.pages), each.text


def _place(heading: tuple[str, ...], pages: tuple[tuple[int, int], ...]) -> str:
    page = f"page {pages[0][0]}" + (f"-{pages[-1][0]}" if len(pages) > 1 else "") if pages else ""
    return ", ".join(part for part in (page, " > ".join(heading)) if part)


def _of_jobs(workspace: Workspace) -> Iterator[Source]:
    """Documents that jobs have read, the newest job first."""
    for path in sorted(workspace.jobs.glob(f"*/{CHUNKS}"), reverse=True):
        try:
            with path.open("rb") as file:
                files = json.loads(next(file))["files"]
            for each in files:
                name = str(each["file"])
                yield Source(
                    str(each["sha256"])[:KEY_CHARS], Path(name).name, f"job {int(path.parent.name)}", path, name
                )
        except (OSError, ValueError, KeyError, TypeError, StopIteration):
            continue  # cut off, or of another kind


def _uploaded(workspace: Workspace) -> Iterator[Source]:
    for path in sorted(uploads.folder(workspace).glob("*/*")):
        if not path.name.startswith(".") and path.is_file():
            yield Source(path.parent.name[:KEY_CHARS], path.name, "upload", path)


def _of_chats(workspace: Workspace) -> Iterator[Source]:
    """Texts that were sent with messages, the newest name first. Their names alone are read of the conversations."""
    query = "SELECT attachments FROM messages WHERE attachments <> '[]' ORDER BY id DESC"
    try:
        with closing(sqlite3.connect(f"file:{workspace.chat_db}?mode=ro", uri=True, timeout=5)) as db:
            rows = db.execute(query).fetchall()
    except sqlite3.Error:
        return  # nobody has chatted yet, or the chat says itself what is wrong
    for row in rows:
        for each in json.loads(row[0]):
            path = workspace.attachments / str(each["digest"])
            if each["kind"] == "text" and path.is_file():
                yield Source(str(each["digest"])[:KEY_CHARS], str(each["name"]), "chat", path)
