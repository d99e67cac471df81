"""One search over all kinds, each by its own reader; and what was used last, for whoever has not said what they look for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from backend.errors import PanelError
from backend.i18n import N_
from backend.search import docs, jobs, places, talks, things
from backend.search.found import Group
from backend.search.sources import Sources
from backend.search.words import Query

_LISTS = {
    "models": things.models,
    "datasets": things.datasets,
    "evaluations": things.evaluations,
    "sets": things.question_sets,
    "engines": things.engines,
    "pages": places.places,
}
Lists = dict[str, list[things.Thing]]
"""What was read in this search already."""
KINDS = ("models", "datasets", "jobs", "chat", "agent", "evaluations", "sets", "docs", "pages", "engines")
"""What can be found, in the order in which it is shown."""
DATED = ("chat", "jobs", "datasets", "models", "evaluations", "agent")
"""Kinds of things that somebody worked at."""
NAMED = (*_LISTS, "jobs")
"""Kinds of things that have names, which one may mistype; a conversation has a text."""
SHOWN = 5


def search(
    sources: Sources, asked: Query, kinds: Iterable[str] = (), *, limit: int = SHOWN, most: int = 50
) -> list[Group]:
    """A group for each of ``kinds`` (none: all) that has something, or cannot be searched. limit: hits of each; where one kind alone is asked for,
    ``most``. Where nothing at all is found, what has nearly that name."""
    wanted = [kind for kind in KINDS if kind in kinds] or list(KINDS)
    if not asked.words:
        return []
    room = most if len(wanted) == 1 else limit
    lists: Lists = {}

    def look(kind: str, near: bool) -> Group:
        return _guarded(kind, lambda: _group(sources, lists, kind, asked, room, near=near))

    groups = [look(kind, False) for kind in wanted]
    if not any(group.count for group in groups):
        named = [kind for kind in wanted if kind in NAMED and not _problem(groups, kind)]
        near = [look(kind, True) for kind in named]
        groups += [Group(one.kind, one.hits, one.count, near=True) for one in near if one.count]
    return [group for group in groups if group.count or group.problem or group.since]


def recent(sources: Sources, kinds: Iterable[str] = (), *, limit: int = 3) -> list[Group]:
    """What was used last of each kind that has a time."""
    wanted = [kind for kind in DATED if kind in kinds] or list(DATED)
    groups = [_guarded(kind, lambda kind=kind: _newest(sources, kind, limit)) for kind in wanted]  # type: ignore[misc]
    return [group for group in groups if group.hits or group.problem]


def _group(sources: Sources, lists: Lists, kind: str, asked: Query, limit: int, *, near: bool) -> Group:
    if kind == "docs":
        return docs.group(asked, limit)
    if kind == "jobs":
        return jobs.group(sources.jobs(), asked, limit, near=near)
    if kind == "chat":
        return talks.group(sources.conversations(), talks.CHAT, asked, limit)
    if kind == "agent":
        return talks.group(sources.agents(), talks.AGENT, asked, limit)
    if kind == "evaluations":
        _sound(sources.runs().notice())
    if kind not in lists:
        lists[kind] = list(_LISTS[kind](sources))
    return things.group(kind, lists[kind], asked, limit, near=near)


def _newest(sources: Sources, kind: str, limit: int) -> Group:
    if kind == "jobs":
        return jobs.newest(sources.jobs(), limit)
    if kind == "chat":
        return talks.newest(sources.conversations(), talks.CHAT, limit)
    if kind == "agent":
        return talks.newest(sources.agents(), talks.AGENT, limit)
    return things.newest(kind, _LISTS[kind](sources), limit)


def _sound(notice: PanelError | None) -> None:
    if notice is not None:
        raise notice


def _problem(groups: Iterable[Group], kind: str) -> bool:
    return any(group.kind == kind and group.problem for group in groups)


def _guarded(kind: str, read: Callable[[], Group]) -> Group:
    """What ``read`` gives; a group with the reason where it cannot be read. One damaged kind must not hide the others."""
    try:
        return read()
    except PanelError as error:
        return Group(kind, problem=error)
    except Exception as defect:  # the place before a person: whatever lies in a foreign file, the other kinds are shown
        logging.getLogger("tunedeck").exception("search in %s", kind)
        problem = PanelError(
            "search_failed",
            N_("This could not be searched: {problem}"),
            N_("The others were. Its own page says more about what is wrong with it."),
            problem=f"{type(defect).__name__}: {defect}",
        )
        return Group(kind, problem=problem)
