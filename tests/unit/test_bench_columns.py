"""The figures of a measurement: as LMDeploy's own table has them, computed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.bench import records
from backend.bench.columns import KEYS, MORE_TITLES, UNITS, columns, in_lines, percentile
from backend.bench.records import Bench, Record, add_requests, read_bench, read_requests, write_bench


def record(
    number: int, begin: float, first: float | None, end: float, gaps: tuple[float, ...], **more: object
) -> Record:
    told: dict[str, object] = {"prompt_tokens": 10, "completion_tokens": len(gaps) + 1, "counted": True, **more}
    return Record(number, 2, begin, end, first, token_s=gaps, **told)  # type: ignore[arg-type]


def test_all_columns_of_two_requests_that_can_be_checked_by_hand() -> None:
    found = columns([record(0, 0.0, 0.1, 1.0, (0.3, 0.6)), record(1, 0.5, 0.3, 2.0, (0.1, 0.2, 0.4, 0.5))])
    assert {key: found[key] for key in KEYS} == pytest.approx(
        {
            "elapsed_time": 2.0,
            "first_token_latency_min": 0.1,
            "first_token_latency_max": 0.3,
            "first_token_latency_ave": 0.2,
            # 0.1 0.2 0.3 0.4 0.5 0.6: the values at int(0.5 * 6) = 3, int(4.5) = 4, int(5.7) = 5, int(5.94) = 5
            "per_token_latency_50": 0.4,
            "per_token_latency_75": 0.5,
            "per_token_latency_95": 0.6,
            "per_token_latency_99": 0.6,
            "number_of_prompt_tokens": 20,
            "number_of_completion_tokens": 8,
            "token_throughput_completion": 4.0,
            "token_throughput_prompt_completion": 14.0,
            "rps": 1.0,
            "rpm": 60.0,
        }
    )
    assert found["latency_ave"] == pytest.approx(1.25)
    assert found["time_per_output_token_ave"] == pytest.approx(2.1 / 6)
    assert (found["number_of_requests"], found["number_of_failed_requests"]) == (2, 0)
    assert set(found) == {*KEYS, *MORE_TITLES} == set(UNITS)


def test_tokens_that_come_together_took_no_time_so_the_median_of_lmdeploys_own_table_is_0() -> None:
    # As in the table that the course's notes show: [0, 0.094, 0.169, 0.227]. Nine tokens after the first in four pieces.
    found = columns([record(0, 0.0, 0.1, 1.0, (0.094, 0.1, 0.169, 0.227), completion_tokens=10)])
    shares = [found[f"per_token_latency_{p}"] for p in (50, 75, 95, 99)]
    assert shares == [0.0, 0.1, 0.227, 0.227]
    assert found["time_per_output_token_ave"] == pytest.approx(0.59 / 9)


def test_failed_requests_count_as_failed_and_in_nothing_else() -> None:
    good = record(0, 0.0, 0.1, 1.0, (0.1,))
    bad = record(1, 0.0, 0.9, 4.0, (5.0,), error="broken")
    found = columns([good, bad])
    assert (found["number_of_requests"], found["number_of_failed_requests"]) == (1, 1)
    assert (found["number_of_completion_tokens"], found["first_token_latency_max"]) == (2, 0.1)
    assert (found["elapsed_time"], found["rps"]) == (4.0, 0.25), "the time that they took was spent"


def test_what_cannot_be_measured_is_none_and_not_0() -> None:
    nothing = columns([])
    assert nothing["rps"] is None
    assert nothing["first_token_latency_ave"] is None
    whole = columns([record(0, 0.0, None, 1.0, (), completion_tokens=7)])
    assert whole["first_token_latency_min"] is None
    assert whole["per_token_latency_50"] is None
    assert whole["token_throughput_completion"] == 7.0
    one = columns([record(0, 0.0, 0.5, 1.0, ())])
    assert one["per_token_latency_50"] is None, "an answer of one token has no second one"


def test_a_percentile_never_runs_over_the_end() -> None:
    assert percentile([1.0], 99) == percentile([1.0, 2.0], 0) == 1.0
    assert percentile([1.0, 2.0], 100) == 2.0
    assert percentile([5.0], 50, zeros=1) == 5.0
    assert percentile([5.0], 49, zeros=1) == 0.0


def test_the_table_reads_as_lmdeploy_prints_it() -> None:
    found = columns([record(0, 0.0, 0.0681, 2.0, (0.5, 0.5), prompt_tokens=4)])
    assert in_lines(256, found) == [
        "concurrency: 256",
        "elapsed_time: 2.000s",
        "first token latency(s)(min, max, ave): 0.068, 0.068, 0.068",
        "per-token latency(s) percentile(50, 75, 95, 99): [0.500, 0.500, 0.500, 0.500]",
        "number of prompt tokens: 4",
        "number of completion tokens: 3",
        "token throughput (completion token): 1.500 token/s",
        "token throughput (prompt + completion token): 3.500 token/s",
        "RPS (request per second): 0.500 req/s",
        "RPM (request per minute): 30.000 req/min",
    ]
    assert in_lines(1, columns([]))[2] == "first token latency(s)(min, max, ave): -, -, -"


def test_what_is_written_is_read_again_and_half_a_line_is_left_out(tmp_path: Path) -> None:
    assert read_bench(tmp_path) is None
    assert not list(read_requests(tmp_path))
    bench = Bench("m", "http://x/v1", {"seed": 1}, 5.0, levels=[{"concurrency": 2, "columns": {"rps": None}}])
    write_bench(tmp_path, bench)
    assert read_bench(tmp_path) == bench
    some = [record(n, 0.0, 0.125, 1.0, (0.25,)) for n in range(2)]
    add_requests(tmp_path, some[:1])
    add_requests(tmp_path, some[1:])
    with (tmp_path / records.REQUESTS).open("a") as file:
        file.write('{"number": 3, "con')
    assert [(one.number, one.first_s, list(one.token_s)) for one in read_requests(tmp_path)] == [
        (0, 0.125, [0.25]),
        (1, 0.125, [0.25]),
    ]
