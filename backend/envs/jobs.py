"""The jobs that make, test and bundle environments: asked for by pages and commands, and found again by their engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.queue import folder
from backend.queue.rows import DONE, LIVE, JobRow
from backend.queue.store import Store

INSTALL, TEST, BUNDLE = "install_env", "test_env", "bundle_env"
VERBS = (INSTALL, TEST, BUNDLE)
ALIVE = ("queued", *LIVE)
LOOKED_AT = 50
"""Jobs of each kind among which the newest of an engine is looked for."""


@dataclass(frozen=True)
class EngineJobs:
    """What runs or waits for one engine, and what ended last; None where there is none. A second wish for the same thing
    is the job that is under way."""

    alive: JobRow | None = None
    ended: JobRow | None = None


def engine_of(store: Store, row: JobRow) -> str:
    """The name of the engine that the job ``row`` is for; empty where its folder is damaged."""
    return _engine(store.job_dir(row.id) / folder.SPEC)


def by_engine(store: Store) -> dict[str, EngineJobs]:
    """The jobs of every engine that ever had one of late."""
    alive: dict[str, JobRow] = {}
    ended: dict[str, JobRow] = {}
    for verb in VERBS:
        for row in store.list(states=ALIVE, verb=verb, limit=LOOKED_AT):
            name = engine_of(store, row)
            # The one that began first is at work, the others wait for it.
            if name not in alive or row.id < alive[name].id:
                alive[name] = row
        for row in store.list(states=DONE, verb=verb, limit=LOOKED_AT):
            name = engine_of(store, row)
            if name not in ended or _end(row) > _end(ended[name]):
                ended[name] = row
    return {name: EngineJobs(alive.get(name), ended.get(name)) for name in {*alive, *ended}}


def ask(store: Store, verb: str, spec: dict[str, Any], submit_key: str | None = None) -> tuple[JobRow, bool]:
    """The job ``verb`` for ``spec["engine"]``, and whether it is a new one: while a job of this kind is under way for that
    engine, it is that one.

    Raises:
        SpecError, WorkspaceError: see :meth:`backend.queue.store.Store.submit`.
    """
    for row in store.list(states=ALIVE, verb=verb, limit=LOOKED_AT):
        if engine_of(store, row) == spec.get("engine"):
            return row, False
    return store.submit(verb, spec, submit_key=submit_key), True


def last_seconds(store: Store, engine: str) -> float | None:
    """How long the last install of ``engine`` took on this machine that went well; None where there was none."""
    for row in store.list(states=("succeeded",), verb=INSTALL, limit=LOOKED_AT):
        if engine_of(store, row) == engine and row.elapsed:
            return row.elapsed
    return None


def _end(row: JobRow) -> float:
    return row.ended or row.created


@lru_cache(maxsize=512)
def _engine(spec: Path) -> str:
    """A spec never changes, and no two jobs of one workspace share a number."""
    try:
        return str(json.loads(spec.read_text(encoding="utf-8")).get("engine", ""))
    except (OSError, ValueError, AttributeError):
        return ""
