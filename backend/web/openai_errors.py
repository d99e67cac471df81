"""Errors of ``/v1`` in the shape that OpenAI's clients turn into their own exceptions.

Source of shape and types: the ``error`` object of the OpenAI API reference (message, type, param, code).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from backend.web.asgi import Send


def error_body(message: str, *, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """``{"error": {...}}``; ``kind`` becomes ``type``."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


async def send_json(send: Send, status: int, data: Any, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """A whole JSON answer."""
    body = json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace")
    start = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def send_error(
    send: Send,
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """An error as a whole answer."""
    await send_json(send, status, error_body(message, kind=kind, code=code, param=param), headers)
