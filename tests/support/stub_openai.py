"""A small OpenAI server as a process of its own, which does on request what real ones do once a month.

    with stub("starter", script={...}) as server: ...        # a backend.servers.Server, answering on loopback

What it does is a JSON object, in the last user message (``!{"tokens": 5}``) or in ``script`` as the default:

    say: the answer, cut into tokens at blanks (Chinese: characters); default: "You said: <prompt>"
    tokens: answer with so many numbered words instead     delay_s: pause before each token
    first_delay_s: pause before the first one              die_at: end the process at that token
    cut_at: close the connection at that token             status: answer with this HTTP status and an error
    code, message: of that error                           no_usage: do not report tokens
    limit: prompts with more words than this get 400 context_length_exceeded
    finish: the finish_reason (default "stop")             garbage: send bytes that are no JSON
    replies: a list of such objects, one a request; the last one for all that follow
    calls: tool calls beside the answer, [{"name": …, "arguments": "…"}], in pieces as servers stream them

Standard library only. ``GET /requests`` gives what it was asked, ``GET /cancelled`` how many streams their reader left.
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
from typing import Any, ClassVar, Protocol

KEY = "stub-key"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = "stub"
    script: ClassVar[dict[str, Any]] = {}
    requests: ClassVar[list[dict[str, Any]]] = []
    cancelled = 0
    lock = threading.Lock()

    def log_message(self, format: str, *args: Any) -> None:
        """Silence; tests read /requests."""

    def do_GET(self) -> None:
        if self.path == "/requests":
            self._json(200, self.requests)
        elif self.path == "/cancelled":
            self._json(200, type(self).cancelled)
        elif self.path == "/metrics":
            self._metrics()
        elif self.path.endswith("/models"):
            self._json(200, {"object": "list", "data": [{"id": self.model, "object": "model"}]})
        else:
            self._json(200, {"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.lock:
            self.requests.append(body)
            number = len(self.requests) - 1
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self._error(401, "invalid_api_key", "Incorrect API key")
            return
        if self.path == "/wakeup":
            self._error(404, "not_found", "Not Found")
            return
        prompt = _text(body["messages"][-1]["content"]) if "messages" in body else str(body.get("prompt", ""))
        plan = dict(self.script)
        if replies := plan.pop("replies", None):
            plan |= replies[min(number, len(replies) - 1)]
        if prompt.startswith("!{"):
            plan |= json.loads(prompt[1:])
        words = sum(len(str(m["content"]).split()) for m in body.get("messages", []))
        if plan.get("status"):
            self._error(
                plan["status"], plan.get("code", "stub_error"), plan.get("message", "The stub was told to fail")
            )
        elif plan.get("limit") and words > plan["limit"]:
            text = f"This model's maximum context length is {plan['limit']} tokens"
            self._error(400, "context_length_exceeded", text)
        else:
            self._answer(body, plan, prompt, words)

    def _answer(self, body: dict[str, Any], plan: dict[str, Any], prompt: str, words: int) -> None:
        if "tokens" in plan:
            pieces = [f"w{n} " for n in range(plan["tokens"])]
        else:
            text = plan.get("say", f"You said: {prompt}")
            pieces = [w + " " for w in text.split(" ")] if " " in text else list(text)
            pieces[-1:] = [pieces[-1].rstrip(" ")] if pieces else []
        pieces = pieces[: body.get("max_tokens") or None]
        usage = {"prompt_tokens": words, "completion_tokens": len(pieces), "total_tokens": words + len(pieces)}
        finish = plan.get("finish", "stop")
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(pieces)}
            self._json(200, {**self._head("chat.completion"), "usage": usage,
                             "choices": [{"index": 0, "message": message, "finish_reason": finish}]})  # fmt: skip
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        try:
            time.sleep(plan.get("first_delay_s", 0))
            for number, piece in enumerate(pieces):
                if number == plan.get("die_at"):
                    self.wfile.flush()
                    os._exit(9)
                if number == plan.get("cut_at"):
                    return
                if plan.get("garbage"):
                    self.wfile.write(b"data: {not json\n\n")
                self._event({"index": 0, "delta": {"content": piece}, "finish_reason": None})
                time.sleep(plan.get("delay_s", 0))
            for place, call in enumerate(plan.get("calls", ())):
                half = len(call["arguments"]) // 2
                head = {"index": place, "id": f"call_{place}", "type": "function",
                        "function": {"name": call["name"], "arguments": call["arguments"][:half]}}  # fmt: skip
                rest = {"index": place, "function": {"arguments": call["arguments"][half:]}}
                for delta in (head, rest):
                    self._event({"index": 0, "delta": {"tool_calls": [delta]}, "finish_reason": None})
            self._event({"index": 0, "delta": {}, "finish_reason": finish})
            if not plan.get("no_usage"):
                self._event(None, usage=usage)
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            with self.lock:
                type(self).cancelled += 1

    def _metrics(self) -> None:
        """Under LMDeploy's names."""
        values = {
            "lmdeploy:num_requests_running": 1, "lmdeploy:num_requests_waiting": 2,
            "lmdeploy:gpu_cache_usage_perc": 0.25, "lmdeploy:request_success_total": len(self.requests),
            "lmdeploy:generation_tokens_total": 10 * len(self.requests),
        }  # fmt: skip
        lines = [f'{name}{{model_name="{self.model}"}} {value}' for name, value in values.items()]
        payload = "\n".join(lines).encode()
        self.send_response(200 if self.headers.get("Authorization") == f"Bearer {KEY}" else 401)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _event(self, choice: dict[str, Any] | None, **more: Any) -> None:
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice] if choice else [], **more}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-stub", "object": kind, "created": int(time.time()), "model": self.model}

    def _error(self, status: int, code: str, message: str) -> None:
        self._json(status, {"error": {"message": message, "type": "stub", "param": None, "code": code}})

    def _json(self, status: int, data: Any) -> None:
        payload = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def _text(content: str | list[dict[str, Any]]) -> str:
    """What is said in a message, pictures left out."""
    return content if isinstance(content, str) else "\n".join(str(part.get("text", "")) for part in content)


