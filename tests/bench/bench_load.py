"""Load generator: what it can send against a server that costs nothing, and its latencies beside those of another generator"""

from __future__ import annotations

import resource
import statistics

from backend.bench.prompts import read
from backend.specs.bench import Load
from jobs.benching import generator
from jobs.benching.generator import Measured, Target
from tests.bench.table import Row
from tests.support.load_stub import load_stub
from tests.support.other_load import other_load

LEAST_RPS = 2000
WITHIN = 0.05
ROUNDS = 3
TRIES, REQUESTS, PEOPLE, TOKENS = 12, 1500, 64, 16
FIRST_S, PACE_S = 0.1, 0.02
PACED = (("one at a time", 4, 1, 0.0), ("visitors, 15 a second", 45, 64, 15.0))
"""(name, requests, at most at once, requests per second at random moments; 0: as soon as one is answered)"""
PACED_TOKENS = 40
CROWD = 128


def measure() -> list[Row]:
    return [*_throughput(), *_latencies(), *_late()]


def _ours(port: int, count: int, people: int, tokens: int, rate: float = 0.0) -> Measured:
    load = Load(num_prompts=count, output_tokens=tokens, warmup=min(people, count), rate=rate)
    return generator.run(Target(f"http://127.0.0.1:{port}/v1"), read("bundled", 112), load, people)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _throughput() -> list[Row]:
    """The best of several short tries: what it can do is what it does while nothing else wants the two cores."""
    best = other_best = 0.0
    cpu_s = float("inf")
    with load_stub() as port:
        for _ in range(TRIES):
            before = _cpu_s()
            found = _ours(port, REQUESTS, PEOPLE, TOKENS)
            assert found.complete
            assert not found.errors
            cpu_s = min(cpu_s, (_cpu_s() - before) / (REQUESTS + PEOPLE))
            best = max(best, found.columns["rps"] or 0.0)
            other_best = max(other_best, other_load(port, REQUESTS, PEOPLE, TOKENS)["rps"])
    return [
        {
            "what": f"requests sent and read, each a stream of {TOKENS} tokens, {PEOPLE} at once, best of {TRIES}",
            "value": best,
            "unit": "requests/s",
            "goal": f">= {LEAST_RPS:,}",
            "ok": best >= LEAST_RPS,
        },
        {
            "what": "the same with a plain aiohttp client",
            "value": other_best,
            "unit": "requests/s",
            "ratio": other_best / best,
        },
        {"what": "CPU time of ours for one such request", "value": 1e6 * cpu_s, "unit": "µs"},
    ]


def _latencies() -> list[Row]:
    """Ours and the other generator in turns, each warmed up; the medians of all that they saw."""
    rows: list[Row] = []
    with load_stub(FIRST_S, PACE_S) as port:
        for kind, count, people, rate in PACED:
            ours: dict[str, list[float]] = {"first token": [], "per token": [], "whole answer": []}
            others: dict[str, list[float]] = {name: [] for name in ours}
            for _ in range(ROUNDS):
                records = _ours(port, count, people, PACED_TOKENS, rate).records
                ours["first token"] += [one.first_s or 0.0 for one in records]
                ours["per token"] += [s for one in records for s in one.token_s]
                ours["whole answer"] += [one.latency_s for one in records]
                other = other_load(port, count, people, PACED_TOKENS, rate)
                for name, key in zip(others, ("first_s", "token_s", "whole_s"), strict=True):
                    others[name] += other[key]
            for name, values in ours.items():
                mine, theirs = statistics.median(values), statistics.median(others[name])
                rows.append(
                    {
                        "what": f"{name}, median, {kind}, beside a plain aiohttp client",
                        "value": 1000 * mine,
                        "unit": "ms",
                        "ratio": mine / theirs,
                        "goal": f"within {WITHIN:.0%}",
                        "ok": abs(mine / theirs - 1) <= WITHIN,
                    }
                )
    return rows


def _late() -> list[Row]:
    """What a generator adds by itself to the first token when many ask in the same instant: the stub waits a known time."""
    with load_stub(FIRST_S) as port:
        ours = [one.first_s or 0.0 for one in _ours(port, 4 * CROWD, CROWD, 4).records]
        other = other_load(port, 4 * CROWD, CROWD, 4)["first_s"]
    mine, theirs = (1000 * (statistics.median(values) - FIRST_S) for values in (ours, other))
    what = f"first token, {CROWD} at once, median beyond the {1000 * FIRST_S:.0f} ms that the stub waits"
    return [
        {"what": what, "value": mine, "unit": "ms"},
        {"what": "the same with a plain aiohttp client", "value": theirs, "unit": "ms", "ratio": theirs / mine},
    ]
