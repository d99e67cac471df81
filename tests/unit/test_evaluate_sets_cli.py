"""``eval sets|check|add-set|set-from-data|remove-set`` as a script and as a person see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.workspace import Workspace
from tests.support.datasets import keep, row
from tests.support.question_files import ceval, write, zipped


def ask(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    assert main(["eval", *args, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def say(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert main(["eval", *args]) == code
    told = capsys.readouterr()
    return told.out + told.err


def test_a_folder_is_checked_added_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ceval(tmp_path / "ceval/formal_ceval", count=20, encoding="gb18030")
    write(root, "val", "law", [("1", "too short")])
    checked = ask(capsys, "check", str(tmp_path / "ceval"))
    assert (checked["kind"], checked["encoding"], checked["questions"]) == ("ceval", "GB18030, UTF-8", 20)
    assert [each["code"] for each in checked["problems"]] == ["set_row_cells"]
    assert "val/law_val.csv, line 2" in checked["problems"][0]["message"]
    told = say(capsys, "check", str(tmp_path / "ceval"))
    assert "C-Eval, GB18030, UTF-8: 20 questions" in told
    assert "logic: 20 questions" in told
    made = ask(capsys, "add-set", str(tmp_path / "ceval"), "mine", "--title", "Our C-Eval")
    assert (made["name"], made["title"], made["questions"]) == ("mine", "Our C-Eval", 20)
    assert [each["name"] for each in ask(capsys, "sets")] == ["bundled", "mine"]
    told = say(capsys, "sets")
    assert "12 subjects  120 questions" in told
    assert "Our C-Eval  2 subjects  20 questions" in told
    assert "forgotten" in say(capsys, "remove-set", "mine")
    assert [each["name"] for each in ask(capsys, "sets")] == ["bundled"]
    assert ask(capsys, "remove-set", "mine", code=1)["error"]["code"] == "set_unknown"


def test_what_cannot_be_asked_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ceval(tmp_path / "c", ["law"])
    (root / "val/law_val.csv").write_bytes(b"")
    path = zipped(root, tmp_path / "c.zip", "ceval/")
    checked = ask(capsys, "check", str(path), code=1)
    assert checked["problems"][0]["message"] == "ceval/val/law_val.csv holds no questions."
    assert "! ceval/val/law_val.csv holds no questions." in say(capsys, "check", str(path), code=1)
    assert ask(capsys, "add-set", str(path), "c", code=1)["error"]["code"] == "set_unusable"
    assert ask(capsys, "check", str(tmp_path / "none"), code=1)["error"]["code"] == "set_path_missing"


def test_a_file_of_questions_and_a_dataset_become_sets(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "quiz.jsonl"
    path.write_text('{"question": "2+2?", "A": "3", "B": "4", "answer": "B"}\n{"question": "What?"}\n')
    checked = ask(capsys, "check", str(path))
    assert (checked["kind"], checked["questions"], checked["problems"][0]["code"]) == ("own", 1, "set_row_no_solution")
    assert "Rows without a solution: 1; the first is row 2." in say(capsys, "add-set", str(path), "quiz")
    keep(workspace, "facts", [row("Who?", "Robin"), row("Where?", "Here", split="test")])
    made = ask(capsys, "set-from-data", "facts", "f", "--rule", "contains", "--split", "test", "--subject", "mine")
    assert (made["questions"], made["subjects"][0]["name"], made["told"]) == (1, "mine", [])
    refused = ask(capsys, "set-from-data", "facts", "g", "--rule", "guess", code=1)
    assert refused["error"]["code"] == "set_rule_unknown"
    assert "choice, exact, contains, regex, judge" in refused["error"]["hint"]
