"""A model server that costs next to nothing, to measure what measures servers: answers come at set moments.

    with load_stub(first_s=0.05, pace_s=0.01) as port: ...

Every chat request is answered with ``max_tokens`` chunks of one token: the first after ``first_s``, one more each ``pace_s``,
at absolute deadlines; then the usage, then ``[DONE]``. With ``pace_s`` 0 all chunks of an answer go out at once after the first.
``GET /v1/models`` lists ``stub``. It keeps connections open, knows no keys, and reads no prompt.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from backend.workspace import ROOT

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TOKENS = re.compile(rb'"max_(?:completion_)?tokens": ?(\d+)')
PROMPT_TOKENS = 20


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(choices: str, more: str = "") -> bytes:
    text = (
        f'{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"stub","choices":[{choices}]{more}}}'
    )
    return _chunk(f"data: {text}\n\n".encode())


WORD = _event('{"index":0,"delta":{"content":"word "},"finish_reason":null}')
LAST = _event('{"index":0,"delta":{"content":"word "},"finish_reason":"length"}')


def end(tokens: int) -> bytes:
    """The usage of an answer, and the end of the stream."""
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}
    return _event("", f',"usage":{json.dumps(usage)}') + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Stub(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, first_s: float, pace_s: float) -> None:
        self.first_s, self.pace_s = first_s, pace_s
        self.received = b""
        self.timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, error: Exception | None) -> None:
        for timer in self.timers:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, blank, body = self.received.partition(b"\r\n\r\n")
        if not blank:
            return
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        if len(body) < length:
            return
        self.received = body[length:]
        if head.startswith(b"GET"):
            models = b'{"object":"list","data":[{"id":"stub","object":"model","created":1,"owned_by":"stub"}]}'
            self.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (len(models), models)
            )
            return
        wanted = _TOKENS.search(body)
        self.answer(int(wanted[1]) if wanted else 16)

    def answer(self, tokens: int) -> None:
        loop, write = asyncio.get_running_loop(), self.transport.write
        if not self.pace_s:
            whole = HEAD + WORD * (tokens - 1) + LAST + end(tokens)
            if self.first_s:
                self.timers = [loop.call_later(self.first_s, write, whole)]
            else:
                write(whole)
            return
        begin = loop.time() + self.first_s
        self.timers = [
            loop.call_at(begin + n * self.pace_s, write, (HEAD if n == 0 else b"") + WORD) for n in range(tokens - 1)
        ]
        self.timers.append(
            loop.call_at(begin + (tokens - 1) * self.pace_s, write, (HEAD if tokens == 1 else b"") + LAST + end(tokens))
        )


async def main() -> None:
    first_s, pace_s = float(sys.argv[1]), float(sys.argv[2])
    server = await asyncio.get_running_loop().create_server(lambda: Stub(first_s, pace_s), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def load_stub(first_s: float = 0.0, pace_s: float = 0.0) -> Iterator[int]:
    """Its port; it ends with the block."""
    command = [sys.executable, "-m", "tests.support.load_stub", str(first_s), str(pace_s)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(main())
