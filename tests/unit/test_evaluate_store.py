"""The store of evaluations: what was put is kept, whoever put it and however it ended."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backend import i18n
from backend.errors import ConflictError, NotFoundError
from backend.evaluate.records import Answer, Run, Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.past_runs import answers, kept

RUN = Run(0, "m · own", "tunedeck", "1", "m", "own", "v1", settings={"shots": 2}, began=5.0)


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def test_a_run_comes_back_as_it_was_kept(runs: EvaluateStore) -> None:
    kept_run = replace(RUN, notices=("questions_failed",), path="/data/结果", fingerprint="f")
    run_id = runs.begin(kept_run)
    assert runs.run(run_id) == replace(kept_run, id=run_id)
    runs.end(run_id, "partial", ["answers_unread"], version="2")
    found = runs.run(run_id)
    assert (found.state, found.version, found.notices) == ("partial", "2", ("answers_unread",))
    assert found.ended is not None


def test_the_same_job_again_goes_on_with_the_same_run(runs: EvaluateStore, store: Store) -> None:
    job = store.submit("evaluate", {"model": "starter"}).id
    first = runs.begin(replace(RUN, job=job))
    runs.put_answers(first, answers("sums", "rwf"))
    runs.end(first, "stopped")
    assert runs.begin(replace(RUN, job=job)) == first
    assert runs.run(first).state == "running"
    assert runs.answered(first) == {"sums": {0: "right", 1: "wrong", 2: "failed"}}
    found = runs.run_of_job(job)
    assert found is not None
    assert found.id == first
    assert runs.run_of_job(job + 1) is None
    assert runs.begin(RUN) != runs.begin(RUN), "without a job each is a run of its own"


def test_a_running_run_whose_job_is_over_or_gone_is_told_as_what_it_is(runs: EvaluateStore, store: Store) -> None:
    job = store.submit("evaluate", {"model": "starter"}).id
    run_id = runs.begin(replace(RUN, job=job))
    assert runs.run(run_id).state == "running"
    store.cancel(job)
    assert runs.run(run_id).state == "stopped"
    assert [run.state for run in runs.runs()] == ["stopped"]
    gone = runs.begin(replace(RUN, job=999))
    assert runs.run(gone).state == "stopped"


def test_put_twice_is_there_once(runs: EvaluateStore) -> None:
    run_id = runs.begin(RUN)
    runs.plan(run_id, [Score("sums", n=3), Score("poems", n=1)])
    for _again in range(2):
        runs.put_answers(run_id, answers("sums", "rwu"))
        runs.put_scores(run_id, [Score("sums", 33.3, 3)])
    assert [(score.subject, score.value, score.n) for score in runs.scores(run_id)] == [
        ("sums", 33.3, 3),
        ("poems", None, 1),
    ]
    found = {tally.subject: tally for tally in runs.tallies(run_id)}
    assert (found["sums"].planned, found["sums"].right, found["sums"].wrong, found["sums"].unread) == (3, 1, 1, 1)
    assert (found["poems"].planned, found["poems"].asked) == (1, 0)
    runs.put_answers(run_id, [replace(next(answers("sums", "w")), said="Other words.")])
    assert runs.answer(run_id, "sums", 0).said == "Other words."
    assert runs.answers(run_id)[1] == 3


def test_a_value_takes_the_place_of_the_planned_cell_whatever_its_metric(runs: EvaluateStore) -> None:
    run_id = runs.begin(RUN)
    runs.plan(run_id, [Score("sums", n=3), Score("poems", n=1)])
    runs.put_scores(run_id, [Score("sums", 7.0, 3, metric="rouge1"), Score("sums", 8.0, 3, metric="rouge2")])
    assert [(score.subject, score.metric) for score in runs.scores(run_id)] == [
        ("sums", "rouge1"),
        ("sums", "rouge2"),
        ("poems", "accuracy"),
    ]


def test_planned_again_keeps_values_and_forgets_causes(runs: EvaluateStore) -> None:
    run_id = runs.begin(RUN)
    runs.plan(run_id, [Score("sums", n=3), Score("poems", n=1)])
    runs.put_scores(
        run_id, [Score("sums", 50.0, 2), Score("poems", cause={"code": "x", "message": "Why."}, evidence="line")]
    )
    runs.plan(run_id, [Score("sums", n=3), Score("poems", n=1)])
    sums, poems = runs.scores(run_id)
    assert (sums.value, sums.n) == (50.0, 2)
    assert (poems.value, poems.cause, poems.evidence) == (None, {}, "")


def test_asked_again_forgets_only_those_subjects_and_only_once_a_job(runs: EvaluateStore, store: Store) -> None:
    old, new = (store.submit("evaluate", {"model": "starter"}).id for _ in range(2))
    run_id = runs.begin(replace(RUN, job=old))
    runs.plan(run_id, [Score("sums", n=2), Score("poems", n=2)])
    for subject in ("sums", "poems"):
        runs.put_answers(run_id, answers(subject, "rw"))
        runs.put_scores(run_id, [Score(subject, 50.0, 2)])
    runs.end(run_id, "done")
    runs.reopen(run_id, ["poems"], job=new)
    assert [score.value for score in runs.scores(run_id)] == [50.0, None]
    runs.put_answers(run_id, answers("poems", "r"))
    runs.reopen(run_id, ["poems"], job=new)
    assert runs.answered(run_id) == {"sums": {0: "right", 1: "wrong"}, "poems": {0: "right"}}
    assert [found.id for job in (old, new) if (found := runs.run_of_job(job))] == [run_id, run_id]
    assert (runs.run(run_id).job, runs.run(run_id).state) == (new, "running")


def test_answers_are_paged_filtered_and_searched(runs: EvaluateStore) -> None:
    run_id = runs.begin(RUN)
    runs.put_answers(run_id, answers("sums", "rw" * 40))
    runs.put_answers(run_id, [Answer("poems", 0, "k", "谁写了《静夜思》?", "P", "李白 100%", "李白", "李白", "right")])
    page, total = runs.answers(run_id, outcome="wrong", offset=5, limit=10)
    assert (total, [answer.number for answer in page]) == (40, list(range(11, 31, 2)))
    assert [answer.prompt for answer in page] == [""] * 10, "long, and not shown in a list"
    assert runs.answers(run_id, subject="poems", prompts=True)[0][0].prompt == "P"
    assert runs.answer(run_id, "sums", 7).prompt == "Prompt. sums question 7?"
    for text in ("静夜思", "李白", "100%", "谁写了"):
        assert [answer.subject for answer in runs.answers(run_id, search=text)[0]] == ["poems"], text
    assert runs.answers(run_id, search="question 1", outcome="wrong")[1] == 6, "1, 11, 13, 15, 17, 19"
    assert runs.answers(run_id, search="%")[1] == 1
    runs.put_answers(run_id, answers("many", "r" * 2500))
    assert len(runs.answers(run_id, limit=100_000)[0]) == 2581
    assert runs.answers(run_id, search="1_0")[1] == 0
    with pytest.raises(NotFoundError) as caught:
        runs.answer(run_id, "sums", 999)
    assert caught.value.code == "evaluation_answer_unknown"


def test_a_prompt_that_two_runs_share_is_stored_once_and_goes_with_the_last(runs: EvaluateStore) -> None:
    first = kept(runs, "a", {"sums": "rw"})
    second = kept(runs, "b", {"sums": "ww"})

    def stored() -> list[int]:
        with runs.read() as db:
            return [
                db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("questions", "prompts", "answers")
            ]

    assert stored() == [2, 2, 4]
    runs.remove(first)
    assert stored() == [2, 2, 2]
    assert runs.answer(second, "sums", 1).prompt == "Prompt. sums question 1?"
    runs.remove(second)
    assert stored() == [0, 0, 0]
    with pytest.raises(NotFoundError) as caught:
        runs.run(first)
    assert caught.value.code == "evaluation_unknown"


def test_a_run_that_goes_on_is_not_removed(runs: EvaluateStore) -> None:
    run_id = runs.begin(RUN)
    with pytest.raises(ConflictError) as caught:
        runs.remove(run_id)
    assert caught.value.code == "evaluation_running"
    runs.end(run_id, "done")
    runs.rename(run_id, "  A  better\nname ")
    assert runs.run(run_id).name == "A better name"
    with pytest.raises(ConflictError) as caught:
        runs.rename(run_id, " ")
    assert caught.value.code == "evaluation_name_empty"


def test_pairs_are_the_same_questions_and_count_neither_failed_nor_unshared(runs: EvaluateStore) -> None:
    a = kept(runs, "a", {"sums": "rrrwwuf", "poems": "r"})
    b = kept(runs, "b", {"sums": "rrwwrrrr", "shapes": "r"})
    pairs = runs.pairs(a, b)
    counts = pairs.subjects["sums"]
    assert list(pairs.subjects) == ["sums"]
    assert (counts.both, counts.a_only, counts.b_only, counts.neither) == (2, 1, 2, 1)
    assert (pairs.all.n, pairs.only_a, pairs.only_b) == (6, 1, 3)
    assert runs.pairs(a, b, ["poems"]).all.n == 0
    found, total = runs.different(a, b, "b_only")
    assert total == 2
    assert [(one.number, one.outcome, other.outcome) for one, other in found] == [
        (4, "wrong", "right"),
        (5, "unread", "right"),
    ]
    assert {
        which: runs.different(a, b, which)[1] for which in ("a_only", "both_right", "both_wrong", "differ", "all")
    } == {  # type: ignore[arg-type]
        "a_only": 1,
        "both_right": 2,
        "both_wrong": 1,
        "differ": 3,
        "all": 6,
    }
    assert runs.different(a, b, "all", search="question 4")[1] == 1
    assert runs.different(a, b, "all", subject="poems")[1] == 0
    assert runs.different(a, b, "all", offset=4, limit=9)[0][0][0].number == 4


def test_counts_that_are_remembered_follow_every_change(workspace: Workspace, runs: EvaluateStore) -> None:
    a, b = kept(runs, "a", {"sums": "rw"}), kept(runs, "b", {"sums": "rr"})
    assert runs.pairs(a, b) is runs.pairs(a, b)
    other = open_runs(workspace)
    other.put_answers(a, answers("sums", "rr"))
    assert (runs.pairs(a, b).all.both, runs.pairs(a, b).all.b_only) == (2, 0)
    other.reopen(a)
    assert runs.pairs(a, b).all.n == 0
    other.close()


def test_a_question_that_stands_twice_in_a_set_is_paired_once_with_each_twin(runs: EvaluateStore) -> None:
    both = []
    for model in "ab":
        run_id = runs.begin(replace(RUN, model=model))
        twins = [replace(each, key="same") for each in answers("sums", "rw")]
        for _again in range(2):
            runs.put_answers(run_id, twins)
        both.append(run_id)
    counts = runs.pairs(*both).all
    assert (counts.n, counts.both, counts.neither) == (2, 1, 1)


def test_two_processes_write_and_read_at_once(workspace: Workspace, runs: EvaluateStore) -> None:
    run_id = runs.begin(RUN)
    program = (
        "import sys\nfrom backend.evaluate.store import open_runs\nfrom backend.workspace import open_workspace\n"
        "from tests.support.past_runs import answers\n"
        "store = open_runs(open_workspace())\n"
        "for first in range(0, 200, 10): store.put_answers(int(sys.argv[1]), answers(sys.argv[2], 'rwrwrwrwrw', first=first))\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", program, str(run_id), name]) for name in ("sums", "poems")]
    seen = [runs.answers(run_id)[1] for _look in range(30)]
    assert [other.wait(60) for other in others] == [0, 0]
    assert seen == sorted(seen)
    assert [(tally.right, tally.wrong) for tally in runs.tallies(run_id)] == [(100, 100), (100, 100)]


def test_a_killed_job_loses_nothing_that_it_was_told_is_kept(workspace: Workspace, runs: EvaluateStore) -> None:
    run_id = runs.begin(RUN)
    program = (
        "import sys\nfrom backend.evaluate.store import open_runs\nfrom backend.workspace import open_workspace\n"
        "from tests.support.past_runs import answers\n"
        "store, n = open_runs(open_workspace()), 0\n"
        "while True:\n    store.put_answers(int(sys.argv[1]), answers('sums', 'rw', first=n))\n    n += 2\n    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(run_id)], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        told = [job.stdout.readline() for _line in range(20)]
        os.kill(job.pid, signal.SIGKILL)
        told += job.stdout.readlines()
    acknowledged = int([line for line in told if line.endswith("\n")][-1])
    found = runs.answered(run_id)["sums"]
    assert len(found) >= acknowledged
    assert len(found) % 2 == 0, "a batch is whole or not there"
    assert set(found) == set(range(len(found)))


def test_a_damaged_file_is_put_aside_and_it_speaks_of_evaluations(workspace: Workspace) -> None:
    workspace.evaluate_db.write_bytes(b"rubbish" * 5000)
    opened = open_runs(workspace)
    notice = opened.notice()
    assert notice is not None
    assert notice.code == "evaluations_damaged"
    assert "evaluations" in str(notice)
    aside = next(iter(workspace.root.glob("evaluate.db.damaged-*")))
    assert aside.read_bytes() == b"rubbish" * 5000
    assert str(aside) in str(notice)
    assert opened.runs() == []
    opened.dismiss_notice()
    assert opened.notice() is None
    opened.close()


def test_what_no_text_can_hold_is_kept_as_far_as_it_goes(runs: EvaluateStore) -> None:
    i18n.use("zh_CN")
    run_id = runs.begin(replace(RUN, name="a\0b\ud800", settings={"note": "\ud800"}))
    runs.put_answers(run_id, [replace(next(answers("sums", "r")), said="x\0y\udfff", note={"judge": "\udc00"})])
    assert runs.run(run_id).name == "ab?"
    assert runs.answer(run_id, "sums", 0).said == "xy?"
    with sqlite3.connect(runs.path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
