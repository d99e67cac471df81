"""An answer of arXiv's API, an Atom feed, as text for a model. Entities and document types are refused, not expanded."""

from __future__ import annotations

from typing import Any

from lxml import etree

from backend import said
from backend.errors import PanelError
from jobs.agent.tools import arxiv_failures

_ATOM, _ARXIV = "{http://www.w3.org/2005/Atom}", "{http://arxiv.org/schemas/atom}"
_TOTAL = "{http://a9.com/-/spec/opensearch/1.1/}totalResults"
MOST_AUTHORS, MOST_ABSTRACT = 8, 1500


def text(body: bytes, query: str, most: int) -> str:
    """The papers of the feed ``body``, numbered.

    Raises:
        PanelError: ``arxiv_unreadable``; ``arxiv_refused``: the feed says what was wrong with the question.
    """
    feed = check(body)
    papers = feed.findall(f"{_ATOM}entry")[:most]
    # An id that does not exist gives an entry without a title.
    papers = [paper for paper in papers if _line(paper, "title")]
    if not papers:
        return f"No paper on arXiv fits: {query}\nTry fewer or other words, in English; all of them must be in a paper's record."
    total = _words(feed.findtext(_TOTAL))
    head = f"arXiv: {len(papers)} of {total} papers for: {query}" if total.isdigit() else f"arXiv, for: {query}"
    return "\n\n".join([head, *(_paper(number, paper) for number, paper in enumerate(papers, 1))])


def check(body: bytes) -> Any:
    """The feed, where it is one and no error; raises as :func:`text`."""
    feed = _parsed(body)
    if (problem := _error(feed)) is not None:
        raise arxiv_failures.refused(problem)
    return feed


def refusal(body: bytes) -> str:
    """What an answer with another status than 200 says was wrong; empty where it says nothing."""
    try:
        return _error(_parsed(body)) or ""
    except PanelError:
        return ""


def _parsed(body: bytes) -> Any:
    try:
        told = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise arxiv_failures.unreadable(said._("it is not UTF-8")) from None
    if "<!DOCTYPE" in told or "<!ENTITY" in told:
        raise arxiv_failures.unreadable(said._("it has a document type, as web pages have"))
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        feed = etree.fromstring(told.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise arxiv_failures.unreadable(str(error)[:200]) from error
    if feed.tag != f"{_ATOM}feed":
        raise arxiv_failures.unreadable(said._("it is XML, but no Atom feed"))
    return feed


def _error(feed: Any) -> str | None:
    for entry in feed.findall(f"{_ATOM}entry"):
        if "/api/errors" in _line(entry, "id") or (
            _line(entry, "title") == "Error" and _line(entry, "published") == ""
        ):
            return _line(entry, "summary") or "it does not say why"
    return None


def _paper(number: int, paper: Any) -> str:
    names = [_words(name.text) for name in paper.findall(f"{_ATOM}author/{_ATOM}name")]
    others = f" and {len(names) - MOST_AUTHORS} others" if len(names) > MOST_AUTHORS else ""
    dates = [_line(paper, name)[:10] for name in ("published", "updated")]
    changed = f", last changed {dates[1]}" if dates[1] and dates[1] != dates[0] else ""
    main = paper.find(f"{_ARXIV}primary_category")
    kinds = dict.fromkeys([] if main is None else [str(main.get("term", ""))])
    kinds |= dict.fromkeys(str(each.get("term", "")) for each in paper.findall(f"{_ATOM}category"))
    abstract = _line(paper, "summary")
    if len(abstract) > MOST_ABSTRACT:
        abstract = abstract[:MOST_ABSTRACT].rsplit(" ", 1)[0] + " …"
    lines = [
        f"{number}. {_line(paper, 'title')}",
        f"   Authors: {', '.join(names[:MOST_AUTHORS])}{others}",
        f"   Date: {dates[0]}{changed}   Categories: {', '.join(kind for kind in kinds if kind)}",
        f"   Page: {_line(paper, 'id')}{_pdf(paper)}",
        *(f"   {title}: {found}" for title, name in _MORE if (found := _words(paper.findtext(f"{_ARXIV}{name}")))),
        f"   Abstract: {abstract}",
    ]
    return "\n".join(lines)


_MORE = (("Comment", "comment"), ("Published in", "journal_ref"), ("DOI", "doi"))


def _pdf(paper: Any) -> str:
    for link in paper.findall(f"{_ATOM}link"):
        if link.get("title") == "pdf":
            return f"   PDF: {link.get('href')}"
    return ""


def _line(entry: Any, name: str) -> str:
    return _words(entry.findtext(f"{_ATOM}{name}"))


def _words(found: str | None) -> str:
    return " ".join((found or "").split())
