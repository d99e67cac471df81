"""Gateway: a stub server asked directly and through /v1, in turns

Three processes beside this one: the stub, the panel, and the clients. The stub gives every stream 100 words a second,
which is more than a large GPU gives 32 readers at once; the last row takes the brake off.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from backend.queue.store import open_store
from backend.servers import Server
from backend.web.keys import Keys
from backend.workspace import ROOT, open_workspace
from tests.support.panel import start_panel
from tests.support.served import served

STREAMS, PACE_S = 32, 0.01
ROUNDS = 5


def load(port: int, key: str, streams: int, words: int, pace_s: float, spread_s: float) -> dict[str, Any]:
    """One run of the clients."""
    numbers = [str(n) for n in (streams, words, pace_s, spread_s)]
    command = [sys.executable, "-m", "tests.support.stream_load", str(port), key, *numbers]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return dict(json.loads(ran.stdout))


def measure() -> list[dict[str, Any]]:
    """Rows for the table."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        workspace = open_workspace(Path(folder) / "w")
        _key, text = Keys(workspace).create("bench")
        command = [sys.executable, "-m", "tests.support.fast_stub"]
        stub = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        panel = start_panel(workspace.root)
        store = open_store(workspace)
        try:
            assert stub.stdout is not None
            port = int(stub.stdout.readline())
            server = Server(job_id=0, model="stub", base_url=f"http://127.0.0.1:{port}/v1", key="stub-key", since=1.0)
            with served(store, server):
                ports = {"direct": port, "gateway": panel.port}
                for to in ports.values():
                    load(to, text, STREAMS, 10, PACE_S, 0)  # the first request imports and opens things
                rows += _throughput(ports, text, panel.process.pid)
                rows += _first_word("one stream at a time", ports, text, 1, 20 * ROUNDS)
                rows += _first_word(f"{STREAMS} streams, one every 30 ms", ports, text, STREAMS, ROUNDS, spread_s=1.0)
                rows += _first_word(
                    f"{STREAMS} streams in the same instant", ports, text, STREAMS, 2 * ROUNDS, goal=False
                )
                rows += _unbraked(ports, text)
        finally:
            store.close()
            panel.stop()
            stub.kill()
            stub.communicate()
    return rows


def _throughput(ports: dict[str, int], key: str, pid: int) -> list[dict[str, Any]]:
    seen: dict[str, list[float]] = {name: [] for name in ports}
    process, busy_s, wall_s = psutil.Process(pid), 0.0, 0.0
    for _round in range(ROUNDS):
        for name, port in ports.items():
            before = sum(process.cpu_times()[:2])
            seen[name].append(load(port, key, STREAMS, 300, PACE_S, 0)["words_per_s"])
            if name == "gateway":
                busy_s += sum(process.cpu_times()[:2]) - before
                wall_s += STREAMS * 300 / seen[name][-1]
    direct, through = statistics.median(seen["direct"]), statistics.median(seen["gateway"])
    what = f"{STREAMS} streams of {1 / PACE_S:.0f} words/s"
    return [
        {"what": f"{what}, direct", "value": direct, "unit": "words/s"},
        {
            "what": f"{what}, gateway",
            "value": through,
            "unit": "words/s",
            "ratio": through / direct,
            "goal": ">= 0.95 x direct",
            "ok": through / direct >= 0.95,
        },
        {"what": f"{what}, processor the panel needs", "value": 100 * busy_s / wall_s, "unit": "% of a core"},
    ]


def _first_word(
    what: str, ports: dict[str, int], key: str, streams: int, rounds: int, *, spread_s: float = 0.0, goal: bool = True
) -> list[dict[str, Any]]:
    seen: dict[str, list[float]] = {name: [] for name in ports}
    words = 20 if spread_s == 0 else int(spread_s / PACE_S)
    for _round in range(rounds if streams > 1 else 5):
        for name, port in ports.items():
            for _again in range(1 if streams > 1 else rounds // 5):
                seen[name] += load(port, key, streams, words if streams > 1 else 2, PACE_S, spread_s)["first_s"]
    direct, through = (1000 * statistics.median(seen[name]) for name in ("direct", "gateway"))
    row: dict[str, Any] = {"what": f"first word, {what}: more than direct", "value": through - direct, "unit": "ms"}
    if goal:
        row |= {"goal": "<= 5 ms", "ok": through - direct <= 5}
    return [{"what": f"first word, {what}: direct", "value": direct, "unit": "ms"}, row]


def _unbraked(ports: dict[str, int], key: str) -> list[dict[str, Any]]:
    seen: dict[str, list[float]] = {name: [] for name in ports}
    for _round in range(ROUNDS):
        for name, port in ports.items():
            seen[name].append(load(port, key, STREAMS, 3000, 0, 0)["words_per_s"])
    direct, through = statistics.median(seen["direct"]), statistics.median(seen["gateway"])
    return [
        {"what": "as fast as it goes, gateway", "value": through, "unit": "words/s", "ratio": through / direct},
    ]


if __name__ == "__main__":
    from tests.bench.table import main

    raise SystemExit(main(["gateway"]))
