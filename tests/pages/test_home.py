"""Home: the newcomer's one button, the later visit's overview, and what is wrong with the machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend.memory.machine import Gpu, Machine
from backend.queue.store import Store
from backend.workspace import ROOT
from tests.pages.conftest import OpenPage
from tests.support.page_text import labels, text
from ui import machine_view

GIB = 2**30


def test_a_newcomer_reads_what_it_is_and_has_one_primary_button(open_page: OpenPage) -> None:
    app = open_page("home")
    assert app.title[0].value == "Welcome to TuneDeck"
    assert "takes a language model through its whole life" in text(app)
    primary = [b.label for b in app.button if b.proto.type == "primary"]
    assert primary == ["Talk to the starter model"]
    assert "Nothing runs, waits or has ended yet." in text(app)


def test_the_button_starts_the_starter_as_one_job_and_a_second_press_makes_no_second(
    open_page: OpenPage, store: Store
) -> None:
    for _press in range(2):
        app = open_page("home")
        app.button(key="talk").click().run()
        assert not app.exception
    rows = store.list()
    assert [(row.verb, row.title, row.state) for row in rows] == [("serve", "starter", "queued")]


def test_a_later_visit_shows_what_waits_and_no_welcome(open_page: OpenPage, store: Store) -> None:
    store.submit("drill", {}, title="Practice <b>*one*</b>")
    app = open_page("home")
    assert app.title[0].value == "Home"
    assert "Waiting" in [s.value for s in app.subheader]
    assert "Practice" in text(app)
    assert "<b>" not in text(app).replace("\\<b\\>", "")  # a title is text, never markup


def test_a_failed_job_needs_the_person_until_it_was_tried_again(open_page: OpenPage, store: Store) -> None:
    first = store.submit("drill", {}, title="retried")
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'failed', ended = unixepoch() WHERE id = ?", (first.id,))
    assert "Needs you" in [s.value for s in open_page("home").subheader]
    store.submit("drill", {}, title="retried")
    assert "Needs you" not in [s.value for s in open_page("home").subheader]


def test_a_starter_that_is_damaged_is_said_plainly_and_offers_no_button(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "models" / "starter", root / "models" / "starter")
    (root / "models" / "starter" / "model.safetensors").write_bytes(b"\x10\x00")
    monkeypatch.setattr("backend.catalog.entries.ROOT", root)
    app = open_page("home")
    assert "The starter model is not usable" in [s.value for s in app.subheader]
    assert "Talk to the starter model" not in labels(app)


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (Machine("box", 8, 16 * GIB, 8 * GIB, 100 * GIB, 50 * GIB), []),
        (Machine("box", 8, 16 * GIB, 8 * GIB, 100 * GIB, 2 * GIB), ["The disk is nearly full: 2.0 GiB left."]),
        (Machine("box", 8, 16 * GIB, GIB // 2, None, None), ["Memory is nearly used up: 0.5 GiB left."]),
        (
            Machine("box", 8, 16 * GIB, 8 * GIB, None, None, (), "Driver/library version mismatch"),
            ["The GPU driver does not answer: Driver/library version mismatch"],
        ),
        (
            Machine("box", 8, 16 * GIB, 8 * GIB, None, None, (Gpu(3, "", "", None, None, None),)),
            ["GPU 3 does not answer any more."],
        ),
    ],
)
def test_what_is_wrong_with_the_machine_is_said_in_words(machine: Machine, said: list[str]) -> None:
    assert machine_view.problems(machine) == said
