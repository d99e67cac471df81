"""arXiv's API on loopback, as its user's manual describes it: feeds, its way to say no, and its bad days.

with stub(feed(paper("1706.03762", "Attention"))) as arxiv:   # the last answer is given again and again
    settings = {"arxiv_search": {"base_url": arxiv.url("/api/query")}}
    arxiv.queries()  # what was asked, parsed
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from tests.support.stub_web import Handler, Page, Web, answer, site

PATH = "/api/query"
ATOM = "application/atom+xml; charset=UTF-8"
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom">
<title type="html">ArXiv Query</title><id>http://arxiv.org/api/x</id><updated>2026-11-27T00:00:00-05:00</updated>
<opensearch:totalResults>{total}</opensearch:totalResults>
"""


@dataclass
class Arxiv:
    """A running stub."""

    web: Web

    @property
    def base_url(self) -> str:
        return self.web.url(PATH)

    def queries(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(urlsplit(asked.path).query, keep_blank_values=True)) for asked in self.web.seen]

    def times(self) -> list[float]:
        return [asked.at for asked in self.web.seen]


@contextmanager
def stub(*answers: Page) -> Iterator[Arxiv]:
    """Give ``answers`` one after another, the last one for ever."""
    left = list(answers)

    def next_one(handler: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    with site({PATH: next_one}) as web:
        yield Arxiv(web)


def feed(*papers: str, total: int | None = None) -> Page:
    """A feed with these entries."""
    return atom(_HEAD.format(total=len(papers) if total is None else total) + "".join(papers) + "</feed>")


def atom(text: str | bytes, status: int = 200, **headers: str) -> Page:
    """Anything, called a feed."""
    return answer(status, ATOM, text.encode() if isinstance(text, str) else text, **headers)


def paper(identity: str, title: str, *, abstract: str = "We show it.", authors: tuple[str, ...] = ("Ada L.",)) -> str:
    """One entry."""
    names = "".join(f"<author><name>{escape(name)}</name></author>" for name in authors)
    return (
        f"<entry><id>http://arxiv.org/abs/{identity}v2</id><published>2017-06-12T17:57:34Z</published>"
        f"<updated>2023-08-02T00:41:18Z</updated><title>{escape(title)}</title><summary>  {escape(abstract)}\n</summary>"
        f"{names}<arxiv:comment>15 pages</arxiv:comment>"
        f'<link href="http://arxiv.org/abs/{identity}v2" rel="alternate" type="text/html"/>'
        f'<link title="pdf" href="http://arxiv.org/pdf/{identity}v2" rel="related" type="application/pdf"/>'
        '<arxiv:primary_category term="cs.CL"/><category term="cs.CL"/><category term="cs.LG"/></entry>'
    )


def refusal(summary: str) -> str:
    """The entry with which the API says no."""
    return (
        f"<entry><id>http://arxiv.org/api/errors#{escape(summary.replace(' ', '_'))}</id><title>Error</title>"
        f"<summary>{escape(summary)}</summary><updated>2026-11-27T00:00:00-05:00</updated>"
        "<author><name>arXiv api core</name></author></entry>"
    )
