"""Split on the Datasets page: what would come of the shares, the new version, and questions that stand on two sides."""

from __future__ import annotations

import pytest

from backend.data.split import leaks
from backend.data.store import Datasets
from backend.workspace import Workspace
from tests.support.datasets import keep, row, sums
from tests.support.datasets_page import open_datasets, press, said
from ui.datasets import words as datasets_words

TRAIN = datasets_words.word(datasets_words.SPLITS, "train")
TOPICS = ("law", "farm")
WORDS = ("wheat", "river", "contract", "engine", "violin", "harvest", "senate")


def many(count: int) -> list[object]:
    return [
        row(f"{WORDS[n % 7]} {n * 7919} {WORDS[n % 5]} and {n * n}?", "x", topic=TOPICS[n % 2]) for n in range(count)
    ]


def bars(app: object) -> list[str]:
    return [str(bar.proto.text) for bar in app.get("progress")]  # type: ignore[attr-defined]


def test_what_would_come_of_the_shares_is_shown_and_done(workspace: Workspace) -> None:
    keep(workspace, "Farm", many(100))  # type: ignore[arg-type]
    app = open_datasets(set="Farm", part="split")
    assert bars(app) == [
        f"**{TRAIN}** · 80 rows · 80.0%",
        "**validation** · 10 rows · 10.0%",
        "**test** · 10 rows · 10.0%",
    ]
    app.number_input(key="split_train").set_value(90)
    app.number_input(key="split_validation").set_value(0)
    next(box for box in app.selectbox if box.label == "Spread evenly").set_value("topic").run()
    assert bars(app) == [f"**{TRAIN}** · 90 rows · 90.0%", "**test** · 10 rows · 10.0%"]
    press(app, "Split 'Farm'")
    version = Datasets(workspace).open("Farm")
    assert version.info.counts == {"train": 90, "test": 10}
    assert [each["meta"]["topic"] for each in version if each["meta"].get("split")].count("law") == 5
    assert f"Now: {TRAIN} 90, test 10." in said(app)
    assert "No question stands in two parts." in said(app)
    assert version.info.steps[0]["stratify"] == "topic"


def test_shares_that_do_not_add_up_are_said_and_nothing_can_be_done(workspace: Workspace) -> None:
    keep(workspace, "Farm", sums(10))
    app = open_datasets(set="Farm", part="split")
    app.number_input(key="split_train").set_value(50).run()
    assert "do not add up to 100 %" in said(app)
    assert not [button for button in app.button if button.label.startswith("Split '")]


def test_a_set_that_is_too_small_says_so(workspace: Workspace) -> None:
    keep(workspace, "Farm", [row("Who are you?", "a"), row("who are you", "b")])
    app = open_datasets(set="Farm", part="split")
    assert "3 parts need at least 3 different questions; here are 1 that may be dealt." in said(app)


def test_leaks_are_named_with_their_rows_and_a_new_split_mends_them(workspace: Workspace) -> None:
    keep(workspace, "Farm", [*many(20), row("Who are you?", "a"), row("who are you", "b", split="test")])  # type: ignore[list-item]
    app = open_datasets(set="Farm", part="split")
    assert "1 question stands in two parts: what is tested was learned." in said(app)
    press(app, "Split 'Farm'")
    assert "No question stands in two parts." in said(app)
    version = Datasets(workspace).open("Farm")
    assert leaks(version).groups == 0
    assert [each["meta"]["split"] for each in version.rows(20, 22)] == ["test", "test"], (
        "held-out rows stay, by default"
    )


def test_the_rows_of_a_leak_can_be_looked_at(workspace: Workspace) -> None:
    keep(workspace, "Farm", [*sums(3), row("Who are you?", "a"), row("who are you", "b", split="test")])
    app = open_datasets(set="Farm", part="split")
    press(app, "Rows 4, 5")
    assert app.query_params["row"] in ("4", ["4"])


def test_a_large_set_is_split_by_a_job(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(workspace, "Farm", many(30))  # type: ignore[arg-type]
    for place in ("ui.datasets.split", "ui.datasets.change"):
        monkeypatch.setattr(f"{place}.AT_ONCE_BYTES", 10)
    app = open_datasets(set="Farm", part="split")
    assert bars(app)[0] == f"**{TRAIN}** · about 24 rows · 80.0%"
    press(app, "Split 'Farm'")
    assert "makes it; the new version is current when it is done" in said(app)
