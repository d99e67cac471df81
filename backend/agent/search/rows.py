"""Search in the rows of one version of a dataset. A version never changes, so its index is made once and is good for ever.

The index is made in steps, each on the disk before the next: whoever is stopped, or has no more time, leaves what there is, and
the next search goes on there. Rows are read one after another, never all of them at once.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from backend.agent.search import keeping, terms
from backend.agent.search.index import Index, looked_through
from backend.data.rows import Row, parse
from backend.data.versions import ROWS, Version
from backend.workspace import Workspace

STEP = 1000
MOST_CHARS = 20_000
"""Of one row; what follows is not searched."""
MOST_BYTES = 1 << 30
"""Of one index; rows that follow are not searched."""
BUILD_S = 60.0
"""So long one search reads rows for the first time."""


@dataclass(frozen=True)
class Found:
    """numbers: of rows, from 0, the best first. searched: how many rows, from the first one, were searched."""

    numbers: tuple[int, ...]
    searched: int


def search(
    workspace: Workspace,
    version: Version,
    asked: terms.Question,
    *,
    most: int,
    stopped: Callable[[], bool] = lambda: False,
    build_s: float = BUILD_S,
) -> Found:
    """The rows that fit ``asked`` best.

    Raises:
        DataError: ``dataset_damaged``.
        ConflictError: ``search_stopped``, ``search_busy``.
        WorkspaceError: the disk is full or read-only.
    """

    def work(index: Index) -> Found:
        if not index.ranked:
            texts = ((number, text) for number, text in _watched(_texts(version, 0), stopped))
            return Found(tuple(looked_through(texts, asked, most)), len(version))
        done = _build(index, version, stopped, time.monotonic() + build_s)
        return Found(tuple(number - 1 for number in index.best(asked, most)), done)

    return keeping.use(workspace, f"{keeping.OF_ROWS}{version.info.id}", work, stopped)


def text_of(row: Row) -> str:
    """What a row says, a line a message: ``user: …``. Calls of tools are part of it."""
    lines = []
    for message in row["messages"]:
        calls = [call.get("function", {}) for call in message.get("tool_calls", ())]
        called = [f"{each.get('name', '')}({each.get('arguments', '')})" for each in calls]
        lines.append(f"{message['role']}: " + " ".join(filter(None, [message["content"], *called])))
    return "\n".join(lines)


def _build(index: Index, version: Version, stopped: Callable[[], bool], until: float) -> int:
    """Read on from where the last one ended; how many rows are in it now."""
    key, total = version.info.id, len(version)
    index.db.execute("INSERT OR IGNORE INTO sources (key, name, origin) VALUES (?, '', 'dataset')", (key,))
    done = int(index.db.execute("SELECT done FROM sources WHERE key = ?", (key,)).fetchone()[0])
    texts = _texts(version, done)
    while done < total and index.size() < MOST_BYTES:
        if stopped():
            raise keeping.stopped_error()
        if time.monotonic() > until:
            break
        step = list(itertools.islice(texts, STEP))
        if not step:
            raise version.damaged(ROWS)
        with index.writing() as db:
            index.add((number + 1, text) for number, text in step)
            done += len(step)
            db.execute("UPDATE sources SET done = ? WHERE key = ?", (done, key))
    return done


def _texts(version: Version, start: int) -> Iterator[tuple[int, str]]:
    try:
        for number, line in enumerate(version.lines(start), start):
            yield number, text_of(parse(line))[:MOST_CHARS]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise version.damaged(ROWS) from error


def _watched(texts: Iterator[tuple[int, str]], stopped: Callable[[], bool]) -> Iterator[tuple[int, str]]:
    for number, text in texts:
        if number % STEP == 0 and stopped():
            raise keeping.stopped_error()
        yield number, text
