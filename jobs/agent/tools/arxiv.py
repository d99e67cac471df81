"""The tool ``arxiv_search``: papers on arXiv, through its API (https://info.arxiv.org/help/api/user-manual.html).

arXiv asks for at most one request every three seconds and one connection at a time (its terms of use for APIs). All
processes of a workspace keep to that together, and the same question is asked once a day: results change at midnight only.
"""

from __future__ import annotations

import email.utils
import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from backend.agent.own_tools import ARXIV
from backend.agent.tools import Context, Result, Tool
from backend.errors import PanelError
from backend.queue import locks
from backend.workspace import Workspace, explain_os_error
from jobs.agent.results import shaped
from jobs.agent.tools import addresses, arguments, arxiv_answers, arxiv_failures, fetch_failures, foreign
from jobs.agent.tools.fetching import Reply, Wanted, fetch

BASE_URL = "https://export.arxiv.org/api/query"
PAUSE_S = 3.0
KEPT_S, MOST_KEPT = 24 * 3600.0, 200
MOST_BYTES = 4_000_000
"""Ten papers are some 50 kB, with 3,000 authors each some 3 MB."""
ANSWER_S, CALL_S = 30.0, 90.0
TRIES, LONGEST_WAIT_S = 3, 30.0
LOOK_S = 0.05
_FIELD = re.compile(r"(?:^|[\s(])(?:ti|au|abs|co|jr|cat|rn|all|submittedDate|lastUpdatedDate):")
_ID = re.compile(
    r"(?:arxiv:|https?://arxiv\.org/(?:abs|pdf)/)?(\d{4}\.\d{4,5}(?:v\d+)?|[a-z-]+(?:\.[A-Z]{2})?/\d{7}(?:v\d+)?)", re.I
)


class Arxiv:
    """Searches arXiv. pause_s: between two requests."""

    tool = Tool(
        name=ARXIV.name,
        title=ARXIV.title,
        purpose=ARXIV.purpose,
        description=(
            "Search scientific papers on arXiv. Returns title, authors, date, categories, links and abstract of each. "
            "query: a few English key words, or arXiv's own syntax such as 'au:bengio AND ti:attention', or one arXiv id."
        ),
        parameters={
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "Key words, such as 'low-rank adaptation', or an arXiv id."},
                "max_results": {"type": "integer", "minimum": 1, "maximum": 10, "default": 5},
                "sort": {"type": "string", "enum": ["relevance", "newest"], "default": "relevance"},
            },
            "required": ["query"],
        },
        network=ARXIV.network,
    )  # fmt: skip

    def __init__(self, pause_s: float = PAUSE_S, answer_s: float = ANSWER_S) -> None:
        self._pause_s, self._answer_s = pause_s, answer_s

    def call(self, arguments_: Mapping[str, Any], context: Context) -> Result:
        """The papers that fit."""
        began = arguments.now()
        try:
            query = arguments.text(arguments_, "query", most=500)
            most = arguments.number(arguments_, "max_results", least=1, most=10, default=5)
            sort = arguments.choice(arguments_, "sort", ("relevance", "newest"), default="relevance")
            url = _url(context, asked(query, most, sort))
            body = self._answer(url, context)
            told = foreign.marked(arxiv_answers.text(body, query, most), "papers on arXiv")
            return shaped(told, context, self.tool.name, began=began)
        except PanelError as error:
            return arguments.refused(error, context, self.tool.name, began=began)
        except OSError as error:
            problem = explain_os_error(error, context.workspace.root)
            return arguments.refused(problem, context, self.tool.name, began=began)

    def _answer(self, url: httpx.URL, context: Context) -> bytes:
        """What arXiv says, today's if it was asked today. Only an answer that can be read is kept."""
        place = _folder(context.workspace) / hashlib.sha256(str(url).encode()).hexdigest()[:32]
        kept = _kept(place)
        if kept is not None:
            return kept
        until = time.monotonic() + CALL_S
        with _alone(context, until) as turn:
            kept = _kept(place)  # another process may have asked meanwhile
            if kept is None:
                kept = self._asked(url, context, turn, until)
                arxiv_answers.check(kept)
                _keep(place, kept)
        return kept

    def _asked(self, url: httpx.URL, context: Context, turn: Path, until: float) -> bytes:
        host = addresses.host_of(url)
        for number in range(1, TRIES + 1):
            _wait(_left_of_pause(turn, self._pause_s), context, host)
            turn.write_bytes(b"asked")
            wanted = Wanted(url, "application/atom+xml", MOST_BYTES, self._answer_s, public=False)
            try:
                reply = fetch(wanted, context.stopped)
            finally:
                # arXiv counts from when a request came in; only now it is sure that it has.
                turn.write_bytes(b"asked")
            if reply.status == 200:
                return reply.body
            if reply.status not in (429, 503):
                raise arxiv_failures.status(host, reply.status, arxiv_answers.refusal(reply.body))
            pause = _asked_pause(reply, self._pause_s * 2**number)
            if number == TRIES or pause > LONGEST_WAIT_S or time.monotonic() + pause > until:
                raise arxiv_failures.busy(host, reply.status, pause)
            _wait(pause, context, host)
        raise AssertionError("the last try returns or raises")


