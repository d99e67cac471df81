"""What a panel says over the wire to a client of ours: single requests, and its websocket."""

from __future__ import annotations

import http.client
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.panel import Panel


def ask(panel: Panel, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower case) and body of one request; redirects are not followed."""
    connection = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=20)
    try:
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def log_in(panel: Panel, link: str | None = None) -> str:
    """The Cookie header that the link gives."""
    path = (link or panel.link()).partition(f":{panel.port}")[2]
    status, headers, _body = ask(panel, path)
    assert status == 302, status
    return headers["set-cookie"].split(";")[0]


def stream(panel: Panel, path: str = "/_stcore/stream", cookie: str = "", **how: Any) -> ClientConnection:
    """Its websocket."""
    headers = {"Cookie": cookie} if cookie else {}
    return connect(
        f"ws://127.0.0.1:{panel.port}{path}",
        additional_headers=headers,
        open_timeout=20,
        max_size=None,
        proxy=None,
        **how,
    )
