"""Side by side: four columns at once, against their four servers asked directly

Four stubs, each a process of its own, give 100 tokens a second each; the direct side is a bare socket that counts. The last
rows take the brake off: then one thread reads what four processes write.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from backend.chat.params import ChatParams
from backend.compare.asking import Asking
from backend.compare.records import Contender
from backend.queue.store import open_store
from backend.workspace import open_workspace
from tests.support.stub_openai import KEY, Stub, published, stub
from tests.support.wait import until

COLUMNS, ROUNDS = 4, 3
TOKENS, PACE_S = 400, 0.01
UNBRAKED_TOKENS = 2000


def measure() -> list[dict[str, Any]]:
    """Rows for the table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        workspace = open_workspace(Path(folder) / "w")
        store = open_store(workspace)
        stack.callback(store.close)
        stubs = [stack.enter_context(stub(f"stub-{number}")) for number in range(COLUMNS)]
        for each in stubs:
            stack.enter_context(published(store, each))
        asking = Asking(workspace, store)
        stack.callback(asking.close)
        _through(asking, stubs, 10, 0)  # the first request imports and opens things
        braked = _both(asking, stubs, TOKENS, PACE_S)
        unbraked = _both(asking, stubs, UNBRAKED_TOKENS, 0)
    ratio = braked["columns"] / braked["direct"]
    what = f"{COLUMNS} streams of {1 / PACE_S:.0f} tokens/s"
    return [
        {"what": f"{what}, direct", "value": braked["direct"], "unit": "tokens/s"},
        {
            "what": f"{what}, in columns",
            "value": braked["columns"],
            "unit": "tokens/s",
            "ratio": ratio,
            "goal": ">= 0.9 x direct",
            "ok": ratio >= 0.9,
        },
        {"what": "as fast as they go, direct", "value": unbraked["direct"], "unit": "tokens/s"},
        {
            "what": "as fast as they go, in columns",
            "value": unbraked["columns"],
            "unit": "tokens/s",
            "ratio": unbraked["columns"] / unbraked["direct"],
        },
    ]


def _both(asking: Asking, stubs: list[Stub], tokens: int, pace_s: float) -> dict[str, float]:
    """Tokens per second over all streams, from the question to the last answer's end; the two sides in turns."""
    seen: dict[str, list[float]] = {"direct": [], "columns": []}
    for _round in range(ROUNDS):
        seen["direct"].append(_directly(stubs, tokens, pace_s))
        seen["columns"].append(_through(asking, stubs, tokens, pace_s))
    return {name: statistics.median(values) for name, values in seen.items()}


def _prompt(tokens: int, pace_s: float) -> str:
    return "!" + json.dumps({"tokens": tokens, "delay_s": pace_s})


def _through(asking: Asking, stubs: list[Stub], tokens: int, pace_s: float) -> float:
    contenders = [Contender(each.model, ChatParams(max_tokens=tokens)) for each in stubs]
    begin = time.perf_counter()
    made = asking.begin(contenders, _prompt(tokens, pace_s), seed=1)
    turn = asking.comparisons.turns(made)[0]
    until(lambda: not any(a and asking.live(a.id) for a in turn.answers), 120, "all answers have their end")
    elapsed = time.perf_counter() - begin
    counts = [answer.completion_tokens if answer else 0 for answer in asking.comparisons.turns(made)[0].answers]
    assert counts == [tokens] * len(stubs), counts
    return sum(count or 0 for count in counts) / elapsed


def _directly(stubs: list[Stub], tokens: int, pace_s: float) -> float:
    async def everything() -> list[int]:
        return await asyncio.gather(*(_read(each, _prompt(tokens, pace_s), tokens) for each in stubs))

    begin = time.perf_counter()
    counts = asyncio.run(everything())
    elapsed = time.perf_counter() - begin
    assert counts == [tokens] * len(stubs), counts
    return sum(counts) / elapsed


async def _read(server: Stub, prompt: str, tokens: int) -> int:
    """The tokens that came before the server closed the connection."""
    request = {"model": server.model, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens}
    body = json.dumps({**request, "temperature": 0.7, "top_p": 0.8, "seed": 1, "stream": True}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    count = 0
    async for line in reader:
        count += b'"content":' in line
    writer.close()
    return count


if __name__ == "__main__":
    from tests.bench.table import main

    raise SystemExit(main(["compare"]))
