"""OpenCompass where something is wrong: causes of empty cells, killed, stopped and resumed; with a stand-in and a real server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import PanelError
from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import Workspace
from jobs.evaluating import opencompass
from jobs.evaluating.work import Served
from jobs.harness import Stopped
from tests.support import toy_opencompass
from tests.support.stub_openai import KEY, stub
from tests.support.toy_opencompass import cells, ceval, children, served, with_thread
from tests.support.wait import until

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


def test_an_exit_code_of_0_without_a_number_is_an_empty_cell_with_a_cause(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceval(toy, tmp_path / "data")
    monkeypatch.setenv("TOY_BREAKS", "empty")
    monkeypatch.setenv("TOY_AT", "ceval-law")
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval")
        opencompass.evaluate(work)
        monkeypatch.setenv("TOY_BREAKS", "spoil")
        other = toy_opencompass.work(toy, runs, tmp_path / "other", served(server), questions="ceval")
        opencompass.evaluate(other)
    assert cells(work)["ceval-logic"].value == 100.0
    law = cells(work)["ceval-law"]
    assert (law.value, law.cause["code"]) == (None, "opencompass_no_number")
    spoiled = cells(other)["ceval-law"]
    assert spoiled.value is None
    assert '"accuracy": "-"' in spoiled.evidence


def test_a_subject_that_cannot_be_read_is_left_out_and_the_others_go_on(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceval(toy, tmp_path / "data", ("logic", "law", "physician"))
    monkeypatch.setenv("TOY_BREAKS", "exit")
    monkeypatch.setenv("TOY_AT", "ceval-law")
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval")
        (tmp_path / "data" / "dev" / "logic_dev.csv").unlink()
        opencompass.evaluate(work)
    found = cells(work)
    assert found["ceval-physician"].value == 100.0
    assert (found["ceval-law"].value, found["ceval-law"].cause["code"]) == (None, "opencompass_bad_file")
    assert "Index 4 out of range" in found["ceval-law"].evidence
    told = [json.loads(line) for line in (work.folder / "opencompass" / "watch.jsonl").read_text().splitlines()]
    assert [line["name"] for line in told if line["what"] == "failed"] == ["ceval-law"], "and it is not scored"


def test_a_file_that_goes_away_before_it_is_asked_is_named(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceval(toy, tmp_path / "data")
    hold = tmp_path / "hold"
    hold.touch()
    monkeypatch.setenv("TOY_HOLD", str(hold))
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval")

        def take_away() -> None:
            until(lambda: children(work))
            (tmp_path / "data" / "val" / "law_val.csv").unlink()
            hold.unlink()

        with_thread(take_away, lambda: opencompass.evaluate(work))
    found = cells(work)
    assert found["ceval-logic"].value == 100.0
    assert found["ceval-law"].cause["code"] == "opencompass_no_file"
    assert found["ceval-law"].cause["params"]["path"].endswith("law_val.csv")


def test_killed_in_the_middle_it_goes_on_with_the_next_question(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceval(toy, tmp_path / "data")
    monkeypatch.setenv("TOY_BREAKS", "kill")
    monkeypatch.setenv("TOY_AT", "ceval-law")
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval")
        with pytest.raises(PanelError) as caught:
            opencompass.evaluate(work)
        assert caught.value.code == "opencompass_killed"
        assert cells(work)["ceval-logic"].value == 100.0
        assert cells(work)["ceval-law"].cause["code"] == "opencompass_killed"
        assert len(server.requests()) == 4
        monkeypatch.delenv("TOY_BREAKS")
        again = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval")
        opencompass.evaluate(again)
        assert len(server.requests()) == 6, "what was answered is not asked again"
    assert again.run_id == work.run_id
    assert {subject: (score.value, score.cause) for subject, score in cells(again).items()} == {
        "ceval-logic": (100.0, {}),
        "ceval-law": (100.0, {}),
    }
    assert len(list((tmp_path / "job" / "opencompass" / "out").iterdir())) == 1


def test_stopped_it_ends_with_all_its_processes_and_resumed_it_asks_what_is_missing(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceval(toy, tmp_path / "data", count=5)
    hold = tmp_path / "hold"
    hold.touch()
    for name, value in {"TOY_HOLD": str(hold), "TOY_AT": "ceval-law", "TOY_FROM": "2"}.items():
        monkeypatch.setenv(name, value)
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval")

        def stop() -> None:
            until(lambda: len(server.requests()) == 7)
            work.job.stop_requested = True

        def stopped() -> None:
            with pytest.raises(Stopped):
                opencompass.evaluate(work)

        with_thread(stop, stopped)
        assert children(work) == []
        assert cells(work)["ceval-logic"].value == 100.0
        assert cells(work)["ceval-law"].value is None
        hold.unlink()
        again = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval")
        opencompass.evaluate(again)
        assert len(server.requests()) == 10
        opencompass.evaluate(toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval"))
        assert len(server.requests()) == 10, "with nothing missing it is not even started"
    assert {score.value for score in cells(again).values()} == {100.0}


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"status": 404, "message": "The model 'stub' does not exist here"}, "opencompass_model_unknown"),
        ({"status": 503, "message": "loading"}, "opencompass_server_failed"),
        (
            {"status": 400, "code": "context_length_exceeded", "message": "maximum context length is 8"},
            "opencompass_too_long",
        ),
    ],
)
def test_what_the_server_refuses_is_told_in_its_words(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path, script: dict[str, Any], code: str
) -> None:
    with stub(script=script) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), subjects=BUNDLED)
        with contextlib.suppress(PanelError):  # what only some subjects meet does not end it
            opencompass.evaluate(work)
    assert {score.cause["code"] for score in cells(work).values()} == {code}
    assert all(script["message"] in score.evidence for score in cells(work).values())


def test_a_server_that_is_gone_is_waited_for_and_then_said_to_be_gone(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    gone = Served("http://127.0.0.1:9/v1", "stub", KEY)
    work = toy_opencompass.work(
        toy, runs, tmp_path / "job", gone, subjects=BUNDLED, base_url="http://127.0.0.1:9/v1", timeout_s=0.1
    )
    with pytest.raises(PanelError) as caught:
        opencompass.evaluate(work)
    assert caught.value.code == "evaluate_server_gone"
    assert {score.cause["code"] for score in cells(work).values()} == {"opencompass_server_gone"}


def test_a_module_that_is_missing_ends_it_and_is_named(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_BREAKS", "module")
    with stub(script={"say": "B"}) as server:
        work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), subjects=BUNDLED)
        opencompass.evaluate(work)
    assert {score.cause["code"] for score in cells(work).values()} == {"opencompass_no_module"}
    assert {score.cause["params"]["module"] for score in cells(work).values()} == {"httpx"}


def test_answers_to_other_questions_are_not_taken_for_answers_to_these(
    toy: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    ceval(toy, tmp_path / "data", ("law",))
    with stub(script={"say": "B"}) as server:
        for limit in (1, 2):
            work = toy_opencompass.work(toy, runs, tmp_path / "job", served(server), questions="ceval", limit=limit)
            opencompass.evaluate(work)
        assert len(server.requests()) == 3
    answers, _total = runs.answers(work.run_id)
    assert {answer.key for answer in answers} == {question.key for question in work.questions}


def test_without_its_environment_that_is_what_is_said(
    workspace: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    work = toy_opencompass.work(workspace, runs, tmp_path / "job", None, subjects=BUNDLED)
    with pytest.raises(PanelError) as caught:
        opencompass.evaluate(work)
    assert caught.value.code == "engine_missing_environment"
