"""Sets of questions as OpenCompass reads them, answers as it leaves them, and folders of models as it loads them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines import (
    opencompass_folder,
)
from backend.engines.opencompass_results import Answer as Left
from backend.engines.opencompass_text import text
from backend.errors import ModelError
from backend.evaluate import opencompass_sets
from backend.evaluate.questions import Question
from backend.specs.evaluate import EvaluateSpec
from jobs.evaluating.opencompass_answers import kept

REAL = Path(__file__).resolve().parents[1] / "data" / "opencompass"
SPEC = EvaluateSpec(model="m", evaluator="opencompass")
CHOICE = Question("s", 0, "Which?", "choice", "B", ("one", "two", "three"))
HEAD = "11/27 12:00:00 - OpenCompass - ERROR - /x/openai_api.py - _generate - 954 - "
FAILED = "RuntimeError: Calling OpenAI API failed after retrying for 2 times. Check the logs for details."


# --- questions


def prepared(*questions: Question, kind: str = "own") -> opencompass_sets.Prepared:
    asked: dict[str, list[Question]] = {}
    for question in questions:
        asked.setdefault(question.subject, []).append(question)
    return opencompass_sets.prepare(SPEC, kind, asked)


def test_rows_have_the_same_columns_and_the_prompt_stands_last(tmp_path: Path) -> None:
    short = replace(CHOICE, number=1, text="Is {A} right?", options=("yes", "no"))
    made = prepared(CHOICE, short)
    folder = opencompass_sets.write(tmp_path / "d", made, {"s": [CHOICE, short]}, {}, None)
    rows = [json.loads(line) for line in (folder / "s.jsonl").read_text().splitlines()]
    assert [list(row) for row in rows] == [["A", "B", "C", "answer", "prompt"]] * 2
    assert rows[1]["C"] is None
    assert "Is {A} right?" in rows[1]["prompt"], "what stands in it is filled in nowhere, since it comes last"


def test_names_of_subjects_become_names_of_files_each_another_one() -> None:
    some = [replace(CHOICE, subject=name) for name in ("a/b", "a b", "../x", "几何", "")]
    made = prepared(*some)
    assert list(made.names.values()) == ["a/b", "a b", "../x", "几何", ""]
    assert len(set(made.names)) == 5
    assert all("/" not in name and not name.startswith(".") for name in made.names)


def test_what_it_cannot_mark_is_refused_by_subject() -> None:
    exact = replace(CHOICE, subject="exact", rule="exact", answer="yes", options=())
    made = prepared(
        CHOICE,
        exact,
        replace(exact, subject="several", accept=("yep",)),
        replace(exact, subject="regex", rule="regex"),
        replace(CHOICE, subject="mixed"),
        replace(CHOICE, subject="mixed", number=1, system="Be brief."),
        replace(CHOICE, subject="system", system="Be brief."),
    )
    assert {name: error.code for name, error in made.refused.items()} == {
        "several": "opencompass_rule",
        "regex": "opencompass_rule",
        "mixed": "opencompass_system",
    }
    assert [(own.abbr, own.kind, own.system) for own in made.asked.own] == [
        ("s", "mcq", False),
        ("exact", "qa", False),
        ("system", "mcq", True),
    ]
    assert "role='SYSTEM'" in text(made.asked)


def test_a_whole_folder_is_asked_where_it_lies_and_another_is_written(tmp_path: Path) -> None:
    four = replace(CHOICE, subject="logic", options=("a", "b", "c", "d"))
    asked, examples = {"logic": [four]}, {"logic": [four] * 9}
    made = prepared(four, kind="ceval")
    written = opencompass_sets.write(tmp_path / "new", made, asked, examples, tmp_path / "none")
    assert written == tmp_path / "new"
    with (written / "dev" / "logic_dev.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert (rows[0]["question"], rows[0]["D"], rows[0]["answer"]) == ("Which?", "d", "B")
    assert opencompass_sets.write(tmp_path / "other", made, asked, examples, written) == written
    two = {"logic": [four, replace(four, number=1)]}
    assert opencompass_sets.write(tmp_path / "other", made, two, examples, written) == tmp_path / "other"
    (written / "test" / "logic_test.csv").write_bytes("问题".encode("gb18030"))
    assert opencompass_sets.write(tmp_path / "more", made, asked, examples, written) == tmp_path / "more"


# --- answers


@pytest.mark.parametrize(
    ("said", "taken", "correct", "outcome"),
    [
        ("B", "B", None, "right"),
        ("A", "A", None, "wrong"),
        ("The answer is B.", "T", None, "unread"),
        ("dunno", "", None, "unread"),
        ("", "", None, "unread"),
        ("two (B)", "B", True, "right"),
        ("one (A)", "A", False, "wrong"),
        ("I cannot say", "C", False, "unread"),
    ],
)
def test_wrong_is_told_apart_from_nothing_that_could_be_read(
    said: str, taken: str, correct: bool | None, outcome: str
) -> None:
    left = Left(said, taken, "B", [{"role": "HUMAN", "prompt": "Which?"}], correct)
    (answer,) = kept("cell", [left], [CHOICE], guesses=correct is not None)
    assert answer.outcome == outcome
    assert (answer.subject, answer.key, answer.gold) == ("cell", CHOICE.key, "B")
    assert json.loads(answer.prompt) == [{"role": "user", "content": "Which?"}]


def test_an_answer_to_a_question_that_only_opencompass_knows_is_kept_with_its_prompt() -> None:
    left = Left("B", "B", "B", [{"role": "HUMAN", "prompt": "shown"}, {"role": "HUMAN", "prompt": "Which is hot?"}])
    (answer,) = kept("ARC-c", [left], [], guesses=False)
    assert (answer.question, answer.outcome, len(answer.key)) == ("Which is hot?", "right", 16)
    other = kept("ARC-c", [replace(left, right="A")], [], guesses=False)[0]
    assert other.key != answer.key


# --- a model's folder


def model(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    for name, data in {"config.json": {}, "tokenizer.json": {}, "tokenizer_config.json": config}.items():
        (folder / name).write_text(json.dumps(data))
    (folder / "chat_template.jinja").write_text("hello")
    return folder


def test_a_tokenizer_of_a_newer_kind_is_said_in_older_words_and_the_weights_are_linked(tmp_path: Path) -> None:
    newer = model(
        tmp_path / "newer",
        tokenizer_class="TokenizersBackend",
        extra_special_tokens=["<x>"],
        chat_template="t",
        eos_token="e",
    )
    made = opencompass_folder.loadable(newer, tmp_path / "made")
    assert made == tmp_path / "made"
    assert json.loads((made / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "additional_special_tokens": ["<x>"],
        "chat_template": "t",
        "eos_token": "e",
    }
    assert (made / "chat_template.jinja").read_text() == "hello"
    assert (made / "config.json").is_symlink()
    assert opencompass_folder.loadable(newer, tmp_path / "made") == made, "made anew at each start"


def test_a_folder_that_it_loads_as_it_is_is_left_alone_and_one_without_a_model_is_refused(tmp_path: Path) -> None:
    older = model(tmp_path / "older", tokenizer_class="LlamaTokenizerFast", auto_map={})
    assert opencompass_folder.loadable(older, tmp_path / "made") == older
    with pytest.raises(ModelError, match="none of 'nothing' here"):
        opencompass_folder.loadable(tmp_path / "nothing", tmp_path / "made")
