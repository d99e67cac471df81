"""A serve job as a process, started by hand as a person could: no queue, no panel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil

from backend.queue.events import read_events
from backend.servers import Server, read_server
from backend.workspace import ROOT, read_json
from tests.support.wait import until

READY_S = 90


class ServeJob:
    """``python -m jobs.serve`` in a job folder of its own; :meth:`end` leaves nothing behind."""

    def __init__(self, folder: Path, **spec: Any) -> None:
        self.dir = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.json").write_text(json.dumps(spec))
        self.log = folder / "attempt-1.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TUNEDECK_")}
        environment |= {"TUNEDECK_JOB_DIR": str(folder), "TUNEDECK_WORKSPACE": str(folder / "workspace")}
        environment["TUNEDECK_ENVIRONMENTS_FOLDER"] = str(folder / "workspace" / "environments")
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobs.serve", str(folder / "spec.json")],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._seen: set[int] = {self.process.pid}
        self._clients: list[Client] = []

    def ready(self) -> Server:
        """The server once it can answer."""

        def there() -> Server | None:
            assert self.process.poll() is None, f"the job ended:\n{self.log.read_text()}"
            server = read_server(self.dir)
            return server if server and server.ready else None

        found = until(there, READY_S, "the server is ready")
        self._seen |= {p.pid for p in self.processes()}
        return found

    def client(self) -> Client:
        """HTTP to the server once it is ready; closed at the end."""
        self._clients.append(Client(self.ready()))
        return self._clients[-1]

    def not_ready(self) -> None:
        """Wait until it says that it cannot answer."""
        until(lambda: (s := read_server(self.dir)) is None or not s.ready, READY_S, "the server is not ready")

    def engine(self) -> psutil.Process:
        """The process that holds the model."""
        found = until(lambda: self.processes(), 20, "the engine runs")[0]
        self._seen.add(found.pid)
        return found

    def processes(self) -> list[psutil.Process]:
        """All that the job started."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def interrupt(self) -> None:
        """Ask it to stop, as the supervisor does."""
        self.process.send_signal(signal.SIGINT)

    def wait(self, timeout: float = 30) -> int:
        """Its exit code."""
        return self.process.wait(timeout)

    def left(self) -> list[psutil.Process]:
        """Processes of it that are still there."""
        return [p for pid in self._seen if (p := _alive(pid)) is not None]

    def phases(self) -> list[str]:
        """Its phases so far, repeats left out."""
        found = [str(e["phase"]) for e in read_events(self.dir)[0] if "phase" in e]
        return [p for i, p in enumerate(found) if i == 0 or p != found[i - 1]]

    def result(self) -> dict[str, Any]:
        return read_json(self.dir / "result.json") or {}

    def end(self) -> None:
        """Stop it by force; what it leaves is ended, too."""
        for client in self._clients:
            client.http.close()
        started = [psutil.Process(pid) for pid in self._seen if _alive(pid)] + self.processes()
        self.process.kill()
        self.process.wait(10)
        for process in started:
            if process.is_running() and process.pid != self.process.pid:
                process.kill()
        psutil.wait_procs([p for p in started if p.pid != self.process.pid], 10)


class Client:
    """Raw HTTP to a server, with its key."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = httpx.Client(
            base_url=server.base_url, headers={"Authorization": f"Bearer {server.key}"}, timeout=60, trust_env=False
        )

    def chat(self, text: str | list[dict[str, Any]], **fields: Any) -> httpx.Response:
        messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
        body = {"model": self.server.model, "messages": messages, **fields}
        return self.http.post("/chat/completions", json=body)

    def say(self, text: str, **fields: Any) -> str:
        """The text of the answer."""
        answer = self.chat(text, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["choices"][0]["message"]["content"])

    def events(self, text: str, path: str = "/chat/completions", **fields: Any) -> list[Any]:
        """All events of a streamed answer, parsed; the last is the string ``[DONE]``."""
        what = {"messages": [{"role": "user", "content": text}]} if "chat" in path else {"prompt": text}
        body = {"model": self.server.model, "stream": True, **what, **fields}
        found: list[Any] = []
        with self.http.stream("POST", path, json=body) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    data = line.removeprefix("data: ")
                    found.append(data if data == "[DONE]" else json.loads(data))
        return found

    def status(self) -> dict[str, float]:
        """The server's counters."""
        found: dict[str, float] = self.http.get(self.server.base_url.removesuffix("/v1") + "/status").json()
        return found


def _alive(pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None
