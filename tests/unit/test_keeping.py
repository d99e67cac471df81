"""What a browser is told to keep: files whose names carry a hash, for a year; nothing else, and no failure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backend.web.keeping import FOR_A_YEAR, Keeping

FILE = "/component/streamlit_option_menu.option_menu/js/app.1cd1af54.js"


def told(path: str, status: int = 200, kind: str = "http") -> dict[bytes, bytes]:
    """The headers of the answer to ``path``, behind which a panel says ``no-cache``."""
    sent: list[dict[str, Any]] = []

    async def panel(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": f"{kind}.response.start", "status": status, "headers": [(b"cache-control", b"no-cache")]})
        await send({"type": f"{kind}.response.body", "body": b"x"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(Keeping(panel)({"type": kind, "path": path}, receive, send))
    assert sent[1]["body"] == b"x"
    return dict(sent[0]["headers"])


@pytest.mark.parametrize("status", [200, 304])
def test_a_file_with_a_hash_in_its_name_is_kept_and_not_asked_for_again(status: int) -> None:
    assert told(FILE, status) == {b"cache-control": FOR_A_YEAR.encode()}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/jobs",
        "/component/streamlit_option_menu.option_menu/index.html",
        "/component/x/js/app.js",
        "/component/x/js/app.1cd1.js",
        "/media/1cd1af5412345678.js",
        FILE + ".html",
        FILE + "/more",
    ],
)
def test_what_may_change_under_its_name_is_asked_for_again(path: str) -> None:
    assert told(path) == {b"cache-control": b"no-cache"}


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_failure_is_not_kept(status: int) -> None:
    assert told(FILE, status) == {b"cache-control": b"no-cache"}


def test_a_socket_is_left_alone() -> None:
    assert told(FILE, 403, "websocket.http") == {b"cache-control": b"no-cache"}