class Stub:
    """A running stub. ``server`` is what the panel would know of it."""

    def __init__(self, model: str, script: dict[str, Any] | None = None, context_length: int = 0) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), model, json.dumps(script or {})]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.model, self.context_length = model, context_length

    @property
    def server(self) -> Any:
        from backend.servers import Server

        return Server(
            job_id=1, model=self.model, base_url=f"http://127.0.0.1:{self.port}/v1", key=KEY, engine="stub",
            context_length=self.context_length, since=time.time(),
        )  # fmt: skip

    def requests(self) -> list[dict[str, Any]]:
        """The bodies of all requests so far."""
        return self._get("/requests")

    def cancelled(self) -> int:
        """How many streams were left by their reader."""
        return self._get("/cancelled")

    def kill(self) -> None:
        """kill -9 of the server."""
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.load(answer)


@contextmanager
def stub(model: str = "stub", *, script: dict[str, Any] | None = None, context_length: int = 0) -> Iterator[Stub]:
    """A :class:`Stub` that ends with the block."""
    running = Stub(model, script, context_length)
    try:
        yield running
    finally:
        running.close()


class Served(Protocol):
    """Whatever answers as a model's server in a test."""

    model: str

    @property
    def server(self) -> Any:
        """What the panel would know of it."""


@contextmanager
def published(store: Any, stub: Served) -> Iterator[Any]:
    """Tell the panel that ``stub`` is the running server of its model: a serve job whose lock we hold ourselves."""
    from dataclasses import replace

    from backend import servers
    from tests.support import by_hand

    row = by_hand.submit(store, "serve", {"model": stub.model}, title=stub.model)
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running', attempt = 1, started = created WHERE id = ?", (row.id,))
    server = replace(stub.server, job_id=row.id)
    servers.publish(store.job_dir(row.id), server)
    try:
        yield server
    finally:
        servers.withdraw(store.job_dir(row.id))
        with store.write() as db:
            db.execute("UPDATE jobs SET state = 'cancelled', ended = created WHERE id = ?", (row.id,))
        by_hand.release(store, row.id)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    _Handler.model, _Handler.script = sys.argv[1], json.loads(sys.argv[2])
    server = _Server(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
