"""What a browser may keep: files of components whose names carry a hash of what they hold.

Streamlit sends them without a time, so a browser fetches them anew each time a page draws the menu of its parts: nearly 300 kB
a page, which is seconds through a slow tunnel. Under the same name they never change, so they are kept for a year.
"""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HASHED = re.compile(r"/component/.+\.[0-9a-f]{8,}\.(js|css|woff2?)")
FOR_A_YEAR = "private, max-age=31536000, immutable"


class Keeping:
    """Pure ASGI around the panel: says ``Cache-Control`` for files with a hash in their names."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; only the headers of a successful answer to such an address are changed."""
        if scope["type"] != "http" or not HASHED.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def kept(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 304):
                MutableHeaders(scope=message)["Cache-Control"] = FOR_A_YEAR
            await send(message)

        await self.app(scope, receive, kept)
