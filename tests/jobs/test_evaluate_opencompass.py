"""Evaluating with OpenCompass: scores and answers as they come, of each kind of set, by both routes; with a stand-in and a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import catalog
from backend.engines import opencompass_config
from backend.errors import PanelError
from backend.evaluate import sets
from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import Workspace
from jobs.evaluating import opencompass
from tests.support import toy_opencompass
from tests.support.stub_openai import stub
from tests.support.toy_opencompass import cells, ceval, events, served

BUNDLED = ("geography-en", "opposites-en")


@pytest.fixture
def toy(workspace: Workspace) -> Workspace:
    """A workspace with the stand-in."""
    toy_opencompass.make(workspace)
    return workspace


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    store = open_runs(workspace)
    yield store
    store.close()


def test_each_subject_gets_its_number_and_each_question_shows_what_was_sent_said_and_taken(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), subjects=BUNDLED, answer_tokens=9)
        ended = opencompass.evaluate(work)
        asked = server.requests()
    assert ended.state == "done"
    found = cells(work)
    assert list(found) == list(BUNDLED)
    for subject in BUNDLED:
        right = sum(question.answer == "B" for question in work.subjects()[subject])
        assert (found[subject].value, found[subject].n, found[subject].version) == (10.0 * right, 10, "5f30c7")
    answers, total = runs.answers(work.run_id, BUNDLED[0], prompts=True)
    assert total == 10
    first, question = answers[0], work.questions[0]
    assert (first.key, first.gold, first.taken, first.said) == (question.key, question.answer, "B", "B")
    assert first.outcome == ("right" if question.answer == "B" else "wrong")
    assert json.loads(first.prompt)[-1]["content"] == asked[0]["messages"][-1]["content"]
    assert question.text in first.question
    assert {(each["max_tokens"], each["temperature"]) for each in asked} == {(9, 0)}


def test_it_tells_how_long_it_took_to_start_and_how_far_it_is(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), subjects=BUNDLED)
        opencompass.evaluate(work)
    told = events(work)
    assert next(each["metrics"]["startup_s"] for each in told if each["phase"] == "start" and "metrics" in each) > 0
    last = [each for each in told if each["phase"] == "ask" and "metrics" in each][-1]
    assert (last["step"], last["total"]) == (20, 20)
    assert last["metrics"]["right"] + last["metrics"]["wrong"] == 20


def test_a_number_out_of_answers_that_nobody_could_read_says_so(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    ceval(toy, tmp_path / "评测 data")
    with stub(script={"say": "The answer is B."}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval")
        ended = opencompass.evaluate(work)
    found = cells(work)
    assert set(found) == {"ceval-logic", "ceval-law"}
    assert (found["ceval-logic"].value, found["ceval-logic"].cause["code"]) == (0.0, "opencompass_nothing_read")
    assert "The answer is B." in found["ceval-logic"].evidence
    answers, _total = runs.answers(work.run_id, "ceval-law")
    assert [(each.taken, each.gold, each.outcome) for each in answers] == [("T", "B", "unread")] * 3
    assert ended.notices == ("answers_unread",)


def test_kinds_of_questions_that_it_cannot_mark_are_refused_and_the_others_asked(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [
        {"subject": "letters", "question": "Which?", "A": "one", "B": "two", "answer": "B"},
        {"subject": "words", "question": "Say yes.", "answer": "yes", "rule": "exact"},
        {"subject": "parts", "question": "Say more.", "answer": "more", "rule": "contains"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    sets.from_file(toy, path, "mine")
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="mine")
        opencompass.evaluate(work)
    found = cells(work)
    assert found["letters"].value == 100.0
    assert found["words"].value is not None
    assert (found["parts"].value, found["parts"].cause["code"]) == (None, "opencompass_rule")


def test_a_folder_in_another_encoding_and_a_few_questions_of_each_are_written_for_it(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    ceval(toy, tmp_path / "data", encoding="gb18030")
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval", limit=2)
        opencompass.evaluate(work)
        asked = server.requests()
    assert len(asked) == 4
    assert "问题" in asked[0]["messages"][0]["content"]
    answers, _total = runs.answers(work.run_id)
    assert {answer.key for answer in answers} == {question.key for question in work.questions}


def test_a_changed_config_is_run_as_it_is_and_its_cells_are_those_that_it_asks(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    ceval(toy, tmp_path / "data")
    with stub(script={"say": "B"}) as server:
        first = toy_opencompass.work(toy, runs, tmp_path / "first", served(server), questions="ceval")
        text = opencompass_config.text_for(toy, first.spec)
        changed = text.replace("wanted = ['ceval-law', 'ceval-logic']", "wanted = ['ceval-law']")
        assert changed != text
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval", config=changed)
        opencompass.evaluate(work)
        two = changed.replace("abbr='model',", "abbr='first',") + "models += [{**models[0], 'abbr': 'second'}]\n"
        with pytest.raises(PanelError, match="'first' and 'second'"):
            opencompass.evaluate(
                toy_opencompass.work(toy, runs, tmp_path / "two", served(server), questions="ceval", config=two)
            )
    assert {subject: score.value for subject, score in cells(work).items()} == {"ceval-law": 100.0}
    with pytest.raises(PanelError, match="says nothing about 'models'"):
        opencompass.evaluate(
            toy_opencompass.work(toy, runs, tmp_path / "bad", first.served, questions="ceval", config="datasets = []")
        )


def test_a_model_that_it_loads_itself_needs_no_server(toy: Workspace, runs: EvaluateStore, tmp_path: Path) -> None:
    work = toy_opencompass.work(toy, runs, tmp_path / "job", None, model="starter", by="hf", subjects=BUNDLED)
    work.card = catalog.find(toy, "starter")
    opencompass.evaluate(work)
    assert all(score.value is not None for score in cells(work).values())
    config = (tmp_path / "job" / "opencompass" / "config.py").read_text()
    assert f"model_folder = {str(work.card.path)!r}" in config
