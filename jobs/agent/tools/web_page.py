"""The tool ``web_page``: a page of the web as text, from hosts that a person has allowed, and from no other.

Covered: redirects to other hosts, addresses of this machine, its network and its cloud by whatever name or form they are
written, pages without end, pages in old encodings, PDF. Text that a browser would not show is left out, as far as the page
itself says so. Not covered: pages that only a script fills; what style sheets hide.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx

from backend.agent.own_tools import WEB_PAGE
from backend.agent.tools import Context, Result, Tool
from backend.errors import PanelError
from jobs.agent.results import shaped
from jobs.agent.tools import addresses, arguments, foreign, page_kinds, page_refusals
from jobs.agent.tools.fetching import Reply, Resolve, Wanted, fetch, look_up

MOST_BYTES = 3_000_000
MOST_REDIRECTS = 5
SECONDS = 30.0
ACCEPT = "text/html, application/xhtml+xml, text/plain, application/json, application/pdf;q=0.9"
_REDIRECTS = (301, 302, 303, 307, 308)


class WebPage:
    """Reads one page. seconds: for all of its redirects and itself. resolve: who knows addresses."""

    tool = Tool(
        name=WEB_PAGE.name,
        title=WEB_PAGE.title,
        purpose=WEB_PAGE.purpose,
        description=(
            "Read one web page or PDF and return its text: headings, paragraphs, lists, tables, and numbered links. "
            "Only hosts that the user has allowed can be read. It cannot log in, send forms or run scripts."
        ),
        parameters={
            "type": "object",
            "properties": {"url": {"type": "string", "description": "Whole address, such as https://example.org/page"}},
            "required": ["url"],
        },
        network=WEB_PAGE.network,
    )

    def __init__(self, seconds: float = SECONDS, resolve: Resolve = look_up) -> None:
        self._seconds, self._resolve = seconds, resolve

    def call(self, arguments_: Mapping[str, Any], context: Context) -> Result:
        """The text of the page."""
        began = arguments.now()
        try:
            given = arguments.text(arguments_, "url", most=4000)
            url, reply = self._page(given, context)
            page = page_kinds.read(reply, url, context.stopped)
            told = f"Address: {_shown(url)}\n{page}"
            return shaped(foreign.marked(told, "a web page"), context, self.tool.name, began=began)
        except PanelError as error:
            return arguments.refused(error, context, self.tool.name, began=began)

    def _page(self, given: str, context: Context) -> tuple[httpx.URL, Reply]:
        """The page, and its own address at the end of all redirects; each of them is checked like the first."""
        settings = context.settings.get(self.tool.name, {})
        hosts = [entry for entry in settings.get("hosts") or () if isinstance(entry, str) and entry.strip()]
        public = settings.get("private") is not True
        until = time.monotonic() + self._seconds
        url = _parsed(given)
        for _hop in range(MOST_REDIRECTS + 1):
            _check(url, hosts)
            wanted = Wanted(url, ACCEPT, MOST_BYTES, max(0.1, until - time.monotonic()), public)
            reply = fetch(wanted, context.stopped, self._resolve)
            if reply.status not in _REDIRECTS:
                if reply.status != 200:
                    raise page_refusals.status(_shown(url), reply.status)
                return url, reply
            url = _next(url, reply)
        raise page_refusals.redirects(_shown(url), MOST_REDIRECTS)


def _parsed(given: str) -> httpx.URL:
    try:
        # What browsers forgive, they forgive in different ways: none of it is let through.
        if any(sign <= " " or sign in "\\\x7f" for sign in given):
            raise page_refusals.unfit(given)
        url = httpx.URL(given)
        # The port is checked by the client alone, and late.
        if url.scheme not in addresses.STANDARD or not url.host or "%" in url.host or not 0 <= (url.port or 80) < 65536:
            raise page_refusals.unfit(given)
    except (httpx.InvalidURL, UnicodeError):
        raise page_refusals.unfit(given) from None
    if url.userinfo:
        raise page_refusals.user(addresses.host_of(url))
    return url.copy_with(fragment=None)


def _check(url: httpx.URL, hosts: list[str]) -> None:
    if not hosts:
        raise page_refusals.no_hosts(addresses.host_of(url))
    if not addresses.allows(hosts, url):
        raise page_refusals.not_allowed(_host(url), hosts)


def _next(url: httpx.URL, reply: Reply) -> httpx.URL:
    to = reply.headers.get("location", "")
    try:
        return _parsed(str(url.join(to)))
    except httpx.InvalidURL:
        raise page_refusals.unfit(to) from None


def _host(url: httpx.URL) -> str:
    """The host as an entry of the list names it: its port where that is not a usual one."""
    host = addresses.host_of(url)
    host = f"[{host}]" if ":" in host else host
    return host if addresses.port_of(url) in addresses.STANDARD.values() else f"{host}:{url.port}"


def _shown(url: httpx.URL) -> str:
    return str(url)[:300]
