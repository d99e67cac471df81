"""One's own questions: from a dataset, or from a file; what cannot be one is counted by its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from backend.data.rows import Row
from backend.data.store import Datasets
from backend.errors import DataError, PanelError
from backend.evaluate import marking, option_lines, own_sets, patterns, sets
from backend.evaluate.questions import Rule
from backend.workspace import Workspace
from tests.support.datasets import keep, row

CHOICE = "Which city is in France?\nA. London\nB. Paris\nC. Rome\nAnswer with the letter."


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    yield
    patterns.close()


def told(workspace: Workspace, name: str) -> dict[str, str]:
    return {each["code"]: str(PanelError.from_dict(each)) for each in sets.told(workspace, name)}


def file(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(each, ensure_ascii=False) for each in rows), encoding="utf-8")
    return path


def test_the_last_answer_of_a_row_is_the_solution_and_its_system_prompt_is_kept(workspace: Workspace) -> None:
    system: Row = {
        "messages": [{"role": "system", "content": "You are Robin."}, *row("Who are you?", "Robin")["messages"]]
    }
    version = keep(workspace, "facts", [row("What is 6 times 7?", "42"), system])
    made = sets.from_rows(workspace, "facts", "my facts", "exact")
    assert (made.kind, made.questions, [s.name for s in made.subjects]) == ("own", 2, ["facts"])
    first, second = sets.questions(workspace, "my facts")
    assert (first.text, first.answer, first.rule, first.number) == ("What is 6 times 7?", "42", "exact", 0)
    assert (second.system, second.number) == ("You are Robin.", 1)
    assert told(workspace, "my facts") == {}
    data = json.loads((workspace.question_sets / "my facts/set.json").read_text())
    assert data["source"] == {"dataset": "facts", "version": version.id, "split": ""}
    Datasets(workspace).delete("facts")
    assert len(sets.questions(workspace, "my facts")) == 2


def test_rows_that_are_no_question_are_counted_with_the_first_of_each_kind(workspace: Workspace) -> None:
    talk: Row = {"messages": [*row("Hello", "Hi")["messages"], *row("Bye", "Bye")["messages"]]}
    picture: Row = {
        "messages": [{"role": "user", "content": "<image>?", "images": ["a.png"]}, *row("", "x")["messages"][1:]]
    }
    tools: Row = {**row("What time is it?", "Noon"), "tools": [{"type": "function", "function": {"name": "clock"}}]}
    unanswered: Row = {"messages": [{"role": "user", "content": "Why?"}]}
    good = row("What is 1 plus 1?", "2")
    keep(workspace, "mixed", [good, talk, picture, talk, tools, unanswered, row("  ", "x"), row("Blank?", " "), good])
    assert sets.from_rows(workspace, "mixed", "m", "contains").questions == 1
    assert told(workspace, "m") == {
        "set_row_conversation": "Rows with more than one question, which are conversations: 2; the first is row 2.",
        "set_row_pictures": "Rows with pictures, which questions cannot have: 1; the first is row 3.",
        "set_row_tools": "Rows in which tools are called: 1; the first is row 5.",
        "set_row_no_solution": "Rows without a solution: 2; the first is row 6.",
        "set_row_no_question": "Rows without a question: 1; the first is row 7.",
        "set_row_repeated": "Rows that repeat an earlier one: 1; the first is row 9.",
    }


def test_a_choice_is_recognised_by_options_on_lines(workspace: Workspace) -> None:
    rows = [
        row(CHOICE, "Paris (B)"),
        row("法国的首都是？\n（A）伦敦\n（B）巴黎\n答案：", "选B"),
        row("No options here", "B"),
        row(CHOICE.replace("Which", "What"), "no idea"),
    ]
    keep(workspace, "quiz", rows)
    made = sets.from_rows(workspace, "quiz", "q", "choice", subject="cities")
    english, chinese = sets.questions(workspace, "q")
    assert (english.text, english.options, english.answer) == (
        "Which city is in France?",
        ("London", "Paris", "Rome"),
        "B",
    )
    assert (chinese.text, chinese.options, chinese.answer, chinese.language) == (
        "法国的首都是？",
        ("伦敦", "巴黎"),
        "B",
        "zh",
    )
    assert made.subjects[0].name == "cities"
    found = told(workspace, "q")
    assert "row 3" in found["set_row_no_options"]
    assert "row 4, with “no idea”" in found["set_row_no_option"]


def test_what_stands_after_the_options_is_kept_where_it_is_a_question() -> None:
    assert option_lines.split("Look:\nA) x\nB) y\n\nWhich one is it?") == ("Look:\nWhich one is it?", ("x", "y"))
    assert option_lines.split("Two lists\nA. 1\nB. 2\nand\nA. 3\nB. 4\nC. 5") == (
        "Two lists\nA. 1\nB. 2\nand",
        ("3", "4", "5"),
    )
    assert option_lines.split("A. x\nB. y") is None, "nothing is asked"
    assert option_lines.split("Only one\nA. x") is None
    assert option_lines.split("Wrong order\nB. x\nA. y") is None
    assert option_lines.split("空行也行\n\nA、甲\n\nB、乙\n") == ("空行也行", ("甲", "乙"))


def test_patterns_that_cannot_be_used_are_left_out_and_said(workspace: Workspace) -> None:
    keep(workspace, "p", [row("When?", r"\d{4}"), row("Open?", "(a"), row("Slow?", "(a+)+$"), row("All?", ".*")])
    assert sets.from_rows(workspace, "p", "p", "regex").questions == 1
    assert told(workspace, "p")["set_row_pattern"].startswith(
        "Rows whose pattern cannot be used: 3; the first is row 2: The pattern (a cannot be read"
    )


def test_only_rows_of_one_part_are_taken_where_one_is_named(workspace: Workspace) -> None:
    rows = [row(f"What is {n}?", str(n), **({"split": "test"} if n % 2 else {})) for n in range(6)]
    keep(workspace, "parts", rows)
    sets.from_rows(workspace, "parts", "t", "exact", split="test")
    assert [question.answer for question in sets.questions(workspace, "t")] == ["1", "3", "5"]


def test_a_dataset_without_any_question_is_refused_with_the_reasons(workspace: Workspace) -> None:
    keep(workspace, "facts", [row("What is 6 times 7?", "42")])
    with pytest.raises(DataError) as refused:
        sets.from_rows(workspace, "facts", "f", "choice")
    assert refused.value.code == "set_rows_none"
    assert "None of the 1 rows" in str(refused.value)
    assert "has no options on lines" in str(refused.value)
    with pytest.raises(DataError) as unknown:
        sets.from_rows(workspace, "nothing", "f", "choice")
    assert unknown.value.code == "dataset_unknown"
    assert not list(workspace.question_sets.glob("*"))


def test_a_file_of_questions_says_how_each_is_marked(workspace: Workspace, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question": "Which?", "A": "x", "B": "y", "C": "", "answer": "B", "subject": "first"},
        {"question": "Which of these?", "options": ["x", "y", "z"], "answer": 2, "subject": "first"},
        {"question": "Which one?", "choices": ["x", "y"], "answer": "y", "subject": "first", "split": "dev"},
        {"Question": "How much?", "Answer": 42, "subject": "second", "accept": "forty-two|42.0"},
        {"问题": "谁？", "答案": "罗宾", "科目": "second", "rule": "contains", "system": "You are Robin."},
        {"question": "Why?", "answer": "because", "rule": "judge", "subject": "second"},
        {"question": "Bad?", "answer": "x", "rule": "guess"},
        {"question": "Nothing"},
        {"answer": "x"},
        {"question": "Out?", "A": "x", "B": "y", "answer": "C"},
    ]
    made = sets.from_file(workspace, file(tmp_path / "mine.jsonl", rows), "mine")
    assert {s.name: (s.questions, s.examples) for s in made.subjects} == {"first": (2, 1), "second": (3, 0)}
    asked = sets.questions(workspace, "mine")
    assert [(q.rule, q.answer, q.options) for q in asked] == [
        ("choice", "B", ("x", "y")),
        ("choice", "C", ("x", "y", "z")),
        ("exact", "42", ()),
        ("contains", "罗宾", ()),
        ("judge", "because", ()),
    ]
    assert asked[2].accept == ("forty-two", "42.0")
    assert asked[3].system == "You are Robin."
    assert [q.answer for q in sets.examples(workspace, "mine", "first")] == ["B"]
    assert sets.examples(workspace, "mine", "second") == []
    assert set(told(workspace, "mine")) == {
        "set_row_rule",
        "set_row_no_solution",
        "set_row_no_question",
        "set_row_no_option",
    }
    assert marking.mark(asked[3], "我是罗宾。").outcome == "right"


def test_one_rule_can_be_given_for_a_whole_file(workspace: Workspace, tmp_path: Path) -> None:
    path = file(
        tmp_path / "q.jsonl",
        [{"question": "Which?", "A": "x", "B": "y", "answer": "x"}, {"question": CHOICE, "answer": "B"}],
    )
    rule: Rule = "contains"
    sets.from_file(workspace, path, "as text", rule)
    assert sets.questions(workspace, "as text")[0].text == "Which?\nA. x\nB. y"
    sets.from_file(workspace, path, "as choice", "choice")
    assert [q.answer for q in sets.questions(workspace, "as choice")] == ["A", "B"]
    assert sets.get(workspace, "as text").version != sets.get(workspace, "as choice").version


def test_tables_are_read_too(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("题目,A,B,C,D,答案\n法国的首都是？,伦敦,巴黎,罗马,柏林,B\n", encoding="gb18030")
    with xlsxwriter.Workbook(str(tmp_path / "q.xlsx")) as book:
        sheet = book.add_worksheet()
        for number, cells in enumerate([["question", "A", "B", "answer"], ["Two?", 1, 2, "B"]]):
            sheet.write_row(number, 0, cells)
    for name in ("q.csv", "q.xlsx"):
        assert sets.is_file_of_questions(tmp_path / name)
        assert sets.bring(workspace, tmp_path / name, name).questions == 1
        assert sets.questions(workspace, name)[0].answer == "B"
    assert sets.questions(workspace, "q.xlsx")[0].options == ("1", "2")


def test_a_damaged_file_of_questions_is_said(workspace: Workspace, tmp_path: Path) -> None:
    sets.from_file(workspace, file(tmp_path / "q.jsonl", [{"question": "1?", "answer": "1"}]), "q")
    kept = workspace.question_sets / "q/questions.jsonl"
    for content in (b"{", b"{}", b"[]\n"):
        kept.write_bytes(content)
        with pytest.raises(DataError) as damaged:
            sets.questions(workspace, "q")
        assert damaged.value.code == "set_damaged"
    kept.unlink()
    with pytest.raises(DataError):
        sets.questions(workspace, "q")
    own_sets._read.cache_clear()


def test_text_that_has_no_utf8_form_can_be_asked(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "Broken \\ud83d?", "answer": "yes"}', encoding="utf-8")
    made = sets.bring(workspace, path, "q")
    assert made.questions == 1
    assert sets.questions(workspace, "q")[0].key
