"""Many clients that read streams at once, as a process of its own.

    python -m tests.support.stream_load PORT KEY STREAMS WORDS PACE_S SPREAD_S

Prints one JSON line: words per second over all streams, and each stream's seconds to its first word.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time


async def read_one(port: int, key: str, words: int, pace_s: float, wait_s: float) -> tuple[float, int]:
    """Seconds from sending the request to its first word, and how many words came."""
    await asyncio.sleep(wait_s)
    body = json.dumps({"model": "stub", "stream": True, "messages": [], "n": words, "pace_s": pace_s}).encode()
    begin = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    first, came, tail = 0.0, 0, b""
    while not tail.endswith(b"[DONE]\n\n\r\n0\r\n\r\n"):
        piece = await reader.read(65536)
        if not piece:
            raise ConnectionError(f"the stream ended after {came} words: {tail!r}")
        if not first and b"data:" in piece:
            first = time.perf_counter() - begin
        tail = (tail + piece)[-400:] if len(piece) < 400 else piece[-400:]
        came += piece.count(b'"content":')
    writer.close()
    return first, came


async def main() -> None:
    port, key, streams, words = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    pace_s, spread_s = float(sys.argv[5]), float(sys.argv[6])
    begin = time.perf_counter()
    results = await asyncio.gather(
        *(read_one(port, key, words, pace_s, spread_s * n / streams) for n in range(streams))
    )
    elapsed = time.perf_counter() - begin
    print(json.dumps({"words_per_s": sum(w for _f, w in results) / elapsed, "first_s": [f for f, _w in results]}))


if __name__ == "__main__":
    asyncio.run(main())
