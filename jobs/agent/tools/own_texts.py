"""The tool ``own_texts``: a search in the person's own datasets and documents. The words are found by
:mod:`backend.agent.search`; here they become numbered passages that say where each stands."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.agent.own_tools import OWN_TEXTS
from backend.agent.search import documents, keeping, rows, terms
from backend.agent.tools import Context, Result, Tool
from backend.data.rows import split_of
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.errors import DataError, NotFoundError, PanelError
from backend.i18n import N_
from jobs.agent.results import shaped
from jobs.agent.tools import arguments, foreign

PLACES = ("all", "datasets", "documents")
BUILD_S, LEAST_S = 60.0, 0.5
"""Seconds of one call for reading what was never searched, and of them what each place has at least, however long others took."""
MOST_EXCERPT, MOST_TEXT = 1500, 16_000
MOST_NAMED = 30


@dataclass
class _Found:
    """hits: (words of the question in it, its place in its own list, where it stands, its text). notes: what was not searched."""

    hits: list[tuple[int, int, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)

    def add(self, order: int, where: str, text: str, asked: terms.Question) -> None:
        self.hits.append((terms.coverage(text, asked.roots), order, where, text))


class OwnTexts:
    """Searches datasets and documents. build_s: so long one call reads for the first time what was never searched."""

    tool = Tool(
        name=OWN_TEXTS.name,
        title=OWN_TEXTS.title,
        purpose=OWN_TEXTS.purpose,
        description=(
            "Search the user's own datasets and documents in this panel. Returns numbered passages with their place "
            "(dataset, version and row, or document and page). query: a few words, in the language of the texts; "
            'words in "double quotes" must stand side by side.'
        ),
        parameters={
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "Words to look for"},
                "in": {"type": "string", "enum": list(PLACES), "default": "all"},
                "name": {"type": "string", "description": "Only this dataset (NAME or NAME@VERSION) or document"},
                "max_results": {"type": "integer", "minimum": 1, "maximum": 20, "default": 5},
            },
            "required": ["query"],
        },
    )

    def __init__(self, build_s: float = BUILD_S) -> None:
        self._build_s = build_s

    def call(self, arguments_: Mapping[str, Any], context: Context) -> Result:
        """The passages that fit best."""
        began = arguments.now()
        try:
            query = arguments.text(arguments_, "query", most=500)
            place = arguments.choice(arguments_, "in", PLACES, default="all")
            name = arguments.text(arguments_, "name", most=200, default="")
            most = arguments.number(arguments_, "max_results", least=1, most=20, default=5)
            found, asked = self._search(context, query, place, name, most)
            told = _told(found, asked, query, most)
            return shaped(
                foreign.marked(told, "the user's datasets and documents"), context, self.tool.name, began=began
            )
        except PanelError as error:
            return arguments.refused(error, context, self.tool.name, began=began)

    def _search(self, context: Context, query: str, place: str, name: str, most: int) -> tuple[_Found, terms.Question]:
        asked = terms.question(query)
        if asked is None:
            raise _no_words(query)
        found, until = _Found(), time.monotonic() + self._build_s
        sets = _sets(context, name) if place != "documents" else []
        papers = documents.sources(context.workspace) if place != "datasets" else []
        meant = _meant(papers, name)
        if name and not sets and not meant:
            raise _unknown(context, place, name)
        for version in sets:
            try:
                _in_rows(found, context, version, asked, most, until)
            except DataError as error:
                if name:
                    raise
                found.notes.append(str(error))
        if meant:
            _in_documents(found, context, papers, meant, asked, most, until)
        keeping.tidy(context.workspace)
        return found, asked


def _sets(context: Context, name: str) -> list[Version]:
    """The datasets that are meant, each in its current version or the one that is named."""
    sets = Datasets(context.workspace)
    if not name:
        return [sets.open(info.name) for info in sets.list()]
    known = {info.name.casefold(): info.name for info in sets.list()}
    if name.casefold() in known:
        return [sets.open(known[name.casefold()])]
    dataset, at, version = name.rpartition("@")
    if at and dataset.casefold() in known:
        return [sets.open(known[dataset.casefold()], version)]
    return []


def _meant(papers: list[documents.Source], name: str) -> set[str]:
    """The names of the documents that are meant: just this one, else all that have ``name`` in theirs."""
    names, wanted = {paper.name for paper in papers}, name.casefold()
    exact = {each for each in names if each.casefold() == wanted}
    return exact or {each for each in names if wanted in each.casefold()}


def _in_rows(found: _Found, context: Context, version: Version, asked: terms.Question, most: int, until: float) -> None:
    left = max(LEAST_S, until - time.monotonic())
    got = rows.search(context.workspace, version, asked, most=most, stopped=context.stopped, build_s=left)
    label, total = f"dataset '{version.dataset}', version {version.info.id}", len(version)
    found.searched.append(f"dataset '{version.dataset}' ({_counted(total, 'row')})")
    if got.searched < total:
        found.notes.append(
            f"Of {label} only the first {got.searched:,} of {total:,} rows were searched; ask again to go on."
        )
    for order, number in enumerate(got.numbers):
        row = version[number]
        where = f"{label}, row {number + 1:,} of {total:,} ({split_of(row)})"
        found.add(order, where, rows.text_of(row)[: rows.MOST_CHARS], asked)


def _in_documents(
    found: _Found,
    context: Context,
    papers: list[documents.Source],
    meant: set[str],
    asked: terms.Question,
    most: int,
    until: float,
) -> None:
    left = max(LEAST_S, until - time.monotonic())
    got = documents.search(
        context.workspace, papers, asked, most=most, names=meant.__contains__, stopped=context.stopped, build_s=left
    )
    found.searched.append(_counted(got.documents, "document"))
    found.notes += [f"Document '{name}' is left out: {why}" for name, why in got.left_out[:10]]
    if got.waiting:
        found.notes.append(f"{got.waiting:,} documents were not read yet; ask again to go on.")
    for order, passage in enumerate(got.passages):
        place = f", {passage.place}" if passage.place else ""
        found.add(order, f"document '{passage.name}' ({passage.origin}){place}", passage.text, asked)


def _told(found: _Found, asked: terms.Question, query: str, most: int) -> str:
    best = sorted(found.hits, key=lambda hit: (-hit[0], hit[1]))[:most]
    named = found.searched[:MOST_NAMED] + (["…"] if len(found.searched) > MOST_NAMED else [])
    if not found.searched:
        head = (
            "There are no datasets or documents here to search in." if not found.notes else "Nothing could be searched."
        )
    elif not best:
        head = f"Nothing was found for: {query}\nTry other words, or fewer."
    else:
        head = f"{_counted(len(best), 'passage')} for: {query}"
    if found.searched:
        head += f"\nSearched: {', '.join(named)}"
    size = min(MOST_EXCERPT, MOST_TEXT // max(1, len(best)))
    passages = [
        f"[{number}] {where}\n{terms.excerpt(text, asked.roots, size)}"
        for number, (_words, _order, where, text) in enumerate(best, 1)
    ]
    return "\n\n".join(["\n".join([head, *found.notes]), *passages])


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}" + ("" if count == 1 else "s")


def _no_words(query: str) -> DataError:
    return DataError(
        "own_texts_no_words",
        N_("There is no word to look for in: {query}"),
        N_("Give one or more words that the texts would hold."),
        query=query[:100],
    )


def _unknown(context: Context, place: str, name: str) -> NotFoundError:
    names = [info.name for info in Datasets(context.workspace).list()] if place != "documents" else []
    if place != "datasets":
        names += sorted({paper.name for paper in documents.sources(context.workspace)})
    return NotFoundError(
        "own_texts_unknown",
        N_("There is no dataset or document called '{name}'. There are: {listing}"),
        N_("Leave the name out to search in all of them."),
        name=name[:100],
        listing=", ".join(names[:MOST_NAMED]) + (" …" if len(names) > MOST_NAMED else "") or "-",
    )
