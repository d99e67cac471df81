"""A model server that answers by what it is asked, in a thread of the test or, where it has to die, in a process of its own.

    with answering(says={"Q1 of geo": "B"}, say="I do not know") as server, published(store, server): ...

    says: piece of a question -> the answer         say: the answer to all others
    pause_s: before each answer                     statuses: piece -> HTTP status of an error
    limit: prompts of more words are too long       dies_at: the process ends at that request
    holds: pieces whose question gets no answer     key: bearer token that it wants, empty: none
    cut: answers end by their length

``server.asked()``: the last message of each request so far, in their order. Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEY = "answering-key"
_SCRIPT: dict[str, Any] = {
    "says": {}, "say": "A", "pause_s": 0.0, "statuses": {}, "limit": 0, "dies_at": 0, "holds": [], "cut": False, "key": KEY,
}  # fmt: skip


class Answering:
    """A running server. ``server``: what the panel would know of it."""

    def __init__(self, model: str, port: int, process: subprocess.Popen[str] | None = None) -> None:
        self.model, self.port = model, port
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._process = process

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @property
    def server(self) -> Any:
        from backend.servers import Server

        return Server(job_id=1, model=self.model, base_url=self.base_url, key=KEY, engine="stub", since=time.time())

    def asked(self) -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/asked", timeout=10) as answer:
            found: list[str] = json.load(answer)
            return found


@contextmanager
def answering(model: str = "stub", port: int = 0, **script: Any) -> Iterator[Answering]:
    """An :class:`Answering` that ends with the block."""
    assert not set(script) - set(_SCRIPT)
    if not script.get("dies_at"):
        with _Server(model, port, script) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield Answering(model, server.server_address[1])
            finally:
                server.leave()
                thread.join()
        return
    command = [sys.executable, str(Path(__file__).resolve()), model, str(port), json.dumps(script)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Answering(model, int(process.stdout.readline()), process)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, model: str, port: int, script: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.model, self.script = model, {**_SCRIPT, **script}
        self.asked: list[str] = []
        self.lock, self.left = threading.Lock(), threading.Event()

    def leave(self) -> None:
        """Nobody waits any more."""
        self.left.set()
        self.shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Silence; tests ask what was asked."""

    def do_GET(self) -> None:
        models = {"object": "list", "data": [{"id": self.server.model}]}
        self._json(200, self.server.asked if self.path == "/asked" else models)

    def do_POST(self) -> None:
        script = self.server.script
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.asked.append(text)
            number = len(self.server.asked)
        if script["key"] and self.headers.get("Authorization") != f"Bearer {script['key']}":
            self._error(401, "invalid_api_key", "no")
            return
        if number == script["dies_at"]:
            os._exit(9)
        if any(piece in text for piece in script["holds"]):
            self.server.left.wait(60)
            self.close_connection = True
            return
        if script["pause_s"]:
            self.server.left.wait(script["pause_s"])
        status = next((status for piece, status in script["statuses"].items() if piece in text), 0)
        if status:
            self._error(status, "told_to", "The server was told to fail.")
        elif script["limit"] and len(text.split()) > script["limit"]:
            self._error(400, "context_length_exceeded", f"maximum context length is {script['limit']}")
        else:
            said = next((said for piece, said in script["says"].items() if piece in text), script["say"])
            self._say(said, bool(body.get("stream")))

    def _say(self, said: str, stream: bool) -> None:
        words = said.split(" ")
        parts = [word if n == 0 else f" {word}" for n, word in enumerate(words)]
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in parts]
        finish = "length" if self.server.script["cut"] else "stop"
        usage = {"prompt_tokens": 5, "completion_tokens": len(words), "total_tokens": 5 + len(words)}
        if not stream:
            choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": finish}
            self._json(
                200, {"object": "chat.completion", "model": self.server.model, "choices": [choice], "usage": usage}
            )
            return
        chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, {"choices": [], "usage": usage}]
        events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
        self._send(200, "text/event-stream", f"{events}data: [DONE]\n\n".encode())

    def _error(self, status: int, code: str, message: str) -> None:
        self._json(status, {"error": {"code": code, "message": message}})

    def _json(self, status: int, data: Any) -> None:
        self._send(status, "application/json", json.dumps(data).encode())

    def _send(self, status: int, kind: str, payload: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()


def main() -> None:
    server = _Server(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
