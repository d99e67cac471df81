"""An OpenAI server on aiohttp, as a process of its own, that answers at a set pace and knows the bad habits of real ones.

    with bench_server(first_s=0.02, pace_s=0.005, die_after=20) as server: server.base_url ...

    first_s, pace_s: until the first token, and between tokens      together: so many tokens in one piece
    die_after: end the process at that request, in mid-answer       cut: close the connection of each such request (its number)
    stream: false answers in one piece whatever is asked            usage: false does not tell tokens
    refuses: fields for which it answers 400                        short: answers have no more tokens than this
    key: bearer token that it wants                                 limit: prompts of more words get 400
    status: every question gets it

``GET /asked`` gives the bodies so far.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from backend.workspace import ROOT

PROMPT_TOKENS = 11
_SCRIPT: dict[str, Any] = {
    "first_s": 0.0, "pace_s": 0.0, "together": 1, "die_after": 0, "cut": [], "stream": True, "usage": True,
    "refuses": [], "short": 1 << 30, "key": "", "limit": 0, "status": 0,
}  # fmt: skip


class Server:
    """What a test knows of it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def asked(self) -> list[dict[str, Any]]:
        """The bodies of all questions so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/asked", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def bench_server(**script: Any) -> Iterator[Server]:
    """A :class:`Server` that ends with the block."""
    assert not set(script) - set(_SCRIPT)
    command = [sys.executable, "-m", "tests.support.bench_server", json.dumps({**_SCRIPT, **script})]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Server(process, int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


class _App:
    def __init__(self, script: dict[str, Any]) -> None:
        self.script = script
        self.asked: list[dict[str, Any]] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/asked", self.tell)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/chat/completions", self.chat)
        return app

    async def tell(self, _request: web.Request) -> web.Response:
        return web.json_response(self.asked)

    def barred(self, request: web.Request) -> bool:
        return bool(self.script["key"]) and request.headers.get("Authorization") != f"Bearer {self.script['key']}"

    async def models(self, request: web.Request) -> web.Response:
        if self.barred(request):
            return error(401, "invalid_api_key", "no")
        return web.json_response({"object": "list", "data": [{"id": "first"}, {"id": "second"}]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        script, body = self.script, await request.json()
        self.asked.append(body)
        number = len(self.asked)
        if self.barred(request):
            return error(401, "invalid_api_key", "no")
        if script["status"]:
            return error(script["status"], "told_to", "The server was told to fail.")
        for name in script["refuses"]:
            if name in body:
                return error(400, "unknown_field", f"{name} is not known here")
        if script["limit"] and sum(len(one["content"].split()) for one in body["messages"]) > script["limit"]:
            return error(400, "context_length_exceeded", f"maximum context length is {script['limit']}")
        tokens = min(int(body["max_tokens"]), script["short"])
        usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}
        if not script["stream"]:
            await asyncio.sleep(script["first_s"] + script["pace_s"] * tokens)
            message = {"role": "assistant", "content": "word " * tokens}
            told = {"choices": [{"index": 0, "message": message, "finish_reason": "length"}]}
            return web.json_response({**told, "usage": usage} if script["usage"] else told)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        # As most servers do: a first piece that only names the role, long before there is a token.
        await event(answer, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        loop = asyncio.get_running_loop()
        begin = loop.time() + script["first_s"]
        for n in range(0, tokens, script["together"]):
            await asyncio.sleep(max(0.0, begin + n * script["pace_s"] - loop.time()))
            if number == script["die_after"] and n:
                os._exit(9)
            if number in script["cut"] and n:
                assert request.transport is not None
                request.transport.abort()
                return answer
            words = "word " * min(script["together"], tokens - n)
            await event(answer, {"choices": [{"index": 0, "delta": {"content": words}}]})
        await event(answer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
        if script["usage"] and body.get("stream_options"):
            await event(answer, {"choices": [], "usage": usage})
        await answer.write(b"data: [DONE]\n\n")
        return answer


async def event(answer: web.StreamResponse, data: dict[str, Any]) -> None:
    await answer.write(f"data: {json.dumps(data)}\n\n".encode())


def error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


async def main() -> None:
    runner = web.AppRunner(_App(json.loads(sys.argv[1])).app())
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    await web.SockSite(runner, listening).start()
    print(listening.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
