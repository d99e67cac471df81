"""lm-evaluation-harness in its environment: the starter on the bundled questions, and what our job does with it where something goes wrong."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from backend.engines import lm_eval_results, lm_eval_tasks, lm_eval_text
from backend.envs import places
from backend.envs.status import Status
from backend.errors import PanelError
from backend.evaluate import marking, sets
from backend.evaluate.store import EvaluateStore, open_runs
from backend.queue.store import Store
from backend.workspace import Workspace
from jobs.selftests.lm_eval import ASK
from tests.engines.conftest import Tested
from tests.support.answering import KEY, Answering, answering
from tests.support.evaluating import ended, job_folder, run_here, small_set, start, write_set
from tests.support.stub_openai import published
from tests.support.wait import until

LM = {"evaluator": "lm_eval"}


@pytest.fixture(autouse=True)
def installed(environment: Callable[[str], Status]) -> Status:
    return environment("lm_eval")


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def times(server: Answering) -> Counter[str]:
    return Counter(text.splitlines()[0] for text in server.asked())


def test_the_starter_gets_a_number_for_each_subject(tested: Tested) -> None:
    report = tested("lm_eval")
    assert [(each.name, each.outcome, str(each.problem or "")) for each in report.checks[1:]] == [(ASK, "passed", "")]
    assert set(report.checks[1].figures.values()) <= {"0 %", "100 %"}


def test_all_bundled_questions_are_marked_as_our_own_evaluator_would_mark_nearly_all_of_them(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    known = {(each.subject, each.number): each for each in sets.questions(workspace, "bundled")}
    says = [
        "The answer is B.",
        "Paris (B)",
        "C",
        "I choose D.",
        "A. first",
        "选B",
        "答案是C。",
        "(D)",
        "No idea at all",
    ]
    replies = {each.text: says[place % len(says)] for place, each in enumerate(known.values())}
    began = time.monotonic()
    with answering(says=replies) as server, published(store, server):
        result = run_here(workspace, questions="bundled", concurrency=8, **LM)
    print(f"{len(known)} questions after {time.monotonic() - began:.1f} s, {result['seconds']} s of them here")
    answers = runs.answers(result["run"], limit=1000)[0]
    assert len(answers) == len(known) == 120
    other = [
        each for each in answers if marking.mark(known[each.subject, each.number], each.said).outcome != each.outcome
    ]
    assert len(other) <= 12, [(each.said, each.taken, each.outcome) for each in other]


def test_what_we_reckon_as_its_key_of_an_answer_is_the_one_that_it_uses(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    rows = [
        {"subject": "dates", "question": "When?", "rule": "exact", "answer": "2020-01-01"},
        {"subject": "dates", "question": "Where?", "rule": "contains", "answer": "Paris"},
        {"subject": "日期", "question": "代码？", "rule": "regex", "answer": r"\bB\d\b"},
    ]
    write_set(workspace, rows, "small")
    says = {"When": "2020-01-01.", "Where": "in paris", "代码": "B5"}
    with answering(says=says) as server, published(store, server):
        result = run_here(workspace, **LM)
    assert (result["right"], result["questions"]) == (3, 3)
    kept = lm_eval_results.kept(job_folder(workspace) / lm_eval_text.CACHE_FILE)
    sent = [[{"role": "user", "content": row["question"]}] for row in rows]
    assert kept == {lm_eval_results.request_key(each, 64) for each in sent}


def test_a_stop_and_a_second_attempt_that_asks_only_what_is_missing(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=10)
    with answering(say="B", holds=["Q10 of law"]) as server, published(store, server):
        process = start(workspace, concurrency=2, **LM)
        until(lambda: len(set(server.asked())) == 20, 120, what="all questions are asked")
        process.send_signal(signal.SIGINT)
        code, _, _ = ended(process, workspace)
    with answering(say="B") as server, published(store, server):
        result = run_here(workspace, concurrency=2, **LM)
        asked = times(server)
    assert (code, result["state"], result["right"]) == (130, "done", 20)
    assert "Q10 of law?" in asked
    assert len(asked) <= 2  # the other one was under way, too


def test_a_server_that_dies_in_the_middle_and_comes_back(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=10)
    with answering(say="B", dies_at=8) as server, published(store, server):
        process = start(workspace, concurrency=1, timeout_s=60, **LM)
        until(lambda: server.process.poll() is not None, 120, what="the server has died")
        with answering(say="B", port=server.port) as again:
            code, result, log = ended(process, workspace)
            asked = times(again)
    assert (code, result["right"]) == (0, 20), log
    assert len(asked) == 20 - 7


def test_one_refused_question_costs_one_subject_its_number_and_the_key_is_nowhere(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=3)
    with answering(say="It is B.", statuses={"Q2 of law": 400}) as server, published(store, server):
        result = run_here(workspace, **LM)
    found = {score.subject: score for score in runs.scores(result["run"])}
    assert (found["geo"].value, found["law"].cause["code"]) == (100, "lm_eval_refused")
    law = {each.number: each.outcome for each in runs.answers(result["run"], subject="law")[0]}
    assert law[1] == "failed"
    files = [path for path in job_folder(workspace).rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_a_wrong_key_is_said_of_every_subject(workspace: Workspace, store: Store, runs: EvaluateStore) -> None:
    small_set(workspace, each=1)
    with answering(key="another") as server, published(store, server), pytest.raises(PanelError) as caught:
        run_here(workspace, **LM)
    assert caught.value.code == "lm_eval_key_refused"
    assert {score.cause["code"] for score in runs.scores(1)} == {"lm_eval_key_refused"}


def test_it_is_the_version_that_the_files_are_written_for(installed: Status) -> None:
    assert installed.python is not None
    assert places.distributions(installed.python.parent.parent)["lm_eval"] == "0.4.13"
    assert lm_eval_tasks.SHIM.is_file()
