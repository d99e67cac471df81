"""The evaluation with lm-evaluation-harness: over a stand-in that reads, asks, writes and fails as the real one does (see tests/engines/ for that)."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from backend.envs import places
from backend.errors import PanelError
from backend.evaluate.records import Answer, Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.queue.events import read_events
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import toy_lm_eval
from tests.support.answering import KEY, Answering, answering
from tests.support.evaluating import ended, job_folder, run_here, small_set, start, write_set
from tests.support.stub_openai import published
from tests.support.wait import until

LM: dict[str, Any] = {"evaluator": "lm_eval"}


@pytest.fixture(autouse=True)
def environment(workspace: Workspace) -> None:
    toy_lm_eval.make(workspace)


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def by_question(runs: EvaluateStore) -> dict[tuple[str, int], Answer]:
    return {(each.subject, each.number): each for each in runs.answers(1, limit=1000, prompts=True)[0]}


def cells(runs: EvaluateStore) -> dict[str, Score]:
    return {score.subject: score for score in runs.scores(1)}


def times(server: Answering) -> Counter[str]:
    return Counter(text.splitlines()[0] for text in server.asked())


def test_its_scores_are_taken_over_and_each_answer_with_what_it_read_out_of_it(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace)
    says = {"Q2 of law": "Red.", "Q4 of law": "Paris, surely", "Q1 of geo": "(b)"}
    with answering(say="The answer is B.", says=says) as server, published(store, server):
        result = run_here(workspace, **LM)
        asked = server.asked()
    assert len(asked) == len(set(asked)) == 10
    assert (result["state"], result["right"], result["wrong"], result["unread"]) == ("done", 8, 1, 1)
    run = runs.run(result["run"])
    assert (run.evaluator, run.version, run.state) == ("lm_eval", "0.4.13", "done")
    assert {name: (cell.value, cell.n, cell.metric) for name, cell in cells(runs).items()} == {
        "geo": (100, 5, "accuracy"),
        "law": (60, 5, "accuracy"),
    }
    answers = by_question(runs)
    assert (answers["geo", 0].said, answers["geo", 0].taken, answers["geo", 0].outcome) == ("(b)", "B", "right")
    assert (answers["law", 1].taken, answers["law", 1].outcome) == ("A", "wrong")
    assert (answers["law", 3].taken, answers["law", 3].gold, answers["law", 3].outcome) == ("", "B", "unread")
    assert json.loads(answers["law", 3].prompt)[-1]["content"] in asked


def test_all_rules_are_scored_and_a_subject_of_several_rules_has_the_number_of_its_group(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    rows: list[dict[str, Any]] = [
        {"subject": "mixed", "question": "Capital?", "rule": "contains", "answer": "Paris"},
        {"subject": "mixed", "question": "How many?", "rule": "exact", "answer": "3,500"},
        {"subject": "mixed", "question": "Code?", "rule": "regex", "answer": r"\b[A-Z]\d\b"},
        {"subject": "mixed", "question": "Nobody knows?", "rule": "contains", "answer": "art"},
    ]
    write_set(workspace, rows, "small")
    says = {"Capital": "It is PARIS, I think.", "many": "  3500. ", "Code": "it is B5.", "Nobody": "a party"}
    with answering(says=says) as server, published(store, server):
        run_here(workspace, **LM)
    assert cells(runs)["mixed"].value == 75
    found = {answer.question: (answer.taken, answer.outcome) for answer in by_question(runs).values()}
    assert found == {
        "Capital?": ("Paris", "right"),
        "How many?": ("3500", "right"),
        "Code?": ("B5", "right"),
        "Nobody knows?": ("a party", "wrong"),
    }


def test_questions_for_a_judge_are_refused_with_the_name_of_who_can(workspace: Workspace, store: Store) -> None:
    write_set(workspace, [{"subject": "a", "question": "Why?", "rule": "judge", "answer": "Because."}], "small")
    with answering() as server, published(store, server):
        with pytest.raises(PanelError) as caught:
            run_here(workspace, judge="stub", **LM)
        assert server.asked() == []
    assert caught.value.code == "lm_eval_no_judge"
    assert "TuneDeck's own evaluator" in caught.value.hint


def test_one_refused_question_leaves_its_subject_without_a_number_and_the_others_with_theirs(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, ("geo", "law", "art"), each=3)
    with answering(say="B", statuses={"Q2 of law": 418}) as server, published(store, server):
        result = run_here(workspace, concurrency=1, **LM)
        asked = times(server)
    assert (result["state"], result["missing"]) == ("partial", 1)
    found = cells(runs)
    assert (found["geo"].value, found["art"].value, found["law"].value) == (100, 100, None)
    assert found["law"].cause["code"] == "lm_eval_refused"
    assert "418" in found["law"].evidence
    law = {number: answer for (subject, number), answer in by_question(runs).items() if subject == "law"}
    assert [law[number].outcome for number in range(3)].count("right") >= 1
    assert law[1].outcome == "failed"
    assert law[1].note["code"] == "lm_eval_refused"
    assert {question for question, count in asked.items() if count > 1} <= {"Q2 of law?", "Q3 of law?"}


def test_the_key_of_the_server_stands_neither_in_its_files_nor_in_its_log(
    workspace: Workspace, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    small_set(workspace, ("geo",), each=2)
    with answering(statuses={"Q": 400}) as server, published(store, server), pytest.raises(PanelError):
        run_here(workspace, **LM)
    files = [path for path in job_folder(workspace).rglob("*") if path.is_file()]
    assert any("Bearer ***" in path.read_text() for path in files if path.name == "output.log")
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in capfd.readouterr().out


@pytest.mark.parametrize(("breaks", "code"), [("no_module", "lm_eval_no_module"), ("no_score", "lm_eval_no_number")])
def test_a_program_that_breaks_gives_every_cell_its_cause_and_the_lines_that_show_it(
    workspace: Workspace, store: Store, runs: EvaluateStore, monkeypatch: pytest.MonkeyPatch, breaks: str, code: str
) -> None:
    small_set(workspace)
    monkeypatch.setenv("TOY_LM_EVAL", breaks)
    with answering(say="B") as server, published(store, server), pytest.raises(PanelError) as caught:
        run_here(workspace, **LM)
    assert caught.value.code == code
    assert {(cell.value, cell.cause["code"]) for cell in cells(runs).values()} == {(None, code)}
    assert all(cell.evidence for cell in cells(runs).values())


def test_without_its_environment_it_says_what_to_install(workspace: Workspace, store: Store) -> None:
    small_set(workspace)
    (places.home(workspace, "lm_eval") / places.CURRENT).unlink()
    with answering() as server, published(store, server), pytest.raises(PanelError) as caught:
        run_here(workspace, **LM)
    assert caught.value.code == "engine_missing_environment"


def test_a_stop_ends_the_whole_tree_and_a_second_attempt_asks_only_what_is_missing(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=6)
    with answering(say="B", holds=["Q6 of law"]) as server, published(store, server):
        process = start(workspace, concurrency=2, **LM)
        until(lambda: 11 in steps(workspace), 60, what="all but one are told to be answered")
        inside = psutil.Process(process.pid).children(recursive=True)
        assert [one for one in inside if any("lm_eval_run" in word for word in one.cmdline())]
        process.send_signal(signal.SIGINT)
        code, _, _ = ended(process, workspace)
        assert code == 130
        assert [one for one in inside if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
        assert runs.run(1).state == "stopped"
    with answering(say="B") as server, published(store, server):
        result = run_here(workspace, concurrency=2, **LM)
        assert set(times(server)) == {"Q6 of law?"}
    assert (result["state"], result["right"]) == ("done", 12)


def steps(workspace: Workspace) -> list[float]:
    """How many were told to be answered."""
    told = read_events(job_folder(workspace))[0]
    return [event["step"] for event in told if event.get("phase") == "ask" and "step" in event]


def test_a_server_that_dies_in_the_middle_and_comes_back_is_asked_only_what_is_missing(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=5)
    with answering(say="B", dies_at=6) as server, published(store, server):
        process = start(workspace, concurrency=1, **LM)
        until(lambda: server.process.poll() is not None, what="the server has died")
        with answering(say="B", port=server.port) as again:
            code, result, log = ended(process, workspace)
            asked = times(again)
    assert (code, result["state"], result["right"]) == (0, "done", 10), log
    assert len(asked) == 5
    assert cells(runs)["law"].value == 100


def test_a_server_that_stays_away_ends_the_job_in_words(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=3)
    with answering(say="B", dies_at=3) as server, published(store, server), pytest.raises(PanelError) as caught:
        run_here(workspace, concurrency=1, timeout_s=1, **LM)
    assert caught.value.code == "evaluate_server_gone"
    assert {cell.cause["code"] for cell in cells(runs).values()} == {"evaluate_server_gone"}


def test_a_question_that_takes_too_long_is_said_to_have_timed_out(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, ("geo", "law"), each=2)
    with answering(say="B", holds=["Q2 of geo"]) as server, published(store, server):
        run_here(workspace, timeout_s=1, **LM)
    assert (cells(runs)["geo"].cause["code"], cells(runs)["law"].value) == ("lm_eval_timed_out", 100)
    assert by_question(runs)["geo", 0].outcome == "right"