def asked(query: str, most: int, sort: str) -> dict[str, str]:
    """The parameters of a request. Words are searched everywhere and must all be there; who writes fields knows the syntax."""
    found = _ID.fullmatch(query.removesuffix(".pdf"))
    if found:
        return {"id_list": found[1], "start": "0", "max_results": str(most)}
    order = "submittedDate" if sort == "newest" else "relevance"
    return {
        "search_query": query if _FIELD.search(query) else _everywhere(query),
        "start": "0",
        "max_results": str(most),
        "sortBy": order,
        "sortOrder": "descending",
    }


def _everywhere(query: str) -> str:
    phrases = [" ".join(re.findall(r"\w+", phrase)) for phrase in re.findall(r'"([^"]*)"', query)]
    words = re.findall(r"\w+(?:[-.]\w+)*", re.sub(r'"[^"]*"', " ", query))
    terms = [f'"{phrase}"' for phrase in phrases if phrase]
    # AND, OR and NOT are operators there.
    terms += [f'"{word}"' if not word.isalnum() else word.lower() for word in words]
    return " AND ".join(f"all:{term}" for term in terms) or f"all:{query}"


def _url(context: Context, params: dict[str, str]) -> httpx.URL:
    given = str(context.settings.get("arxiv_search", {}).get("base_url") or BASE_URL)
    try:
        url = httpx.URL(given)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in addresses.STANDARD or not url.host:
        raise arxiv_failures.base_url(given)
    return url.copy_with(params=params)


@contextmanager
def _alone(context: Context, until: float) -> Iterator[Path]:
    """While nobody else of this workspace asks arXiv. The file's time is that of the last request."""
    path = context.workspace.run / "arxiv.lock"
    try:
        while (lock := locks.acquire(path)) is None:
            if time.monotonic() > until:
                raise arxiv_failures.waits()
            _wait(LOOK_S, context, "arXiv")
    except OSError as error:
        raise explain_os_error(error, path) from error
    try:
        yield path
    finally:
        os.close(lock)


def _left_of_pause(turn: Path, pause_s: float) -> float:
    """Seconds until the next request may go out. The file is empty until the first one."""
    last = turn.stat()
    return min(pause_s, max(0.0, last.st_mtime + pause_s - time.time())) if last.st_size else 0.0


def _wait(seconds: float, context: Context, host: str) -> None:
    until = time.monotonic() + seconds
    while True:
        if context.stopped():
            raise fetch_failures.stopped(host)
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(LOOK_S, left))


def _asked_pause(reply: Reply, default: float) -> float:
    """What ``Retry-After`` says, in seconds or as a date."""
    given = reply.headers.get("retry-after", "").strip()
    if given.isdigit():
        return float(given)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except ValueError:
        return default


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "cache" / "arxiv"


def _kept(place: Path) -> bytes | None:
    try:
        age = time.time() - place.stat().st_mtime
        return place.read_bytes() if 0 <= age < KEPT_S else None
    except OSError:
        return None


def _keep(place: Path, body: bytes) -> None:
    """Keep an answer, and only the newest of all. A full disk is no reason to keep the answer from the model."""
    partial = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.write_bytes(body)
        partial.replace(place)
        newest = sorted(place.parent.iterdir(), key=lambda path: -path.stat().st_mtime)
        for path in newest:
            if path in newest[MOST_KEPT:] or time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink(missing_ok=True)
    except OSError:
        partial.unlink(missing_ok=True)
