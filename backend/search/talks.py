"""Conversations of the Chat page and of the Agent page: by title and by what was said, with the newest place in each.

SQLite's own search of a text is ten times as fast as ours, but knows upper and lower case in ASCII only: a word with other letters that have cases
is looked for as it was typed, in lower case, with a capital, and in capitals.
"""

from __future__ import annotations

import heapq
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backend.chat.database import Database
from backend.errors import PanelError
from backend.search.found import Group, Hit
from backend.search.words import TEXT, Query, around, fold, named, shown

MOST_TEXTS = 50_000
"""Messages that are looked at, the newest ones. Chat's own search looks at all, and takes as long as that takes."""
MOST_TALKS = 20_000
ENOUGH = 400
"""Talks of a word that most of them have; older ones are not looked for, and that is said."""
AT_ONCE = 5_000
"""Messages that are looked at before others, such as an answer being written, get at the file."""
CHECKED = 40
"""Places that are read whole, to see that what was found is none that is not shown. More of them are of a common word, which gives nothing away."""
_RUNS = re.compile(r"[\x00-\x7f]+")


@dataclass(frozen=True)
class Store:
    """Where a store keeps its texts. table, text: of what was said; a row belongs to the talk in ``conversation`` and has a growing ``id``. role: SQL
    of who said it. page: where a talk is opened. place: the address's parameter for the text, empty where the page knows none."""

    kind: str
    table: str
    text: str
    role: str
    page: str
    place: str = ""


CHAT = Store("chat", "messages", "content", "role", "chat", "m")
AGENT = Store("agent", "turns", "text || ' ' || coalesce(answer, '')", "'user'", "agent")


@dataclass(frozen=True)
class Place:
    """The newest text of a talk that was found, and in how many of its texts it was."""

    text: int
    count: int


def group(db: Database, of: Store, asked: Query, limit: int) -> Group:
    """The talks that are looked for.

    Raises:
        PanelError: the file was damaged, and nobody has read of it yet; it cannot be read.
    """
    _whole(db)
    titles = {row["id"]: row for row in _titles(db, MOST_TALKS)}
    places, since = _places(db, of, asked)
    fitting: list[tuple[int, float, sqlite3.Row]] = []
    for id_, row in titles.items():
        rank = asked.rank(named(row["title"])[1])
        if rank is not None or id_ in places:
            fitting.append((TEXT if rank is None else rank, -row["updated"], row))
    hits = (
        _told(db, of, asked, _hit(of, row, rank, places.get(row["id"])))
        for rank, _when, row in heapq.nsmallest(limit, fitting, key=lambda each: each[:2])
    )
    return Group(of.kind, tuple(hits), len(fitting), since=since)


def newest(db: Database, of: Store, limit: int) -> Group:
    """The talks of last."""
    _whole(db)
    with db.read() as file:
        count = int(file.execute("SELECT count(*) FROM conversations").fetchone()[0])
    return Group(of.kind, tuple(_hit(of, row, -1, None) for row in _titles(db, limit)), count)


def _whole(db: Database) -> None:
    damage: PanelError | None = db.notice()
    if damage is not None:
        raise damage


def _titles(db: Database, limit: int) -> list[sqlite3.Row]:
    query = "SELECT id, title, model, updated FROM conversations ORDER BY updated DESC, id LIMIT ?"
    with db.read() as file:
        return file.execute(query, (limit,)).fetchall()


def _places(db: Database, of: Store, asked: Query) -> tuple[dict[str, Place], float | None]:
    """The newest place of each talk, and since when was looked, where that is not for ever."""
    where, values = _where(of, asked)
    places: dict[str, Place] = {}
    with db.read() as file:
        last, first = file.execute(f"SELECT max(id), min(id) FROM {of.table}").fetchone()
    if last is None:
        return places, None
    checked, least = 0, max(first, last - MOST_TEXTS + 1)
    for top in range(last, least - 1, -AT_ONCE):
        bottom = max(least, top - AT_ONCE + 1)
        for talk, text, count in _found(db, of, where, values, (bottom, top)):
            known = places.get(talk)
            if checked < CHECKED:
                checked += 1
                if not _shows(db, of, asked, text):
                    older = _older(db, of, asked, (where, values), talk, text)
                    if older is None:
                        continue
                    text, count = older, max(1, count - 1)
            places[talk] = Place(known.text, known.count + count) if known else Place(text, count)
        if len(places) >= ENOUGH:
            break
    if bottom == first:
        return places, None
    with db.read() as file:
        row = file.execute(f"SELECT created FROM {of.table} WHERE id >= ? ORDER BY id LIMIT 1", (bottom,)).fetchone()
    return places, row["created"] if row else None


