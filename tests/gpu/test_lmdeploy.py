"""LMDeploy on a real card. It needs an environment: TUNEDECK_TEST_LMDEPLOY names the Python of one that holds LMDeploy 0.18,
and TUNEDECK_TEST_MODEL the folder of a chat model (default: the one that ships with TuneDeck)."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.queue.resources import Card, cards
from backend.queue.store import open_store
from backend.servers import Server
from backend.web.keys import Keys
from backend.workspace import ROOT, open_workspace
from tests.support.panel import start_panel
from tests.support.served import served
from tests.support.server import ServeJob
from tests.support.wait import until

# Before any fixture: the tests' own workspace takes all TUNEDECK_ variables away.
PYTHON = os.environ.get("TUNEDECK_TEST_LMDEPLOY", "")
MODEL = os.environ.get("TUNEDECK_TEST_MODEL") or str(ROOT / "models" / "starter")
STREAMS, ROUNDS, TOKENS = 16, 5, 256
START_S = 600
"""Compiling its kernels the first time takes minutes."""

Start = Callable[..., ServeJob]


@pytest.fixture
def serve(tmp_path: Path, card: Card) -> Iterator[Start]:
    """Start LMDeploy; all are ended."""
    if not PYTHON:
        pytest.skip("TUNEDECK_TEST_LMDEPLOY names no Python with LMDeploy")
    started: list[ServeJob] = []

    def start(**spec: Any) -> ServeJob:
        folder = tmp_path / f"job{len(started)}"
        home = folder / "workspace" / "environments" / "lmdeploy"
        home.parent.mkdir(parents=True)
        home.symlink_to(Path(PYTHON).absolute().parent.parent)
        started.append(ServeJob(folder, model=MODEL, name="m", engine="lmdeploy", **spec))
        until(lambda: started[-1].process.poll() is not None or "ready" in started[-1].phases(), START_S, "it is ready")
        return started[-1]

    yield start
    for job in started:
        job.end()


@pytest.mark.parametrize("bits", [0, 8, 4])
@pytest.mark.parametrize("core", ["pytorch", "turbomind"])
def test_it_starts_answers_and_leaves_nothing_on_the_card(serve: Start, card: Card, core: str, bits: int) -> None:
    before = card.free_mib
    job = serve(backend=core, quant_policy=bits, kv_cache_gib=1.0, context_length=2048)
    server = job.ready()
    assert f"--quant-policy={bits}" in job.log.read_text() or bits == 0
    assert job.client().say("Hello", max_tokens=16, temperature=0)
    assert {"chat", "completions"} <= set(server.capabilities)
    job.interrupt()
    assert job.wait(60) == 130
    assert job.left() == []
    until(lambda: cards()[card.index].free_mib >= before - 64, 60, "the card's memory is given back")


@pytest.mark.parametrize("core", ["pytorch", "turbomind"])
def test_a_kv_cache_in_gib_takes_about_that(serve: Start, card: Card, core: str) -> None:
    taken = []
    for gib in (1.0, 5.0):
        job = serve(backend=core, kv_cache_gib=gib, context_length=2048)
        job.ready()
        taken.append(card.free_mib - cards()[card.index].free_mib)
        job.end()
        until(lambda: cards()[card.index].free_mib >= card.free_mib - 64, 60, "the card's memory is given back")
    assert 3.6 * 1024 <= taken[1] - taken[0] <= 4.4 * 1024, f"MiB on the card with 1 and 5 GiB: {taken}"


def test_asleep_it_gives_its_memory_back_and_awake_it_answers(serve: Start, card: Card) -> None:
    job = serve(backend="turbomind", kv_cache_gib=4.0, context_length=2048)
    client = job.client()
    said = client.say("Hello", max_tokens=16, temperature=0)
    awake = cards()[card.index].free_mib
    root = client.server.base_url.removesuffix("/v1")
    assert client.http.post(f"{root}/sleep?level=1", json={}).status_code == 200
    until(lambda: cards()[card.index].free_mib >= awake + 4 * 1024 - 128, 60, "the memory is free")
    assert client.chat("Hello").status_code == 503
    assert client.http.post(f"{root}/wakeup", json={}).status_code == 200
    assert client.say("Hello", max_tokens=16, temperature=0) == said


def test_through_the_gateway_it_writes_at_least_98_percent_of_the_tokens(serve: Start, tmp_path: Path) -> None:
    job = serve(kv_cache_gib=4.0, context_length=2048)
    server = job.ready()
    workspace = open_workspace(tmp_path / "panel")
    _key, text = Keys(workspace).create("test")
    panel = start_panel(workspace.root)
    store = open_store(workspace)
    try:
        with served(store, replace(server, since=time.time())):
            ways = {"direct": (server.base_url, server.key), "gateway": (f"{panel.url}/v1", text)}
            for url, key in ways.values():
                _tokens_per_s(url, key, server)
            speeds: dict[str, list[float]] = {way: [] for way in ways}
            for _round in range(ROUNDS):
                for way, (url, key) in ways.items():
                    speeds[way].append(_tokens_per_s(url, key, server))
    finally:
        store.close()
        panel.stop()
    ratio = statistics.median(speeds["gateway"]) / statistics.median(speeds["direct"])
    print(f"gateway / direct: {ratio:.3f}, {STREAMS} streams, tokens/s: {speeds}")
    assert ratio >= 0.98


def _tokens_per_s(url: str, key: str, server: Server) -> float:
    """Of all streams together."""
    body = {
        "model": server.model,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": TOKENS,
        "ignore_eos": True,
        "stream": True,
    }

    def ask(_number: int) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.stream("POST", f"{url}/chat/completions", json=body, headers=headers, timeout=300) as answer:
            assert answer.status_code == 200, answer.read()
            return sum(line.startswith("data: {") for line in answer.iter_lines())

    began = time.monotonic()
    with ThreadPoolExecutor(STREAMS) as pool:
        chunks = sum(pool.map(ask, range(STREAMS)))
    assert chunks > STREAMS
    return STREAMS * TOKENS / (time.monotonic() - began)
