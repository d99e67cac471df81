"""An evaluation that is killed, stopped, left alone by its server, or gone on with after something has changed: real processes."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.errors import PanelError
from backend.evaluate import sets
from backend.evaluate.records import Run, Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.queue.store import Store
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace
from jobs.evaluating.runs import Asked, begin
from jobs.harness import Job
from tests.support.answering import Answering, answering
from tests.support.evaluating import ended, job_folder, run_here, small_set, start
from tests.support.small_disk import can_mount, on_disk
from tests.support.stub_openai import published
from tests.support.wait import until


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def kept(runs: EvaluateStore) -> list[str]:
    """The questions that have an answer in the newest run."""
    found = runs.runs()
    return [answer.question.splitlines()[0] for answer in runs.answers(found[0].id, limit=1000)[0]] if found else []


def times(server: Answering) -> Counter[str]:
    return Counter(text.splitlines()[0] for text in server.asked())


def test_after_kill_9_no_question_is_asked_again_that_had_been_answered(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=20)
    with answering(say="B", pause_s=0.05) as server, published(store, server):
        process = start(workspace, concurrency=3)
        until(lambda: len(kept(runs)) >= 12, what="some answers are kept")
        process.kill()
        ended(process, workspace)
        answered = kept(runs)
        assert 12 <= len(answered) < 40
        assert runs.runs()[0].state == "running"
        result = run_here(workspace, concurrency=3)
        asked = times(server)
    assert (result["right"], result["state"], len(runs.runs())) == (40, "done", 1)
    assert {question for question in answered if asked[question] > 1} == set()
    assert sum(asked.values()) <= 40 + 3


def test_a_stopped_evaluation_keeps_what_came_and_goes_on_with_the_rest(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=20)
    with answering(say="B", pause_s=0.05) as server, published(store, server):
        process = start(workspace, concurrency=2)
        until(lambda: len(kept(runs)) >= 22, what="the first subject is complete")
        process.send_signal(signal.SIGINT)
        code, result, output = ended(process, workspace)
        assert (code, result) == (130, {}), output
        run = runs.runs()[0]
        cells = {cell.subject: cell for cell in runs.scores(run.id)}
        assert (run.state, cells["geo"].value, cells["law"].value) == ("stopped", 100, None)
        assert cells["law"].cause["code"] == "evaluate_stopped"
        answered = kept(runs)
        result = run_here(workspace, concurrency=2)
        asked = times(server)
    assert (result["state"], result["right"]) == ("done", 40)
    assert {question for question in answered if asked[question] > 1} == set()
    assert runs.scores(run.id)[1].cause == {}


def test_a_server_that_goes_away_for_good_ends_it_with_a_reason_and_resume_asks_the_rest(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=10)
    with answering(say="B", dies_at=14) as server, published(store, server), pytest.raises(PanelError) as error:
        run_here(workspace, concurrency=1, timeout_s=1)
    assert error.value.code == "evaluate_server_gone"
    run = runs.runs()[0]
    cells = {cell.subject: cell for cell in runs.scores(run.id)}
    assert (run.state, cells["geo"].value, cells["law"].cause["code"]) == ("failed", 100, "evaluate_server_gone")
    assert len(kept(runs)) == 13
    with answering(say="B") as server, published(store, server):
        result = run_here(workspace, concurrency=1, timeout_s=1)
        assert len(server.asked()) == 7
    assert (result["run"], result["state"], result["right"]) == (run.id, "done", 20)


def test_a_server_that_is_started_again_is_waited_for(workspace: Workspace, store: Store, runs: EvaluateStore) -> None:
    small_set(workspace, each=10)
    with answering(say="B", dies_at=8) as server, published(store, server):
        process = start(workspace, concurrency=2, timeout_s=30)
        until(lambda: server.process.poll() is not None, what="the server has died")
        with answering(port=server.port, say="B") as again:
            code, result, output = ended(process, workspace)
            # Of the seven before, one may have been cut off with the eighth.
            assert 13 <= len(again.asked()) <= 14
    assert (code, result["right"], result["failed"]) == (0, 20, 0), output


def test_a_changed_set_is_refused_when_it_goes_on(workspace: Workspace, store: Store) -> None:
    small_set(workspace)
    with answering(say="B", limit=3) as server, published(store, server), pytest.raises(PanelError):
        run_here(workspace)
    sets.remove(workspace, "small")
    small_set(workspace, each=6)
    with answering(say="B") as server, published(store, server):
        with pytest.raises(PanelError) as error:
            run_here(workspace)
        assert server.asked() == []
    assert error.value.code == "evaluate_set_changed"


def test_a_changed_model_is_refused_when_it_goes_on(workspace: Workspace, store: Store, runs: EvaluateStore) -> None:
    small_set(workspace)
    with answering("starter", say="B") as server, published(store, server):
        result = run_here(workspace, model="starter")
        assert runs.run(result["run"]).fingerprint != ""
        with sqlite3.connect(workspace.evaluate_db) as db:
            db.execute("UPDATE runs SET fingerprint = 'another'")
        db.close()
        with pytest.raises(PanelError) as error:
            run_here(workspace, model="starter")
    assert error.value.code == "evaluate_model_changed"


def test_a_job_of_the_queue_finds_its_run_by_its_number_in_any_folder(
    workspace: Workspace, store: Store, runs: EvaluateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_set(workspace)
    first, later = (store.submit("evaluate", {"model": "stub", "questions": "small"}).id for _ in range(2))
    with answering(say="B", statuses={"of law": 500}) as server, published(store, server):
        monkeypatch.setenv("TUNEDECK_JOB_ID", str(first))
        run = run_here(workspace, "one")["run"]
    with answering(say="B", statuses={"Q1 of law": 500}) as server, published(store, server):
        assert run_here(workspace, "two")["run"] == run
        assert len(server.asked()) == 5
    with answering(say="B") as server, published(store, server):
        monkeypatch.setenv("TUNEDECK_JOB_ID", str(later))
        for _attempt in range(2):
            assert run_here(workspace, "three", subjects=["law"], into=run)["right"] == 10
            assert len(server.asked()) == 5
    assert [each.id for each in runs.runs()] == [run]
    assert runs.run_of_job(first) == runs.run_of_job(later) == runs.run(run)


# --- into an earlier run


def test_a_subject_is_asked_again_in_its_run_and_the_others_stay(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace)
    with answering(say="B", statuses={"of law": 500}) as server, published(store, server):
        first = run_here(workspace)
    assert (first["state"], first["missing"]) == ("partial", 1)
    with answering(say="B", says={"Q1 of law": "C"}) as server, published(store, server):
        again = run_here(workspace, "again", subjects=["law"], into=first["run"])
        assert len(server.asked()) == 5
        # A second attempt of the same job does not throw away what the first one found.
        run_here(workspace, "again", subjects=["law"], into=first["run"])
        assert len(server.asked()) == 5
    assert (again["run"], again["state"], again["right"], again["wrong"], again["failed"]) == (
        first["run"],
        "done",
        9,
        1,
        0,
    )
    run = runs.run(first["run"])
    assert (run.state, run.notices) == ("done", ("asked_again",))
    assert {cell.subject: cell.value for cell in runs.scores(run.id)} == {"geo": 100, "law": 80}


def test_the_cells_of_opencompass_are_emptied_by_the_names_that_it_gives_them(
    workspace: Workspace, runs: EvaluateStore
) -> None:
    asked = Asked("stub", "", sets.get(workspace, "bundled"))
    settings = {"limit": 0, "shots": 0}
    run = runs.begin(Run(0, "x", "opencompass", "1", "stub", "bundled", asked.questions.version, settings=settings))
    runs.put_scores(run, [Score("ceval-logic", 50.0, 10), Score("ceval-law", 60.0, 10)])
    runs.end(run, "done")
    spec = EvaluateSpec(model="stub", evaluator="opencompass", subjects=("logic",), into=run)
    job = Job(spec, job_folder(workspace))
    assert begin(job, spec, runs, asked) == run
    job.events.close()
    assert {score.subject: score.value for score in runs.scores(run)} == {"ceval-logic": None, "ceval-law": 60.0}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"answer_tokens": 128}, "evaluate_into_settings"),
        ({"questions": "bundled"}, "evaluate_into_other"),
        ({"into": 99}, "evaluation_unknown"),
    ],
)
def test_other_scores_are_not_put_into_a_run(
    workspace: Workspace, store: Store, runs: EvaluateStore, change: dict[str, object], code: str
) -> None:
    small_set(workspace)
    with answering(say="B") as server, published(store, server):
        first = run_here(workspace)
        with pytest.raises(PanelError) as error:
            run_here(workspace, "again", **{"into": first["run"], **change})
    assert error.value.code == code
    assert runs.run(first["run"]).state == "done"


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_on_a_full_disk_what_came_is_kept_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    found = on_disk(
        tmp_path / "small",
        "size=16m",
        """
from backend.evaluate.store import open_runs
from tests.support import evaluating
from tests.support.answering import answering
from tests.support.small_disk import can_mount, on_disk
from tests.support.stub_openai import published
workspace = open_workspace()
store = open_store(workspace)
evaluating.small_set(workspace, each=60)
fill = workspace.root / "fill"
fill.write_bytes(b"x" * 13_500_000)
with answering(say="The answer is B. " + "y " * 15000) as server, published(store, server):
    try:
        evaluating.run_here(workspace)
        said = ""
    except PanelError as error:
        said = error.code
    runs = open_runs(workspace)
    (run,) = runs.runs(limit=5)
    kept, asked = sum(each.asked for each in runs.tallies(run.id)), len(server.asked())
    fill.unlink()
    result = evaluating.run_here(workspace)
    more = len(server.asked()) - asked
print(json.dumps({"said": said, "some": 0 < kept < 120, "state": result["state"], "right": result["right"],
    "run": result["run"] == run.id, "left": 120 - kept - more}))
""",
    )
    assert found == {"said": "workspace_full", "some": True, "state": "done", "right": 120, "run": True, "left": 0}
