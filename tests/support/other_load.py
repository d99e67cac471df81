"""A load generator written the ordinary way, on aiohttp, to hold ours against: another client, another clock, another process.

    python -m tests.support.other_load PORT COUNT CONCURRENCY TOKENS RATE

With a RATE visitors come at random moments, so many a second. Prints one JSON line, after a warm-up: requests per second, CPU seconds, and of the first token, the tokens after it and whole answers the
seconds that each took, sorted.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import aiohttp

from backend.workspace import ROOT


async def load(port: int, count: int, concurrency: int, tokens: int, rate: float) -> dict[str, Any]:
    """Ask ``count`` times, ``concurrency`` at a time, or ``rate`` times a second."""
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    body = {"model": "stub", "stream": True, "max_tokens": tokens, "messages": [{"role": "user", "content": "Hello"}]}
    numbers = iter(range(count))
    firsts: list[float] = []
    gaps: list[float] = []
    whole: list[float] = []

    async def person(session: aiohttp.ClientSession, numbers: Iterator[int]) -> None:
        for _ in numbers:
            begin = time.monotonic()
            last = 0.0
            async with session.post(url, json=body) as answer:
                async for line in answer.content:
                    if not line.startswith(b"data: {"):
                        continue
                    choices = json.loads(line[6:])["choices"]
                    if choices and choices[0]["delta"].get("content"):
                        now = time.monotonic()
                        (gaps if last else firsts).append(now - (last or begin))
                        last = now
            whole.append(time.monotonic() - begin)

    async def visitors(session: aiohttp.ClientSession) -> None:
        coming = []
        for number in numbers:
            coming.append(asyncio.create_task(person(session, iter((number,)))))
            await asyncio.sleep(random.expovariate(rate))
        await asyncio.gather(*coming)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(person(session, iter((0,))) for _ in range(min(concurrency, count))))
        for warm in (firsts, gaps, whole):
            warm.clear()
        begin = time.monotonic()
        if rate:
            await visitors(session)
        else:
            await asyncio.gather(*(person(session, numbers) for _ in range(concurrency)))
        spent = time.monotonic() - begin
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rps": count / spent,
        "cpu_s": used.ru_utime + used.ru_stime,
        "first_s": sorted(firsts),
        "token_s": sorted(gaps),
        "whole_s": sorted(whole),
    }


def other_load(port: int, count: int, concurrency: int, tokens: int, rate: float = 0.0) -> dict[str, Any]:
    """What it finds, as a process of its own."""
    told = [str(number) for number in (port, count, concurrency, tokens, rate)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.other_load", *told], cwd=ROOT, capture_output=True, check=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    port, count, concurrency, tokens = map(int, sys.argv[1:5])
    print(json.dumps(asyncio.run(load(port, count, concurrency, tokens, float(sys.argv[5])))))
