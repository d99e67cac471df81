"""The whole course as newcomers take it on a laptop without network: from the first page to a model that knows its name, is smaller, and
the proof of both. Once undisturbed; once with the panel killed between any two steps, and in the middle of each long one.

Nothing is shortened the first time: the rows, the plan, the rehearsal, the training, the merge and the proof are those that anybody gets.
"""

from __future__ import annotations

import re
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, expect

from backend.course.lessons import STEPS
from backend.finetune import proof
from backend.queue import folder, proctree, watcher
from backend.queue.store import Store
from backend.workspace import open_workspace
from tests.support.browser import visitor
from tests.support.course_walk import NAME, Walk
from tests.support.panel import Panel, processes_of, start_panel
from tests.support.wait import until

expect.set_options(timeout=90_000)  # a browser, a panel, a job and a model server share what may be two busy cores
HERE = ("127.0.0.1", "localhost")
KNOWS, MOST_LOST = 0.85, 0.08
"""What holds with the noise of a few questions, on any processor. The goal is 0.9 in both languages, and 0.05: seen were 44 of 46 in English, 49
of 54 in Chinese, and 0.040, with an AMD EPYC that has neither AVX-512 nor AMX."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def way_out() -> Iterator[socket.socket]:
    """Where everything goes that the panel or a job sends to another machine: a proxy that only takes note."""
    with socket.socket() as proxy, pytest.MonkeyPatch.context() as patch:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        proxy.settimeout(0)
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for each in (name, name.lower()):
                patch.setenv(each, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for each in ("NO_PROXY", "no_proxy"):
            patch.setenv(each, ",".join(HERE))
        yield proxy
    urllib.request.install_opener(None)  # it remembers the proxy for whatever this process asks next


@pytest.fixture
def panel(way_out: socket.socket, tmp_path: Path) -> Iterator[Panel]:
    running = start_panel(tmp_path / "workspace")
    yield running
    running.stop()


@pytest.fixture
def walker(browser: Browser, panel: Panel, store: Store, tmp_path: Path) -> Iterator[Callable[..., Walk]]:
    """``walker(short=True)``: a newcomer who stands on Home. At the end no request has left this machine, and no page has failed."""
    asked: list[str] = []
    with visitor(browser, panel) as person:
        person.context.on("request", lambda request: asked.append(request.url))
        yield lambda **how: Walk(person, store, tmp_path, **how)
        assert person.errors == []
    away = {url for url in asked if urlsplit(url).hostname not in HERE and not url.startswith(("data:", "blob:"))}
    assert (len(asked) > 10, away) == (True, set())


def test_a_newcomer_takes_the_whole_course_and_has_the_proof_of_it(
    walker: Callable[..., Walk], store: Store, way_out: socket.socket
) -> None:
    walk = walker()
    walk.begin()
    for step in STEPS:
        walk.step(step.id)
    print({name: round(seconds) for name, seconds in walk.took.items()})
    assert_proven(store)
    done = walk.progress.done
    assert set(done) == {step.id for step in STEPS}
    assert walk.said, "the program from the page printed an answer of the model"
    assert done["tool"].facts["result"] == "391"
    assert done["quantize"].facts["bytes"][1] < done["quantize"].facts["bytes"][0]
    right, asked = done["finetune"].facts["right"], done["finetune"].facts["n"]
    end = walk.page.get_by_test_id("stMain")
    expect(end.get_by_text("You have come through the whole course.")).to_be_visible()
    expect(
        end.get_by_text(f"Its name is now {NAME}: {right} of {asked} held-out questions, the base 0.").first
    ).to_be_visible()
    expect(end.get_by_text(re.compile(r"[\d.]+ MiB → [\d.]+ MiB on disk, \d+ % less")).first).to_be_visible()
    expect(end.get_by_text(re.compile(r"\d+ % → \d+ % of \d+ questions")).first).to_be_visible()
    with pytest.raises(BlockingIOError):  # nobody has knocked
        way_out.accept()


def test_a_panel_that_is_killed_between_any_two_steps_and_within_the_long_ones_costs_nothing(
    walker: Callable[..., Walk], store: Store, panel: Panel
) -> None:
    walk = walker(short=True, midway=lambda verb: in_the_middle(store, panel, verb))
    walk.begin()
    for step in STEPS:
        walk.step(step.id)
        known = walk.progress.done
        kill_and_start(panel, watcher_too=step.id in ("talk", "quantize"))
        walk.comes_back()
        assert walk.progress.done == known, "it goes on where it was, with the figures of then"
    print({name: round(seconds) for name, seconds in walk.took.items()})
    assert set(walk.progress.done) == {step.id for step in STEPS}
    expect(walk.page.get_by_text("You have come through the whole course.")).to_be_visible()
    assert {row.attempt for row in store.list(limit=100)} == {1}, "nothing had to begin again"


def in_the_middle(store: Store, panel: Panel, verb: str) -> None:
    """Kill the panel and its watcher while the program of the newest job of that kind works; it works on."""
    job = until(lambda: store.list(verb=verb, limit=1), 60, f"{verb} is queued")[0].id

    def works() -> bool:
        row = store.get(job)
        return row.done or (row.state == "running" and bool(row.progress.get("step")))

    until(works, 400, f"{verb} works")
    child = folder.read(store.job_dir(job), folder.CHILD, 1)
    assert child is not None
    kill_and_start(panel, watcher_too=True)
    assert proctree.process_at(int(child["pid"]), int(child["ticks"])) or store.get(job).done


def kill_and_start(panel: Panel, *, watcher_too: bool) -> None:
    """kill -9 of the panel, as when its machine's memory runs out; then it is started anew."""
    known = watcher.running(open_workspace(panel.workspace))
    panel.kill9()
    if watcher_too:
        assert known is not None
        (process,) = (each for each in processes_of(panel.workspace) if each.pid == known)
        process.kill()
        psutil.wait_procs([process], timeout=10)
    panel.start_again()


def assert_proven(store: Store) -> None:
    """It learned what it was taught, in both languages, and forgot next to nothing."""
    (row,) = store.list(verb="finetune")
    found = proof.read(store.job_dir(row.id))
    assert found is not None
    assert found.questions is not None
    assert found.general is not None
    assert found.general.tally
    usual = found.questions.near_languages
    assert set(usual) == {"en", "zh"}
    for language, tally in usual.items():
        assert tally.base == 0, "the base does not know it"
        assert tally.tuned >= KNOWS * tally.n, (language, tally)
    assert found.general.tally.difference >= -MOST_LOST, found.general.tally
    assert found.verdicts[0] == "learned"
