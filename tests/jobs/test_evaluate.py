"""The evaluation with our own evaluator, over a real server on loopback: what is asked, marked, kept, and told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from backend.errors import PanelError
from backend.evaluate.records import Answer, Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.queue.events import read_events
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.answering import answering
from tests.support.evaluating import job_folder, run_here, small_set, write_set
from tests.support.stub_openai import published


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def by_question(runs: EvaluateStore, run_id: int) -> dict[tuple[str, int], Answer]:
    return {(each.subject, each.number): each for each in runs.answers(run_id, limit=1000, prompts=True)[0]}


def cells(runs: EvaluateStore, run_id: int) -> dict[str, Score]:
    return {score.subject: score for score in runs.scores(run_id)}


def test_every_question_is_asked_once_and_each_answer_is_kept_with_what_was_sent(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    known = small_set(workspace)
    with answering(say="The answer is B.", says={"Q2 of law": "Red.", "Q4 of law": "C"}) as server:
        with published(store, server):
            result = run_here(workspace)
        asked = server.asked()
    assert len(asked) == len(set(asked)) == 10
    assert (result["state"], result["right"], result["wrong"], result["subjects"], result["missing"]) == (
        "done",
        8,
        2,
        2,
        0,
    )
    assert result["accuracy"] == 80
    assert (result["low"], result["high"]) == pytest.approx((49.02, 94.33), abs=0.01)
    run = runs.run(result["run"])
    assert (run.model, run.set_name, run.set_version, run.evaluator) == ("stub", "small", known.version, "tunedeck")
    assert (run.state, run.notices, run.settings["answer_tokens"]) == ("done", (), 64)
    assert {name: (cell.value, cell.n) for name, cell in cells(runs, run.id).items()} == {
        "geo": (100, 5),
        "law": (60, 5),
    }
    answer = by_question(runs, run.id)["law", 1]
    assert (answer.said, answer.taken, answer.gold, answer.outcome) == ("Red.", "A", "B", "wrong")
    assert json.loads(answer.prompt)[-1]["content"] in asked
    assert answer.tokens == 1
    assert answer.seconds is not None


def test_a_model_that_says_it_does_not_know_is_not_read_instead_of_wrong(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace)
    with answering(say="I do not know.") as server, published(store, server):
        result = run_here(workspace)
    assert (result["unread"], result["wrong"], result["accuracy"]) == (10, 0, 0)
    assert result["notices"] == ["answers_unread"]
    assert {tally.unread for tally in runs.tallies(result["run"])} == {5}


def test_answers_that_were_cut_before_they_said_anything_tell_so(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace)
    with answering(say="Let me think about this.", cut=True) as server, published(store, server):
        result = run_here(workspace, answer_tokens=7)
    assert result["notices"] == ["answers_unread", "answers_cut"]
    note = PanelError.from_dict(by_question(runs, result["run"])["geo", 0].note)
    assert (note.code, note.params["most"]) == ("answer_cut", 7)


def test_a_question_that_fails_counts_neither_as_right_nor_as_wrong(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace)
    with answering(say="B", statuses={"Q3 of geo": 500}) as server, published(store, server):
        result = run_here(workspace)
    assert (result["right"], result["failed"], result["accuracy"], result["state"]) == (9, 1, 100, "done")
    assert result["notices"] == ["questions_failed"]
    answer = by_question(runs, result["run"])["geo", 2]
    assert (answer.outcome, answer.note["code"]) == ("failed", "question_failed")
    assert "The server was told to fail." in str(PanelError.from_dict(answer.note))
    assert (cells(runs, result["run"])["geo"].value, cells(runs, result["run"])["geo"].n) == (100, 4)


def test_a_subject_of_which_every_question_fails_has_a_cause_and_the_others_keep_their_scores(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace)
    with answering(say="B", limit=12, says={}) as server, published(store, server):
        long = "word " * 20
        rows = [{"subject": "long", "question": f"{n} {long}?", "A": "x", "B": "y", "answer": "B"} for n in range(40)]
        rows += [{"subject": "short", "question": f"{n}?", "A": "x", "B": "y", "answer": "B"} for n in range(3)]
        write_set(workspace, rows, "mixed")
        result = run_here(workspace, questions="mixed")
    assert (result["state"], result["missing"], result["failed"], result["right"]) == ("partial", 1, 40, 3)
    cell = cells(runs, result["run"])["long"]
    assert (cell.value, cell.n, cell.cause["code"]) == (None, 40, "question_too_long")
    assert cell.evidence.count("maximum context length is 12") == 3
    assert cells(runs, result["run"])["short"].value == 100


def test_where_no_subject_has_a_score_the_job_fails_with_the_cause(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace)
    with answering(limit=3) as server, published(store, server), pytest.raises(PanelError) as error:
        run_here(workspace)
    assert error.value.code == "question_too_long"
    run = runs.runs()[0]
    assert run.state == "failed"
    assert {cell.cause["code"] for cell in runs.scores(run.id)} == {"question_too_long"}


def test_a_server_that_refuses_one_question_after_another_is_not_asked_them_all(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, each=200)
    with answering(statuses={"": 500}) as server:
        with published(store, server), pytest.raises(PanelError) as error:
            run_here(workspace, concurrency=2)
        assert len(server.asked()) < 20
    assert error.value.code == "evaluate_all_failing"
    assert {cell.cause["code"] for cell in runs.scores(runs.runs()[0].id)} == {"evaluate_all_failing"}


def test_a_question_without_an_answer_in_time_fails_and_the_next_is_asked(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, subjects=("geo",))
    with answering(say="B", holds=["Q2 of geo"]) as server, published(store, server):
        result = run_here(workspace, timeout_s=0.5, concurrency=1)
    assert (result["right"], result["failed"]) == (4, 1)
    assert by_question(runs, result["run"])["geo", 1].note["code"] == "question_late"


def test_progress_tells_the_accuracy_so_far_with_its_interval_and_the_time_left(
    workspace: Workspace, store: Store
) -> None:
    small_set(workspace, each=10)
    with answering(say="B", says={"of law": "C"}, pause_s=0.1) as server, published(store, server):
        run_here(workspace, concurrency=2)
    told = [event for event in read_events(job_folder(workspace))[0] if "step" in event and event["phase"] == "ask"]
    middle = next(event for event in told if 0 < event["step"] < 20)
    assert middle["total"] == 20
    assert 0 < middle["eta_s"] < 5
    last = told[-1]["metrics"]
    assert (last["right"], last["wrong"], last["unread"], last["failed"], last["accuracy"]) == (10, 10, 0, 0, 50)
    assert last["low"] < 50 < last["high"]


def test_a_limit_draws_the_same_questions_with_the_same_seed(workspace: Workspace, store: Store) -> None:
    small_set(workspace, each=40)
    drawn = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        with answering() as server, published(store, server):
            run_here(workspace, name, limit=4, seed=seed)
            drawn.append(sorted(server.asked()))
    assert len(drawn[0]) == 8
    assert drawn[0] == drawn[1] != drawn[2]


def test_solved_examples_stand_before_each_question(workspace: Workspace, store: Store, runs: EvaluateStore) -> None:
    with answering() as server, published(store, server):
        result = run_here(workspace, questions="bundled", subjects=["geography-en", "nature-zh"], limit=2, shots=2)
    sent = [json.loads(answer.prompt) for answer in by_question(runs, result["run"]).values()]
    assert [[message["role"] for message in one] for one in sent] == [["user", "assistant"] * 2 + ["user"]] * 4
    assert len({one[0]["content"] for one in sent}) == 2


def test_a_subject_that_cannot_be_asked_is_a_cell_with_its_cause(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    from backend.evaluate import sets

    folder = workspace.root.parent / "benchmark"
    (folder / "test").mkdir(parents=True)
    (folder / "dev").mkdir()
    row = "What is one and one?,1,2,3,4,B\n"
    for split in ("dev", "test"):
        (folder / split / f"anatomy_{split}.csv").write_text(row * 5)
    (folder / "dev" / "astronomy_dev.csv").write_text(row * 5)
    sets.add(workspace, folder, "mine")
    with answering(say="B") as server, published(store, server):
        result = run_here(workspace, questions="mine")
    assert (result["state"], result["missing"]) == ("partial", 1)
    assert cells(runs, result["run"])["anatomy"].value == 100
    cell = cells(runs, result["run"])["astronomy"]
    assert (cell.value, bool(cell.cause.get("code"))) == (None, True)


# --- a judge


def free(workspace: Workspace, count: int = 3) -> None:
    rows = [
        {"question": f"Why is Q{n} so?", "answer": "because", "rule": "judge", "subject": "why"} for n in range(1, count + 1)
    ]  # fmt: skip
    write_set(workspace, rows, "free")


def test_a_judge_marks_what_only_a_model_can_mark_and_its_caveats_are_told(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    free(workspace)
    with (
        answering(say="It is so.", says={"Q3": "No idea at all."}) as server,
        answering("judge", say="VERDICT: RIGHT", says={"No idea at all.": "VERDICT: WRONG"}) as judge,
        published(store, server),
        published(store, judge),
    ):
        result = run_here(workspace, questions="free", judge="judge")
        assert len(judge.asked()) == 3
    assert (result["right"], result["wrong"], result["notices"]) == (2, 1, ["judged_by_model"])
    assert by_question(runs, result["run"])["why", 2].note == {"judge": "VERDICT: WRONG", "model": "judge"}


def test_a_judge_that_talks_nonsense_is_asked_once_more_and_then_the_answer_is_not_read(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    free(workspace)
    with (
        answering(say="It is so.") as server,
        answering("judge", say="Bananas are yellow.", says={"That is no verdict": "Still bananas."}) as judge,
        published(store, server),
        published(store, judge),
    ):
        result = run_here(workspace, questions="free", judge="judge")
        asked = judge.asked()
    assert len(asked) == 6
    assert (result["unread"], result["right"], result["wrong"]) == (3, 0, 0)
    assert result["notices"] == ["answers_unread", "judge_unread", "judged_by_model"]
    assert by_question(runs, result["run"])["why", 0].note == {"judge": "Still bananas.", "model": "judge"}


def test_a_judge_that_comes_to_its_senses_the_second_time_is_heard(workspace: Workspace, store: Store) -> None:
    free(workspace, 1)
    with (
        answering(say="It is so.") as server,
        answering("judge", say="Bananas.", says={"That is no verdict": "VERDICT: RIGHT"}) as judge,
        published(store, server),
        published(store, judge),
    ):
        assert run_here(workspace, questions="free", judge="judge")["right"] == 1


def test_a_model_that_judges_itself_is_told_so(workspace: Workspace, store: Store) -> None:
    free(workspace)
    with answering(say="RIGHT") as server, published(store, server):
        result = run_here(workspace, questions="free", judge="stub")
    assert result["notices"] == ["judged_by_model", "judge_is_the_judged"]


def test_questions_that_need_a_judge_are_not_asked_without_one(workspace: Workspace, store: Store) -> None:
    free(workspace)
    with answering() as server, published(store, server):
        with pytest.raises(PanelError) as error:
            run_here(workspace, questions="free")
        assert server.asked() == []
    assert error.value.code == "evaluate_judge_missing"


# --- a server at an address


def test_a_server_at_an_address_is_asked_and_nobody_can_tell_whether_it_stays_the_same(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace)
    with answering("theirs", say="B", key="") as server:
        result = run_here(workspace, model="", base_url=server.base_url)
    assert (result["right"], result["notices"]) == (10, ["model_not_ours"])
    run = runs.run(result["run"])
    assert (run.model, run.fingerprint) == ("theirs", "")


def test_a_server_that_wants_a_key_is_told_before_anything_is_asked(workspace: Workspace, runs: EvaluateStore) -> None:
    small_set(workspace)
    with answering(key="other") as server, pytest.raises(PanelError) as error:
        run_here(workspace, base_url=server.base_url)
    assert error.value.code == "bench_key_refused"
    assert runs.runs() == []


def test_a_model_that_there_is_not_begins_no_run(workspace: Workspace, store: Store, runs: EvaluateStore) -> None:
    small_set(workspace)
    with pytest.raises(PanelError) as error:
        run_here(workspace, model="nobody")
    assert (error.value.code, runs.runs()) == ("model_unknown", [])


# --- a trial


def test_a_trial_asks_a_few_of_all_subjects_and_keeps_no_score(
    workspace: Workspace, store: Store, runs: EvaluateStore
) -> None:
    small_set(workspace, subjects=("a", "b", "c"), each=20)
    with answering(say="B", says={"of c": "nothing I know"}, pause_s=0.02) as server, published(store, server):
        result = run_here(workspace, trial=9, concurrency=3)
        assert len(server.asked()) == 10  # one more before, which is not timed
    assert runs.runs() == []
    assert Counter(answer["subject"] for answer in result["answers"]) == {"a": 3, "b": 3, "c": 3}
    assert (result["trial"], result["questions"], result["right"], result["unread"]) == (9, 60, 6, 3)
    assert len(result["each_s"]) == 9
    assert 0.02 <= result["seconds_per_question"] < 0.5
