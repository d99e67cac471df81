"""Search in everything that was said: titles and messages of all branches, in any language, with the place found.

Upper and lower case are the same, in every alphabet (``Über`` finds ``über``), which SQLite alone can do for ASCII only.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.chat.conversations import Conversations
from backend.chat.records import Conversation, clean, conversation_from_sql

AROUND = 40
"""Characters shown before and after what was found."""
PLACES = 3
"""Places shown of one conversation: the newest ones."""


@dataclass(frozen=True)
class Place:
    """Where it stands: the message, and its text before, in and after what was found, in one line."""

    message: int
    role: str
    before: str
    match: str
    after: str


@dataclass(frozen=True)
class Found:
    """A conversation with its newest places. ``count``: how many messages hold the text; 0 where only the title does."""

    conversation: Conversation
    places: tuple[Place, ...]
    count: int


def search(store: Conversations, text: str, *, limit: int = 30) -> list[Found]:
    """The conversations that hold ``text`` in their title or in a message, the last used first.

    Raises:
        WorkspaceError: the conversations cannot be read.
    """
    needle = clean(" ".join(text.split())).casefold()
    if not needle:
        return []
    with store.read() as db:
        db.create_function("folded", 1, _folded, deterministic=True)
        hits: dict[str, list[int]] = {}
        query = "SELECT conversation, id FROM messages WHERE instr(folded(content), ?) > 0 ORDER BY id DESC"
        for row in db.execute(query, (needle,)):
            hits.setdefault(row["conversation"], []).append(row["id"])
        found = []
        for row in db.execute("SELECT * FROM conversations ORDER BY updated DESC, id"):
            ids = hits.get(row["id"], [])
            if not ids and needle not in _folded(row["title"]):
                continue
            places = []
            for message in ids[:PLACES]:
                role, content = db.execute("SELECT role, content FROM messages WHERE id = ?", (message,)).fetchone()
                places.append(_place(message, role, content, needle))
            found.append(Found(conversation_from_sql(row), tuple(places), len(ids)))
            if len(found) == limit:
                break
    return found


def _folded(text: str) -> str:
    """As it is compared: case and the kind and number of blanks do not count."""
    return " ".join(text.split()).casefold()


def _place(message: int, role: str, content: str, needle: str) -> Place:
    line = " ".join(content.split())
    start = line.casefold().find(needle)
    if len(line.casefold()) != len(line):
        # Some letters are two when folded (ß): count in the text as it is.
        lengths, wanted = 0, start
        for start, character in enumerate(line):  # noqa: B007 - the place is what is wanted
            if lengths >= wanted:
                break
            lengths += len(character.casefold())
    end = start + len(needle)
    before = line[max(0, start - AROUND) : start]
    after = line[end : end + AROUND]
    return Place(
        message,
        role,
        ("…" if start > AROUND else "") + before,
        line[start:end],
        after + ("…" if len(line) > end + AROUND else ""),
    )
