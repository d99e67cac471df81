"""A real MCP server, made with the SDK that ours is a client of; a program on stdio, or on 127.0.0.1 and a free port.

    python -m tests.support.mcp_server stdio
    python -m tests.support.mcp_server http|sse [--key SECRET] [--seen FILE] [--moved URL] [--port N]  # prints its port

Its tools: add, echo, slow, big, image, sound, report, fails, crash, wants_confirmation, environment, spawn, learn,
and two with names that no model may be given. Over HTTP it wants ``Authorization: Bearer SECRET``, writes the headers
of each request to FILE, and answers under ``/moved`` with a redirect to URL.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ROOT = Path(__file__).resolve().parents[2]
server = MCPServer("test server")
READS = types.ToolAnnotations(read_only_hint=True, open_world_hint=False)


class Yes(BaseModel):
    """What a person is asked for."""

    sure: bool


@server.tool(annotations=READS)
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool()
async def slow(note: str) -> str:
    """Take an hour. What happens is written into the file ``note``."""
    with Path(note).open("w", buffering=1) as file:
        file.write("began\n")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            file.write("cancelled\n")
            raise
    return "done"


@server.tool(structured_output=False)
def big(size: int) -> str:
    """So many characters."""
    return "".join(f"{number:9d} " for number in range(size // 10))


@server.tool(structured_output=False)
def image() -> list[types.ImageContent | types.TextContent]:
    """A picture of one point."""
    picture = types.ImageContent(data=base64.b64encode(PIXEL).decode(), mime_type="image/png")
    return [types.TextContent(text="Here it is."), picture]


@server.tool(structured_output=False)
def sound() -> list[types.AudioContent]:
    """A sound whose data are damaged, and one that is whole."""
    whole = types.AudioContent(data=base64.b64encode(b"RIFF").decode(), mime_type="audio/wav")
    return [types.AudioContent(data="!!!", mime_type="audio/wav"), whole]


@server.tool(structured_output=False)
def report() -> list[types.EmbeddedResource]:
    """A text whose name points out of its folder."""
    text = types.TextResourceContents(uri="file:///a/..%2f..%2fetc%2f.pass%20wd.csv", text="a,b", mime_type="text/csv")
    return [types.EmbeddedResource(resource=text)]


@server.tool()
def fails() -> str:
    """Never works."""
    raise ValueError("the cupboard is bare")


@server.tool()
def crash() -> str:
    """End this program at once."""
    sys.stderr.write("segfault in the cupboard\n")
    sys.stderr.flush()
    os._exit(3)


@server.tool(structured_output=False)
async def wants_confirmation(context: Context) -> str:
    """Ask a person."""
    answer = await context.elicit("Really delete everything?", Yes)
    return f"the answer was {answer.action}"


@server.tool()
def environment() -> dict[str, str]:
    """Everything that this program sees."""
    return dict(os.environ)


@server.tool()
def spawn() -> int:
    """Start a program in a session of its own that never ends; its number."""
    return subprocess.Popen(["sleep", "3600"], start_new_session=True).pid


@server.tool()
async def learn(context: Context) -> str:
    """Have one more tool from now on."""
    server.add_tool(echo, name="learned")
    await context.request_context.session.send_tool_list_changed()
    return "learned"


server.add_tool(echo, name="Say it, please!", description="Has a name with blanks.")
server.add_tool(echo, name="查询", description="x" * 5000)


def main() -> None:
    """Serve until the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("stdio", "http", "sse"))
    parser.add_argument("--key", default="")
    parser.add_argument("--seen", default="")
    parser.add_argument("--moved", default="")
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    if asked.kind == "stdio":
        server.run()
        return
    bound = socket.create_server(("127.0.0.1", asked.port))
    app = server.sse_app() if asked.kind == "sse" else server.streamable_http_app()
    print(bound.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(_Gate(app, asked), log_level="error")).run(sockets=[bound])


class _Gate:
    """In front of the server: who may in, what was asked, and the redirect."""

    def __init__(self, app: Any, asked: argparse.Namespace) -> None:
        self.app, self.asked = app, asked

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if self.asked.seen:
            with Path(self.asked.seen).open("a") as file:
                file.write(json.dumps(headers) + "\n")
        if scope["path"] == "/moved":
            await self._answer(send, 307, [(b"location", self.asked.moved.encode())])
        elif self.asked.key and headers.get("authorization") != f"Bearer {self.asked.key}":
            await self._answer(send, 401, [])
        else:
            await self.app(scope, receive, send)

    @staticmethod
    async def _answer(send: Any, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def over_http(kind: str = "http", *options: str) -> Iterator[str]:
    """Such a server as a program of its own: its address up to the path."""
    command = [sys.executable, "-m", "tests.support.mcp_server", kind, *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    main()
