"""Serving: the server against plain generate, one thread against two, batching on and off

Real serve jobs and a process that only calls ``model.generate``, all with the starter model in the same number format.
They take turns, so that a busy machine is busy for all of them; figures are medians.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from backend.servers import Server
from backend.workspace import ROOT
from tests.support.server import ServeJob

MODEL = ROOT / "models" / "starter"
PROMPT = "What is the capital of France, and which other cities of that country do you know?"
TOKENS, ROUNDS, USERS = 96, 5, 8
SERVERS: dict[str, dict[str, Any]] = {
    "1 thread": {"threads": 1},
    "2 threads": {"threads": 2},
    "batching": {"threads": 1, "continuous_batching": "on"},
}


def measure() -> list[dict[str, Any]]:
    """Rows for the table."""
    speeds: dict[str, list[float]] = defaultdict(list)
    firsts: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        began = time.monotonic()
        jobs = {}
        for number, (name, options) in enumerate(SERVERS.items()):
            job = ServeJob(Path(folder) / str(number), model=str(MODEL), name="starter", **options)
            stack.callback(job.end)
            job.ready()
            jobs[name] = job
        ready_s = (time.monotonic() - began) / len(SERVERS)
        bare = stack.enter_context(_bare())
        for round_number in range(ROUNDS + 1):
            plain = _ask(bare)
            seen = {"generate": (plain["tokens"] / plain["seconds"], plain["first_s"])}
            for name, job in jobs.items():
                seen[f"{name}, 1 user"] = asyncio.run(_load(job.ready(), 1))
                if name != "2 threads":
                    seen[f"{name}, {USERS} users"] = asyncio.run(_load(job.ready(), USERS))
            if round_number:  # the first round warms up
                for what, (speed, first) in seen.items():
                    speeds[what].append(speed)
                    firsts[what].append(first)
        rss = psutil.Process(jobs["1 thread"].engine().pid).memory_info().rss
    return _rows(
        {k: statistics.median(v) for k, v in speeds.items()},
        {k: statistics.median(v) for k, v in firsts.items()},
        ready_s,
        rss,
    )


def _rows(speed: dict[str, float], first: dict[str, float], ready_s: float, rss: int) -> list[dict[str, Any]]:
    one, many = "1 thread, 1 user", f"1 thread, {USERS} users"
    ratio = speed[one] / speed["generate"]
    rows: list[dict[str, Any]] = [
        {"what": "plain generate, 1 thread", "value": speed["generate"], "unit": "tokens/s"},
        {
            "what": "server, 1 thread, 1 user",
            "value": speed[one],
            "unit": "tokens/s",
            "ratio": ratio,
            "goal": "at least 0.9 x plain generate",
            "ok": ratio >= 0.9,
        },
        {"what": "first token of plain generate", "value": 1000 * first["generate"], "unit": "ms"},
    ]

    def against(what: str, figures: dict[str, float], this: str, that: str, unit: str, scale: float = 1) -> None:
        ratio = figures[this] / figures[that]
        rows.append({"what": what, "value": scale * figures[this], "unit": unit, "ratio": ratio})

    against("first token of the server, to plain generate", first, one, "generate", "ms", 1000)
    against("2 threads, 1 user, to 1 thread", speed, "2 threads, 1 user", one, "tokens/s")
    against("batching, 1 user, to without", speed, "batching, 1 user", one, "tokens/s")
    rows.append({"what": f"without batching, {USERS} users together", "value": speed[many], "unit": "tokens/s"})
    against(f"batching, {USERS} users together, to without", speed, f"batching, {USERS} users", many, "tokens/s")
    rows.append({"what": f"first token, {USERS} users, without batching", "value": 1000 * first[many], "unit": "ms"})
    against(f"first token, {USERS} users, batching", first, f"batching, {USERS} users", many, "ms", 1000)
    rows.append({"what": "from the start of the job to ready", "value": ready_s, "unit": "s"})
    rows.append({"what": "memory of the engine", "value": rss / 2**20, "unit": "MiB"})
    return rows


async def _load(server: Server, users: int) -> tuple[float, float]:
    """(tokens/s of all users together, median seconds to the first token)."""
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {server.key}"}, timeout=120, trust_env=False
    ) as http:
        start = time.perf_counter()
        firsts = await asyncio.gather(*(_stream(http, server, number) for number in range(users)))
        return users * TOKENS / (time.perf_counter() - start), statistics.median(firsts)


async def _stream(http: httpx.AsyncClient, server: Server, number: int) -> float:
    """Read one whole answer; seconds to its first piece of text."""
    body = {
        "model": "starter",
        "stream": True,
        "max_tokens": TOKENS,
        "ignore_eos": True,
        "temperature": 0,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": PROMPT}],
    }
    start, first, tokens = time.perf_counter(), 0.0, 0
    async with http.stream("POST", f"{server.base_url}/chat/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            if not first and '"content":"' in line and '"role"' not in line:
                first = time.perf_counter() - start
            if '"completion_tokens"' in line:
                tokens = json.loads(line.removeprefix("data: "))["usage"]["completion_tokens"]
    assert tokens == TOKENS, f"user {number} got {tokens} tokens"
    return first


@contextmanager
def _bare() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.bare_generate", str(MODEL), "float32", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while process.stdout.readline().strip() != "ready":
            assert process.poll() is None, "the comparison process ended"
        yield process
    finally:
        process.kill()
        process.communicate()


def _ask(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"prompt": PROMPT, "tokens": TOKENS}) + "\n")
    process.stdin.flush()
    return dict(json.loads(process.stdout.readline()))


if __name__ == "__main__":
    from tests.bench.table import plain

    print("\n".join(plain(measure())))
