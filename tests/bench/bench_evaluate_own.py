"""Our part of a question that our own evaluator asks: wording, sending, reading, marking, keeping.

    python -m tests.bench.bench_evaluate_own

A server that answers at once, sixteen questions under way. Beside it the same bytes sent and read by the bare client of the benchmark, which marks
and keeps nothing: what is more than that is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backend.evaluate import sets
from backend.queue.store import open_store
from backend.servers import Server
from backend.specs import parse
from backend.workspace import ROOT, Workspace
from jobs import evaluate
from jobs.benching.connection import Address, Connection
from jobs.harness import Job
from tests.support import homes
from tests.support.fast_stub import DONE, HEAD, Stub, _chunk
from tests.support.served import served

QUESTIONS, AT_ONCE = 2000, 16
GOAL_MS = 5.0
_PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"The answer is B."},"finish_reason":"stop"}]}\n\n'


class Instant(Stub):
    """Says the same to everybody, at once."""

    async def answer(self, request: dict[str, Any]) -> None:
        self.transport.write(HEAD + _chunk(_PIECE) + _chunk(DONE) + b"0\r\n\r\n")


@contextmanager
def instant() -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-m", "tests.bench.bench_evaluate_own", "serve"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "ratio", "goal", "ok"}``."""
    with homes.temporary() as workspace, instant() as address:
        rows = [
            {"subject": f"s{n % 20}", "question": f"Question {n}: which colour has grass?", "A": "red", "B": "green", "C": "blue", "answer": "B"}
            for n in range(QUESTIONS)
        ]  # fmt: skip
        (workspace.root / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        sets.from_file(workspace, workspace.root / "q.jsonl", "many")
        wall, cpu = _ours(workspace, address)
        bare_wall, bare_cpu = _bare(address)
    return [
        {"what": f"own evaluator, a question at a server that answers at once, {AT_ONCE} under way", "value": round(wall, 2), "unit": "ms",
         "ratio": wall / bare_wall, "goal": f"under {GOAL_MS:g} ms", "ok": wall < GOAL_MS},
        {"what": "of that, computed by us", "value": round(cpu, 2), "unit": "ms", "ratio": cpu / bare_cpu},
        {"what": "the same bytes sent and read by the bare client", "value": round(bare_wall, 2), "unit": "ms"},
    ]  # fmt: skip


def _ours(workspace: Workspace, address: str) -> tuple[float, float]:
    folder, store = workspace.root / "job", open_store(workspace)
    folder.mkdir()
    job = Job(parse("evaluate", {"model": "instant", "questions": "many", "concurrency": AT_ONCE}), folder)
    server = Server(job_id=1, model="instant", base_url=address, key="", engine="stub", since=time.time())
    try:
        with served(store, server), contextlib.redirect_stdout(io.StringIO()):
            began, spent = time.perf_counter(), time.process_time()
            result = evaluate.run(job)
            wall, cpu = time.perf_counter() - began, time.process_time() - spent
    finally:
        job.events.close()
        store.close()
    assert result["right"] == QUESTIONS, result
    return 1000 * wall / QUESTIONS, 1000 * cpu / QUESTIONS


def _bare(address: str) -> tuple[float, float]:
    async def all_of_them() -> None:
        where = Address.of(address)
        numbers = iter(range(QUESTIONS))

        async def one() -> None:
            connection = await Connection.open(where)
            for number in numbers:
                body = json.dumps({"model": "instant", "messages": [{"role": "user", "content": f"Question {number}"}]})
                answer = await connection.ask(where.request("POST", "/chat/completions", "", body.encode()), 30)
                assert answer.finished
            connection.close()

        await asyncio.gather(*(one() for _ in range(AT_ONCE)))

    began, spent = time.perf_counter(), time.process_time()
    asyncio.run(all_of_them())
    return 1000 * (time.perf_counter() - began) / QUESTIONS, 1000 * (time.process_time() - spent) / QUESTIONS


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    if sys.argv[1:] == ["serve"]:
        asyncio.run(_serve())
        return
    for row in measure():
        ratio = f"{row['ratio']:.2f} x" if "ratio" in row else ""
        print(f"{row['what']:80} {row['value']:>8.2f} {row['unit']} {ratio:>8}  {row.get('ok', '')}")


if __name__ == "__main__":
    main()
