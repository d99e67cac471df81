"""The load generator against a real server on aiohttp, which has the bad habits of real ones."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from backend.bench.prompts import Prompt, read
from backend.errors import ServerError
from backend.specs.bench import Load
from jobs.benching import generator
from jobs.benching.generator import Measured, Target
from tests.support.bench_server import PROMPT_TOKENS, Server, bench_server
from tests.support.stub_openai import KEY, stub


def measure(
    server: Server | str, concurrency: int = 2, *, prompts: list[Prompt] | None = None, **load: Any
) -> Measured:
    target = Target(server if isinstance(server, str) else server.base_url, "", load.pop("key", ""))
    told = Load(**{"num_prompts": 12, "output_tokens": 5, "warmup": 0, "timeout_s": 20, **load})
    return generator.run(target, prompts or read("bundled", 12), told, concurrency)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with bench_server() as running:
        yield running


def test_times_are_those_that_the_server_set_and_the_role_piece_is_no_token() -> None:
    with bench_server(first_s=0.2, pace_s=0.05) as paced:
        found = measure(paced, 3, num_prompts=6)
    columns = found.columns
    assert found.complete
    assert found.errors == {}
    assert found.notices == ()
    # Never early; and not much later, with room for a busy machine.
    assert 0.199 <= columns["first_token_latency_min"] <= columns["first_token_latency_ave"] < 0.4  # type: ignore[operator]
    assert 0.04 < columns["per_token_latency_50"] < 0.08  # type: ignore[operator]
    assert columns["latency_50"] >= 0.2 + 4 * 0.05  # type: ignore[operator]
    assert columns["number_of_prompt_tokens"] == 6 * PROMPT_TOKENS
    assert columns["number_of_completion_tokens"] == 6 * 5
    assert columns["elapsed_time"] >= 2 * 0.4  # type: ignore[operator]
    for one in found.records:
        assert one.counted
        assert len(one.token_s) == 4
        assert one.latency_s == pytest.approx(one.first_s + sum(one.token_s), abs=0.15)  # type: ignore[operator]


def test_every_prompt_is_sent_once_with_what_was_asked_for_and_the_warm_up_is_not_counted(server: Server) -> None:
    before = len(server.asked())
    prompts = [Prompt(({"role": "user", "content": f"question {n}"},), answer_tokens=n) for n in range(12)]
    found = measure(server, 4, prompts=prompts, warmup=3, output_tokens=7, ignore_eos=True)
    asked = [body for body in server.asked()[before:] if body["messages"][0]["content"].startswith("question")]
    assert len(asked) == 3 + 12
    assert len(found.records) == 12
    assert sorted(int(body["messages"][0]["content"].split()[1]) for body in asked[3:]) == list(range(12))
    # The length of the answer that the file has, never more than what was asked for; 0: not known.
    wanted = {f"question {n}": min(n or 7, 7) for n in range(12)}
    assert all(body["max_tokens"] == wanted[body["messages"][0]["content"]] for body in asked)
    told = {(body["model"], body["stream"], body["ignore_eos"], body["temperature"]) for body in asked}
    assert told == {("first", True, True, 0)}


def test_tokens_that_come_together_are_counted_and_took_no_time() -> None:
    with bench_server(pace_s=0.01, together=4) as running:
        columns = measure(running, 2, output_tokens=12).columns
    assert columns["number_of_completion_tokens"] == 12 * 12
    assert columns["per_token_latency_50"] == 0.0
    assert columns["per_token_latency_95"] > 0.02  # type: ignore[operator]


def test_a_server_that_does_not_stream_is_measured_as_far_as_it_can_be() -> None:
    with bench_server(stream=False, pace_s=0.002) as running:
        found = measure(running)
    assert found.notices == ("no_stream",)
    assert found.complete
    assert found.columns["first_token_latency_ave"] is None
    assert found.columns["per_token_latency_50"] is None
    assert found.columns["number_of_completion_tokens"] == 60
    assert found.columns["rps"] > 0  # type: ignore[operator]


def test_a_server_that_refuses_fields_or_tells_no_tokens_is_asked_as_it_likes() -> None:
    with bench_server(refuses=["stream_options", "ignore_eos"], short=3) as running:
        found = measure(running, ignore_eos=True)
        asked = running.asked()
    assert found.errors == {}
    assert not any(name in body for body in asked[-12:] for name in ("stream_options", "ignore_eos"))
    assert set(found.notices) == {"tokens_estimated", "eos_kept"}
    assert found.columns["number_of_completion_tokens"] == 12 * 3, "counted by the pieces that came"


def test_a_connection_that_breaks_off_costs_its_request_and_no_other() -> None:
    with bench_server(cut=[5, 9]) as running:
        found = measure(running, 3)
    assert found.complete
    assert found.errors == {"broken": 2}
    assert found.columns["number_of_requests"] == 10
    broken = [one for one in found.records if one.error]
    assert all(0 < one.completion_tokens < 5 for one in broken), "what had come is on record"


def test_a_server_that_dies_in_the_middle_leaves_a_partial_result_that_says_so() -> None:
    with bench_server(pace_s=0.005, die_after=20) as running:
        found = measure(running, 4, num_prompts=500)
    assert (found.complete, found.ended) == (False, "server_died")
    assert 10 <= found.answered < 20
    assert found.columns["rps"] > 0  # type: ignore[operator]
    assert len(found.records) < 40, "a dead server is not asked 500 times"
    problem = found.problem("first")
    assert problem is not None
    assert problem.code == "bench_server_died"
    assert str(problem).startswith("With 4 people at once, the server of 'first' stopped")
    assert f"after {found.answered} answers" in str(problem)


def test_a_request_that_takes_too_long_is_given_up_at_its_time() -> None:
    with bench_server(pace_s=0.1) as running:
        found = measure(running, 2, num_prompts=2, timeout_s=1.5, output_tokens=60)
    assert found.errors == {"timeout": 2}
    assert all(1.4 < one.latency_s < 3 for one in found.records)


def test_prompts_that_are_too_long_are_told_apart_and_when_all_are_that_is_the_error() -> None:
    prompts = [Prompt(({"role": "user", "content": "word " * n},)) for n in (2, 30)]
    with bench_server(limit=20) as running:
        some = measure(running, prompts=prompts)
        none = measure(running, prompts=prompts[1:], num_prompts=500)
    assert some.errors == {"context": 6}
    assert some.problem("m") is None
    assert (none.complete, none.ended) == (False, "all_failed")
    assert len(none.records) < 40, "what always fails is not tried 500 times"
    problem = none.problem("m")
    assert problem is not None
    assert problem.code == "bench_prompts_too_long"
    assert "maximum context length is 20" in str(problem)


def test_one_who_asks_to_stop_keeps_what_was_measured_and_the_server_is_left_at_once() -> None:
    told: list[tuple[int, int, Mapping[str, float]]] = []
    enough = threading.Event()

    def progress(done: int, total: int, figures: Mapping[str, float]) -> None:
        told.append((done, total, figures))
        if done >= 3:
            enough.set()

    with bench_server(pace_s=0.02) as running:
        load = Load(num_prompts=10_000, output_tokens=5, warmup=1)
        found = generator.run(Target(running.base_url), read("bundled", 5), load, 2, progress, enough.is_set)
    assert (found.ended, found.complete) == ("stopped", False)
    assert 3 <= len(found.records) < 1000
    assert found.problem("m") is None
    done, total, figures = told[-1]
    assert (done, total) == (len(found.records), 10_000)
    assert set(figures) == {"failed", "requests_s", "tokens_s", "first_token_s"}


def test_visitors_come_at_the_rate_that_was_asked_for_whatever_the_server_does(server: Server) -> None:
    found = measure(server, 50, num_prompts=60, rate=100.0)
    begins = sorted(one.begin_s for one in found.records)
    gaps = [later - earlier for earlier, later in itertools.pairwise(begins)]
    assert sum(gaps) / len(gaps) == pytest.approx(0.01, rel=0.5), "the mean of 59 exponential gaps"
    assert max(gaps) > 3 * min(gaps) > 0, "they come at random"
    again = measure(server, 50, num_prompts=60, rate=100.0)
    assert sorted(one.begin_s for one in again.records) == pytest.approx(begins), "the seed decides when"


def test_waiting_at_the_door_counts_when_visitors_come_faster_than_they_are_let_in() -> None:
    with bench_server(first_s=0.4) as running:
        found = measure(running, 1, num_prompts=5, rate=1000.0, output_tokens=1)
    assert found.notices == ("rate_not_reached",)
    assert found.columns["first_token_latency_max"] >= 5 * 0.4 - 0.05  # type: ignore[operator]


def test_another_kind_of_http_server_that_closes_after_each_answer() -> None:
    with stub("small", script={"tokens": 6}) as running:
        found = measure(running.server.base_url, 3, key=KEY, output_tokens=4)
    assert found.errors == {}
    assert found.columns["number_of_completion_tokens"] == 12 * 4


def test_many_at_once(server: Server) -> None:
    found = measure(server, 300, num_prompts=600)
    assert found.complete
    assert found.errors == {}


def refused(base_url: str, model: str = "", key: str = "") -> tuple[str, str]:
    with pytest.raises(ServerError) as caught:
        generator.check(Target(base_url, model, key), Load(timeout_s=5))
    return caught.value.code, str(caught.value)


def test_what_is_found_out_before_anything_is_measured(server: Server) -> None:
    known = generator.check(Target(server.base_url.removesuffix("/v1")), Load())
    assert (known.base_url, known.model, known.streams, known.usage) == (server.base_url, "first", True, True)
    assert known.prompt_tokens == PROMPT_TOKENS
    assert generator.check(Target(server.base_url, "second"), Load()).model == "second"


def test_wrong_addresses_models_and_keys_are_told_by_name(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    assert refused(f"http://127.0.0.1:{free}/v1")[0] == "bench_server_away"
    assert refused("127.0.0.1:23333")[0] == "bench_address_bad"
    code, message = refused(server.base_url, "third")
    assert (code, message.endswith("has no model 'third'.")) == ("bench_model_unknown", True)
    assert refused(f"http://127.0.0.1:{server.port}/wrong")[0] == "bench_not_openai"
    with bench_server(key="right") as locked:
        assert refused(locked.base_url)[0] == refused(locked.base_url, key="wrong")[0] == "bench_key_refused"
        assert generator.check(Target(locked.base_url, key="right"), Load()).model == "first"
    with bench_server(status=503) as ill:
        assert refused(ill.base_url) == (
            "bench_refused",
            f"The server at {ill.base_url} does not answer a short question: The server was told to fail.",
        )


def test_a_key_is_in_no_text() -> None:
    assert "secret" not in repr(Target("http://127.0.0.1/v1", "m", "secret"))


def test_what_listens_but_is_no_http_server_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert refused(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")[0] == "bench_not_openai"
        thread.join(10)
