"""The figures of one measurement, named as in LMDeploy's own table.

LMDeploy 0.4 ``benchmark/profile_throughput.py`` and ``profile_restful_api.py`` print them; so they are defined as there:

    elapsed_time             s, from the first request to the end of the last one
    first token latency      s, minimum, maximum, mean: from sending a request to its first token
    per-token latency        s, 50/75/95/99 %: from one token to the next, the first left out. A token that came together
                             with another one took 0 s, so the median is 0 where a server sends two tokens or more at once
    RPS, RPM                 requests answered by elapsed_time; tokens that failed requests took are not counted
    percentile p of n        the ``int(p * n)``-th of the sorted values, counted from 0

A figure that cannot be had is None: latencies of tokens of a server that does not stream, everything where nothing was answered.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from backend.bench.records import Record
from backend.i18n import N_

Columns = dict[str, float | None]

TITLES: dict[str, str] = {
    "elapsed_time": N_("Elapsed time"),
    "first_token_latency_min": N_("First token, min"),
    "first_token_latency_max": N_("First token, max"),
    "first_token_latency_ave": N_("First token, mean"),
    "per_token_latency_50": N_("Per token, 50 %"),
    "per_token_latency_75": N_("Per token, 75 %"),
    "per_token_latency_95": N_("Per token, 95 %"),
    "per_token_latency_99": N_("Per token, 99 %"),
    "number_of_prompt_tokens": N_("Prompt tokens"),
    "number_of_completion_tokens": N_("Completion tokens"),
    "token_throughput_completion": N_("Tokens/s (completion)"),
    "token_throughput_prompt_completion": N_("Tokens/s (prompt + completion)"),
    "rps": N_("Requests/s (RPS)"),
    "rpm": N_("Requests/min (RPM)"),
}
KEYS: tuple[str, ...] = tuple(TITLES)
"""LMDeploy's columns, in its order."""
MORE_TITLES: dict[str, str] = {
    "first_token_latency_50": N_("First token, 50 %"),
    "first_token_latency_95": N_("First token, 95 %"),
    "time_per_output_token_ave": N_("Time per token, mean"),
    "latency_ave": N_("Whole answer, mean"),
    "latency_50": N_("Whole answer, 50 %"),
    "latency_95": N_("Whole answer, 95 %"),
    "latency_99": N_("Whole answer, 99 %"),
    "number_of_requests": N_("Requests answered"),
    "number_of_failed_requests": N_("Requests failed"),
}
"""What stands beside them in the same mapping."""
UNITS: dict[str, str] = {
    key: "s"
    if "latency" in key or "time" in key
    else ""
    if key.startswith("number_of")
    else {"rps": "1/s", "rpm": "1/min"}.get(key, "tokens/s")
    for key in (*TITLES, *MORE_TITLES)
}
_PERCENTILES = (50, 75, 95, 99)


def columns(records: Iterable[Record], elapsed_s: float | None = None) -> Columns:
    """All figures of ``records``; ``elapsed_s``: None takes the end of the last one."""
    records = list(records)
    good = [one for one in records if not one.error]
    if elapsed_s is None:
        elapsed_s = max((one.end_s for one in records), default=0.0)
    found: Columns = dict.fromkeys((*TITLES, *MORE_TITLES))
    found |= {"elapsed_time": elapsed_s, "number_of_requests": len(good)}
    found["number_of_failed_requests"] = len(records) - len(good)
    if not good:
        return found
    firsts = sorted(one.first_s for one in good if one.first_s is not None)
    if firsts:
        found |= {
            "first_token_latency_min": firsts[0],
            "first_token_latency_max": firsts[-1],
            "first_token_latency_ave": math.fsum(firsts) / len(firsts),
            "first_token_latency_50": percentile(firsts, 50),
            "first_token_latency_95": percentile(firsts, 95),
        }
        found |= _per_token(good)
    whole = sorted(one.latency_s for one in good)
    prompt, completion = sum(one.prompt_tokens for one in good), sum(one.completion_tokens for one in good)
    found |= {
        "number_of_prompt_tokens": prompt,
        "number_of_completion_tokens": completion,
        "latency_ave": math.fsum(whole) / len(whole),
        **{f"latency_{p}": percentile(whole, p) for p in (50, 95, 99)},
    }
    if elapsed_s > 0:
        found |= {
            "token_throughput_completion": completion / elapsed_s,
            "token_throughput_prompt_completion": (prompt + completion) / elapsed_s,
            "rps": len(good) / elapsed_s,
            "rpm": 60 * len(good) / elapsed_s,
        }
    return found


def _per_token(good: Sequence[Record]) -> Columns:
    gaps: list[float] = []
    together = spent = after_first = 0.0
    for one in good:
        if one.first_s is None:
            continue
        gaps.extend(one.token_s)
        later = max(len(one.token_s), one.completion_tokens - 1)
        together += later - len(one.token_s)
        after_first += later
        spent += math.fsum(one.token_s)
    if not after_first:
        return {}
    gaps.sort()
    found: Columns = {f"per_token_latency_{p}": percentile(gaps, p, zeros=int(together)) for p in _PERCENTILES}
    return {**found, "time_per_output_token_ave": spent / after_first}


def percentile(ordered: Sequence[float], p: float, *, zeros: int = 0) -> float:
    """LMDeploy's: the ``int(p / 100 * n)``-th of ``ordered``, before which ``zeros`` more values of 0 are thought."""
    index = min(int(p * (len(ordered) + zeros) / 100), len(ordered) + zeros - 1) - zeros
    return 0.0 if index < 0 else ordered[index]


def in_lines(concurrency: int, found: Mapping[str, float | None]) -> list[str]:
    """The table as LMDeploy prints it, line by line; not translated, so that it can be compared and searched for."""

    def text(key: str, places: int = 3) -> str:
        value = found.get(key)
        return "-" if value is None else f"{value:.{places}f}"

    first = ", ".join(text(f"first_token_latency_{which}") for which in ("min", "max", "ave"))
    each = ", ".join(text(f"per_token_latency_{p}") for p in _PERCENTILES)
    lines = [
        f"concurrency: {concurrency}",
        f"elapsed_time: {text('elapsed_time')}s",
        f"first token latency(s)(min, max, ave): {first}",
        f"per-token latency(s) percentile(50, 75, 95, 99): [{each}]",
        f"number of prompt tokens: {text('number_of_prompt_tokens', 0)}",
        f"number of completion tokens: {text('number_of_completion_tokens', 0)}",
        f"token throughput (completion token): {text('token_throughput_completion')} token/s",
        f"token throughput (prompt + completion token): {text('token_throughput_prompt_completion')} token/s",
        f"RPS (request per second): {text('rps')} req/s",
        f"RPM (request per minute): {text('rpm')} req/min",
    ]
    if found.get("number_of_failed_requests"):
        lines.append(f"number of failed requests: {text('number_of_failed_requests', 0)}")
    return lines
