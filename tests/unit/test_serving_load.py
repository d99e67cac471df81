"""How loaded a server is: its counters are read, rates made of two looks, and what it does not say is not made up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from backend.deploy.load import EVERY_S, SILENT_S, WINDOW_S, Loads, ask, parse, reading
from jobs.serving import metrics
from tests.support.stub_openai import KEY, Stub, stub

STATUS = {"requests": 7, "errors": 1, "prompt_tokens": 90, "tokens": 1_234_567, "computing": 3, "busy_s": 1.5}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub() as running:
        yield running


def chat(server: Stub, times: int = 1) -> None:
    for _ in range(times):
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        answer = httpx.post(
            f"{server.server.base_url}/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"}
        )
        assert answer.status_code == 200


def test_what_our_server_writes_is_what_the_panel_reads() -> None:
    read = reading(parse(metrics.text(STATUS, together=False)))
    assert read == {"running": 1, "waiting": 2, "requests": 7, "tokens": 1_234_567}
    together = reading(parse(metrics.text(STATUS, together=True)))
    assert (together["running"], together["waiting"]) == (3, 0)


def test_samples_are_summed_over_labels_and_what_is_no_sample_is_left_out() -> None:
    text = '# HELP x y\nx_total{a="1",b="} 5"} 2\nx_total{a="2"} 3e2 1790000000\nbroken{\nnan NaN\nword many\n\n'
    assert parse(text) == {"x_total": 302}


def test_rates_are_differences_over_the_last_half_minute(server: Stub) -> None:
    clock = Clock()
    loads = Loads(clock)
    first = loads.of(server.server)
    assert first is not None
    assert (first.requests, first.requests_s, first.kv_used) == (0, None, 0.25)
    chat(server, 5)  # one of them stands for the completion that makes a server ready
    clock.now += EVERY_S / 2
    assert loads.of(server.server) == first  # asked a moment ago
    clock.now = 1010.0
    second = loads.of(server.server)
    assert second is not None
    assert (second.requests, second.requests_s, second.tokens_s, second.over_s) == (4, 0.5, 5.0, 10.0)
    assert (second.running, second.waiting) == (1, 2)
    clock.now += WINDOW_S + 1
    later = loads.of(server.server)
    assert later is not None
    assert (later.requests, later.requests_s) == (4, None)  # nobody looked: half a minute ago is no "now"


def test_a_server_that_was_restarted_starts_from_its_new_counters(server: Stub) -> None:
    clock = Clock()
    loads = Loads(clock)
    chat(server, 3)
    loads.of(server.server)
    with stub() as again:
        clock.now += 5
        assert again.port != server.port
        same = replace(server.server, base_url=server.server.base_url)
        loads._seen[(same.job_id, again.server.base_url)] = loads._seen.pop((same.job_id, same.base_url))
        load = loads.of(again.server)
    assert load is not None
    assert (load.requests, load.requests_s) == (0, None)


def test_one_that_is_gone_or_refuses_says_nothing_and_is_left_alone_for_a_while(server: Stub) -> None:
    clock = Clock()
    loads = Loads(clock)
    assert loads.of(replace(server.server, key="wrong")) is None
    clock.now += SILENT_S - 1
    assert loads.of(server.server) is None
    clock.now += 2
    assert loads.of(server.server) is not None
    server.kill()
    assert ask(server.server) is None
