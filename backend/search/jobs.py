"""Jobs: by title, number, what they work on, and what went wrong."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.errors import PanelError
from backend.queue import folder
from backend.queue.store import Store
from backend.search.found import Group, Hit
from backend.search.words import EXACT, TEXT, WITHIN, Near, Query, around, fold, named, shown

MOST = 20_000
"""The newest ones; a workspace with more of them is told so."""
MOST_SPECS = 500
"""Specs are files of their own: those of so many newest jobs are read, each once in the life of the process."""
NAMED = (
    "model",
    "models",
    "base",
    "dataset",
    "datasets",
    "data",
    "engine",
    "method",
    "set",
    "repo",
    "name",
    "adapters",
)
"""What of a spec is looked at: what a job works on. A spec holds no secrets, but prompts and paths that nobody looks for here."""
_COLUMNS = "id, verb, title, state, created, ended, error"


@dataclass(frozen=True, slots=True)
class _Job:
    """A job as it is looked at. stamp: what of its row may change. name: its title, folded. also: its kind of work, what it works on and its
    error, folded."""

    id: int
    stamp: tuple[Any, ...]
    verb: str
    title: str
    state: str
    created: float
    when: float
    error: str
    name: str
    also: str


def group(store: Store, asked: Query, limit: int, *, near: bool = False) -> Group:
    """The jobs that are looked for, with the title first, then by what they work on and by their errors."""
    number = asked.text.lstrip("#").strip()
    wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else None
    meant = Near(asked) if near else None
    known = _known(store)
    fitting: list[tuple[int, float, _Job]] = []
    for job in known:
        if meant is not None:
            rank = WITHIN if meant(job.name) else None
        else:
            rank = EXACT if job.id == wanted else asked.rank(job.name, job.also)
        if rank is not None:
            fitting.append((rank, -job.when, job))
    best = heapq.nsmallest(limit, fitting, key=lambda each: each[:2])
    since = known[-1].created if len(known) == MOST else None
    return Group("jobs", tuple(_hit(store, job, rank, asked) for rank, _when, job in best), len(fitting), since=since)


def newest(store: Store, limit: int) -> Group:
    """The jobs of last."""
    hits = tuple(_hit(store, job, -1, None) for job in _known(store)[:limit])
    return Group("jobs", hits, sum(store.counts().values()))


_read: dict[str, tuple[int, int, list[_Job]]] = {}
"""Database -> its file, its count of changes, and the jobs in it then."""


def _known(store: Store) -> list[_Job]:
    """The newest jobs, the newest first. While one works, the list changes each second: only those whose row has changed are made anew."""
    path = str(store.path)
    file, version = store.path.stat().st_ino, store.version()
    kept = _read.get(path)
    if kept is not None and kept[:2] == (file, version):
        return kept[2]
    if len(_read) > 4:
        _read.clear()
    known = {job.id: job for job in kept[2]} if kept is not None and kept[0] == file else {}
    with store.read() as db:
        rows = db.execute(f"SELECT {_COLUMNS} FROM jobs ORDER BY id DESC LIMIT ?", (MOST,)).fetchall()
    jobs = [_job(store, row, place, known.get(row[0])) for place, row in enumerate(rows)]
    _read[path] = (file, version, jobs)
    return jobs


def _job(store: Store, row: sqlite3.Row, place: int, known: _Job | None) -> _Job:
    stamp = tuple(row)
    if known is not None and known.stamp == stamp:
        return known
    works_on = _works_on(store, row["id"]) if place < MOST_SPECS else ""
    also = fold(" ".join((row["verb"], _text(works_on, row["error"]))))
    when = row["ended"] or row["created"]
    title, name = named(row["title"])
    return _Job(row["id"], stamp, row["verb"], title, row["state"], row["created"], when, row["error"], name, also)


def _hit(store: Store, job: _Job, rank: int, asked: Query | None) -> Hit:
    works_on = _works_on(store, job.id)
    context = around(asked, _text(works_on, job.error)) if asked and rank >= TEXT else works_on
    more = {"verb": job.verb, "state": job.state, "number": job.id}
    address = {"job": str(job.id)}
    return Hit("jobs", str(job.id), job.title or f"#{job.id}", context, "jobs", address, job.when, rank, more)


def _text(works_on: str, error: str) -> str:
    return " · ".join(filter(None, (works_on, _error(error) if error != "{}" else "")))


@lru_cache(maxsize=4096)
def _error(stored: str) -> str:
    """A job's error in English, with its code and the line that shows it."""
    try:
        data = json.loads(stored)
        said = str(PanelError.from_dict(data))
        evidence = (data.get("evidence") or {}).get("text") or ""
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        return ""
    return shown(" · ".join(filter(None, (str(data.get("code") or ""), said, str(evidence)))))


def _works_on(store: Store, job: int) -> str:
    return _of_spec(str(store.job_dir(job)))


@lru_cache(maxsize=20_000)
def _of_spec(job_dir: str) -> str:
    """What the spec in ``job_dir`` names, which never changes; empty where there is none."""
    try:
        spec = folder.read(Path(job_dir), folder.SPEC)
    except (OSError, ValueError):
        spec = None
    if not isinstance(spec, dict):
        return ""
    return shown(" · ".join(dict.fromkeys(part for name in NAMED for part in _names(spec.get(name)))))


def _names(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return [value[:200]] if value.strip() else []
    if isinstance(value, list):
        return [part for each in value[:8] for part in _names(each)]
    return []
