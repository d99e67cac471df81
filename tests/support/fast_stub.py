"""A model server that costs next to nothing: streams words at a set pace, so that what is between can be measured.

    python -m tests.support.fast_stub        prints its port, serves until it is killed

Every POST is answered with ``n`` chunks, one every ``pace_s`` (both in the JSON body; 0: as fast as they are taken).
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"stub",'
    b'"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
)
DONE = b"data: [DONE]\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Stub(asyncio.Protocol):
    """One connection: one request at a time, answered in full."""

    def __init__(self) -> None:
        self.received = b""
        self.answers: set[asyncio.Task[None]] = set()
        self.may_write = asyncio.Event()
        self.may_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def connection_lost(self, error: Exception | None) -> None:
        for answer in self.answers:
            answer.cancel()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, blank, body = self.received.partition(b"\r\n\r\n")
        if not blank:
            return
        length = next(int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:"))
        if len(body) < length:
            return
        self.received = body[length:]
        answer = asyncio.ensure_future(self.answer(json.loads(body[:length])))
        self.answers.add(answer)
        answer.add_done_callback(self.answers.discard)

    async def answer(self, request: dict[str, Any]) -> None:
        count, pace_s = int(request["n"]), float(request["pace_s"])
        loop, chunk = asyncio.get_running_loop(), _chunk(EVENT)
        begin = loop.time()
        self.transport.write(HEAD + chunk)
        for number in range(1, count):
            if pace_s:
                # Absolute deadlines: a late chunk does not make the next one late.
                await asyncio.sleep(max(0.0, begin + number * pace_s - loop.time()))
            elif number % 16 == 0:
                await asyncio.sleep(0)
                await self.may_write.wait()
            self.transport.write(chunk)
        self.transport.write(_chunk(DONE) + b"0\r\n\r\n")


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
