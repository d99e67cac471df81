"""``eval`` as a script and as a person see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.catalog import Lineage
from backend.cli import main
from backend.evaluate.store import open_runs
from backend.workspace import Workspace
from tests.support import models, past_runs
from tests.support.past_runs import CEVAL_AVERAGES, HEAD, Attempt, kept


def ask(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    assert main(["eval", *args, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def say(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["eval", *args]) == 0
    return capsys.readouterr().out


def test_a_past_run_is_imported_with_its_rows_and_averages(
    tmp_path: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    past_runs.whole(tmp_path / "outputs")
    (run,) = ask(capsys, "import", str(tmp_path / "outputs"))["runs"]
    averages = {row["dataset"]: f"{row['value']:.2f}" for row in run["rows"] if row["group"]}
    assert averages == CEVAL_AVERAGES
    assert (len(run["rows"]), run["answers"], run["new"]) == (58, 1346, True)
    (again,) = ask(capsys, "import", str(tmp_path / "outputs"))["runs"]
    assert (again["id"], again["new"]) == (run["id"], False)
    said = say(capsys, "import", str(tmp_path / "outputs"))
    assert "ceval-stem" in said
    assert "35.09" in said
    assert "already" in said


def test_looking_keeps_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    past_runs.whole(tmp_path / "outputs", {"law": "1/2"})
    assert ask(capsys, "import", str(tmp_path / "outputs"), "--look")["runs"][0]["new"] is None
    assert ask(capsys, "list") == []
    assert ask(capsys, "import", str(tmp_path / "gone"), code=1)["error"]["code"] == "import_path_unknown"


def test_an_empty_cell_is_shown_with_its_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attempt = Attempt(tmp_path / "outputs")
    attempt.config(["ceval-law"])
    attempt.log("infer", "ceval-law", "No space left on device\n")
    ask(capsys, "import", str(tmp_path))
    said = say(capsys, "show", "1")
    assert "- ceval-law: The disk is full" in said
    (row, *_groups) = ask(capsys, "show", "m")["rows"]
    assert (row["cause"]["code"], row["evidence"]) == ("opencompass_disk_full", "No space left on device")


def test_two_runs_are_compared_by_number_or_by_model(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_runs(workspace)
    a = kept(store, "base", {"sums": "r" * 10 + "w" * 50, "poems": "rr"})
    b = kept(store, "tuned", {"sums": "r" * 50 + "w" * 10, "poems": "rw"})
    store.close()
    (pair,) = ask(capsys, "compare", str(a), "tuned")["pairs"]
    assert (pair["verdict"], pair["a"], pair["b"], pair["all"]["n"]) == ("better", a, b, 62)
    assert pair["all"]["counts"] == {"both": 11, "a_only": 1, "b_only": 40, "neither": 10}
    assert pair["all"]["low"] < pair["all"]["difference"] < pair["all"]["high"]
    assert [row["subject"] for row in pair["subjects"]] == ["sums", "poems"]
    assert "tuned is better on these questions than base" in say(capsys, "compare", "base", "tuned")
    assert "Worse: sums, −66.7 points" in say(capsys, "compare", "tuned", "base")
    assert ask(capsys, "compare", "base", "nobody", code=1)["error"]["code"] == "evaluation_none_of"
    assert ask(capsys, "compare", "base", code=1)["error"]["code"] == "compare_one"
    assert ask(capsys, "compare", "base", "99", code=1)["error"]["code"] == "evaluation_unknown"


def test_runs_are_listed_renamed_exported_and_removed(
    tmp_path: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_runs(workspace)
    first, second = (kept(store, name, {"sums": "rw"}) for name in ("base", "tuned"))
    store.close()
    assert [run["model"] for run in ask(capsys, "list")] == ["tuned", "base"]
    assert [run["id"] for run in ask(capsys, "list", "--model", "base")] == [first]
    assert ask(capsys, "rename", str(first), "Before")["name"] == "Before"
    assert ask(capsys, "show", "Before")["id"] == first
    assert say(capsys, "export", "base", "tuned").splitlines() == [
        f"{HEAD},base,tuned",
        "sums,-,accuracy,gen,50.00,50.00",
    ]
    say(capsys, "export", "base", "--format", "html", "--out", str(tmp_path / "表.html"))
    assert "<!doctype html>" in (tmp_path / "表.html").read_text(encoding="utf-8")
    assert ask(capsys, "remove", str(first), str(second)) == {"removed": [first, second]}
    assert ask(capsys, "list") == []


def test_a_model_is_followed_to_what_it_was_made_from(
    tmp_path: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, lineage in (
        ("base", None),
        ("tuned", Lineage(job=3, verb="finetune", base="base")),
        ("tuned-4bit", Lineage(job=4, verb="quantize", base=str(tmp_path / "tuned"))),
    ):
        folder = models.folder(tmp_path / name)
        if lineage:
            catalog.write_lineage(folder, lineage)
        catalog.add(workspace, folder, name)
    store = open_runs(workspace)
    for name, outcomes in (("base", "rwww"), ("tuned", "rrrw"), ("tuned", "rrrr"), ("tuned-4bit", "rrww")):
        kept(store, name, {"sums": outcomes, "poems": outcomes})
    store.close()
    steps = ask(capsys, "history", "tuned-4bit")
    assert [(step["model"], step["verb"], step["job"], step["listed"]) for step in steps] == [
        ("base", "", None, True),
        ("tuned", "finetune", 3, True),
        ("tuned-4bit", "quantize", 4, True),
    ]
    assert [[run["score"]["value"] for run in step["runs"]] for step in steps] == [[25.0], [75.0, 100.0], [50.0]]
    assert "tuned  (finetune)" in say(capsys, "history", "tuned")
    (gone,) = ask(capsys, "history", "removed")
    assert (gone["listed"], gone["runs"]) == (False, [])


def test_a_lineage_that_goes_in_a_circle_ends(
    tmp_path: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, base in (("one", "two"), ("two", "one")):
        catalog.write_lineage(models.folder(tmp_path / name), Lineage(verb="finetune", base=base))
        catalog.add(workspace, tmp_path / name, name)
    assert [step["model"] for step in ask(capsys, "history", "one")] == ["two", "one"]