def _found(
    db: Database, of: Store, where: str, values: Sequence[str], ids: tuple[int, int]
) -> list[tuple[str, int, int]]:
    """(talk, its newest text that fits, how many fit) among the texts from the first to the second of ``ids``, the newest first."""
    # "+": walk the texts in their order, whatever index there is.
    query = (
        f"SELECT conversation, max(id), count(*) FROM {of.table} WHERE id BETWEEN ? AND ? AND {where} "
        "GROUP BY +conversation ORDER BY max(id) DESC"
    )
    with db.read() as file:
        file.create_function("folded", 1, fold, deterministic=True)
        return [(talk, text, count) for talk, text, count in file.execute(query, (*ids, *values))]


def _where(of: Store, asked: Query) -> tuple[str, list[str]]:
    """SQL that holds where all words occur, the longest, which is the rarest, first."""
    terms, values = [], []
    for word, typed in sorted(zip(asked.words, asked.typed, strict=True), key=lambda pair: -len(pair[0])):
        forms = {word}
        if not typed.isascii():
            forms |= {form for said in (word, typed) for form in (said, said.lower(), said.upper(), said.capitalize())}
        run = max(_RUNS.findall(word), key=len, default="")
        if forms != {word} and len(run) >= 3 and not any(c.casefold().isascii() for c in typed if not c.isascii()):
            terms.append(f"({of.text}) LIKE ? ESCAPE ?")  # the part whose case SQLite knows is looked for quicker
            values += _like(run)
        terms.append(f"({' OR '.join([f'({of.text}) LIKE ? ESCAPE ?'] * len(forms))})")
        for form in sorted(forms):
            values += _like(form)
        if " " in word:  # the blank may be the end of a line, and nothing else
            terms.append(f"instr(folded({of.text}), ?) > 0")
            values.append(word)
    return " AND ".join(terms), values


def _like(text: str) -> list[str]:
    """Pattern and escape sign for SQL; a blank stands for any blanks."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return ["%" + escaped.replace(" ", "%") + "%", "\\"]


def _older(db: Database, of: Store, asked: Query, terms: tuple[str, Sequence[str]], talk: str, text: int) -> int | None:
    """The newest of the texts before ``text``, whose words are in what is not shown, that shows them."""
    query = f"SELECT id FROM {of.table} WHERE conversation = ? AND id < ? AND {terms[0]} ORDER BY id DESC LIMIT 20"
    with db.read() as file:
        rows = file.execute(query, (talk, text, *terms[1])).fetchall()
    return next((int(row["id"]) for row in rows if _shows(db, of, asked, row["id"])), None)


def _shows(db: Database, of: Store, asked: Query, text: int) -> bool:
    """Whether the words are in what is shown of the text."""
    said = _said(db, of, text)
    return said is not None and asked.rank("", fold(shown(said["said"]))) is not None


def _said(db: Database, of: Store, text: int) -> sqlite3.Row | None:
    with db.read() as file:
        query = f"SELECT {of.role} AS role, {of.text} AS said FROM {of.table} WHERE id = ?"
        found: sqlite3.Row | None = file.execute(query, (text,)).fetchone()
        return found


def _hit(of: Store, row: sqlite3.Row, rank: int, place: Place | None) -> Hit:
    address = {"c": row["id"]}
    more = {"model": row["model"]}
    if place:
        more |= {"text": place.text, "count": place.count}
        if of.place:
            address[of.place] = str(place.text)
    return Hit(of.kind, row["id"], named(row["title"])[0], "", of.page, address, row["updated"], rank, more)


def _told(db: Database, of: Store, asked: Query, hit: Hit) -> Hit:
    """``hit`` with what was said at its place; nothing where only the title fits."""
    said = _said(db, of, hit.more["text"]) if "text" in hit.more else None
    if said is None:
        return hit
    context = around(asked, shown(said["said"]))
    return replace(hit, context=context, more={**hit.more, "role": said["role"]})
