"""What a search gives back: hits, and a group of them for each kind of thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.errors import PanelError


@dataclass(frozen=True)
class Hit:
    """One thing. kind: one of :data:`backend.search.KINDS`. key: unique in its kind. title: as people call it. context: one line, around what was
    found where it is a text. page, address: where it is, the page's file name and query parameters. when: epoch seconds, None where a thing has no
    time. rank: see :mod:`backend.search.words`; -1: nothing was looked for. more: what a page may say beside, such as a job's ``verb`` and ``state``.
    """

    kind: str
    key: str
    title: str
    context: str
    page: str
    address: Mapping[str, str] = field(default_factory=dict)
    when: float | None = None
    rank: int = -1
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """What one kind has: ``count`` in all, the best of them in ``hits``. problem: why it could not be searched. since: only what is newer was looked
    at (epoch seconds), None: all of it. near: nothing is called so, these are called nearly so."""

    kind: str
    hits: tuple[Hit, ...] = ()
    count: int = 0
    problem: PanelError | None = None
    since: float | None = None
    near: bool = False


def best(kind: str, hits: list[Hit], limit: int, *, since: float | None = None) -> Group:
    """The group of ``hits``: what fits better first, within that the newer, then by title."""
    hits.sort(key=lambda hit: (hit.rank, -(hit.when or 0.0), hit.title.casefold()))
    return Group(kind, tuple(hits[:limit]), len(hits), since=since)
