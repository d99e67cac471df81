"""What the end of each kind of job means: a sentence with its figures, and the plain state where what it left cannot be read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from backend import catalog, i18n
from backend.catalog import Lineage
from backend.errors import PanelError
from backend.evaluate.store import open_runs
from backend.finetune import proof
from backend.finetune.proof_records import Losses, Part, Proof, Tally
from backend.notices.meaning import STATES, Meaning, _tells, meaning
from backend.quantize import report
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.specs import verbs
from backend.workspace import Workspace
from tests.support import benchmarks, by_hand, models, report_cards
from tests.support.evaluated import evaluated
from tests.support.handmade_run import HandmadeRun

SPECS: dict[str, dict[str, Any]] = {
    "import_data": {"path": "/tmp/rows.jsonl", "name": "mine"},
    "change_data": {"dataset": "mine", "steps": [{"do": "sample", "rows": 5}]},
    "examine_data": {"dataset": "mine"},
    "export_data": {"dataset": "mine", "to": "alpaca"},
    "count_tokens": {"dataset": "mine", "model": "starter"},
    "ask_documents": {"files": ["/tmp/a.txt"], "dataset": "mine", "model": "starter"},
    "serve": {"model": "starter"},
    "download": {"source": "huggingface", "repo": "someone/small"},
    "install_env": {"engine": "lmdeploy"},
    "test_env": {"engine": "lmdeploy"},
    "bundle_env": {"engine": "lmdeploy", "folder": "/tmp/bundle"},
    "agent_check": {"model": "starter"},
    "evaluate": {"model": "starter", "questions": "bundled"},
    "drill": {},
}


def over(store: Store, verb: str, **result: Any) -> JobRow:
    """A job of that kind that ended well with ``result``."""
    row = store.submit(verb, SPECS[verb])
    by_hand.begin(store, row)
    run = HandmadeRun.__new__(HandmadeRun)
    run.store, run.row, run.dir = store, store.get(row.id), store.job_dir(row.id)
    return run.end("succeeded", result=result)


def said(store: Store, verb: str, **result: Any) -> tuple[str, str]:
    found = meaning(store, over(store, verb, **result))
    return found.text, found.level


def tuned(store: Store, found: Proof | None, **result: Any) -> Meaning:
    run = HandmadeRun(store)
    run.begin()
    run.learn(60)
    if found is not None:
        proof.write(run.dir, found)
    return meaning(store, run.end("succeeded", result={"step": 200, "steps": 200, "loss": 1.25, **result}))


def test_a_training_says_whether_it_learned_with_the_questions_it_was_asked(store: Store) -> None:
    asked = Part("test", 100, 100, Tally(100, 2, 93, 2, 0.8, 0.98))
    found = tuned(store, Proof(verdicts=("learned",), questions=asked))
    assert found == Meaning(
        "It learned what it was taught. Of 100 held-out questions the tuned model answers 93 right, the base model 2."
    )
    forgot = tuned(store, Proof(verdicts=("learned", "forgot"), questions=asked))
    assert "It forgot some of what it knew before." in forgot.text
    assert forgot.level == "attention"


def test_a_training_without_questions_says_the_loss_and_one_without_a_proof_says_so(store: Store) -> None:
    held_out = Losses("validation", 40, 800, 3.5, 0.5, -3.2, -2.8)
    assert "from 3.50 to 0.50" in tuned(store, Proof(verdicts=("learned",), loss=held_out)).text
    unproven = tuned(store, None, eval_loss=1.5)
    assert unproven.text.startswith("It learned 200 steps; the loss is 1.50 now. Whether it worked was not checked.")
    assert unproven.level == "attention"


def test_a_smaller_copy_says_its_sizes_and_what_the_report_card_recommends(store: Store) -> None:
    run = HandmadeRun(store, verb="quantize", title="small", model="starter")
    run.begin()
    report.write(run.dir, report_cards.made(report_cards.copy(change=(0.01, 0.0, 0.02))))
    row = run.end("succeeded", result={"model": "copy", "bytes_before": 1000 << 20, "bytes_after": 300 << 20})
    found = meaning(store, row)
    assert found.text.startswith("1000.0 MiB → 300.0 MiB on disk, 70 % less. Use copy:")
    assert found.level == "good"
    (run.dir / "report-card.json").write_text("{")
    assert meaning(store, row).text == "1000.0 MiB → 300.0 MiB on disk, 70 % less."


def test_an_evaluation_says_its_score_and_beside_its_base_whether_it_is_better(
    store: Store, workspace: Workspace, tmp_path: Path
) -> None:
    runs = open_runs(workspace)
    figures = {"accuracy": 60.0, "low": 42.3, "high": 75.4, "questions": 30, "subjects": 3, "missing": 0}
    alone = evaluated(runs, "starter", right=0.2)
    told = said(store, "evaluate", run=alone, **figures)
    assert told == ("60.0 % of 30 questions right (95 % interval 42.3 to 75.4 %).", "good")

    models.folder(tmp_path / "robin")
    catalog.receive(workspace, tmp_path / "robin", "robin", Lineage(job=1, verb="finetune", base="starter"))
    better = evaluated(runs, "robin", right=1.0, seed=2)
    text, level = said(store, "evaluate", run=better, **figures)
    assert text.startswith("robin is better on these questions than starter: 100.0 %")
    assert level == "good"
    text, level = said(store, "evaluate", run=better, **{**figures, "missing": 1})
    assert text.endswith("1 of 3 subjects have no score.")
    assert level == "attention"
    runs.remove(better)
    assert said(store, "evaluate", run=better, **figures)[0] == "It ended well.", "its scores are gone"
    runs.close()


def test_a_benchmark_says_how_fast_and_how_many_people_it_carries(store: Store, workspace: Workspace) -> None:
    text = meaning(store, benchmarks.bench(store, 1, 2, 4, 8, 16)).text
    assert text.startswith("Up to 196 tokens/s, with 16 at once. The knee is at 4 people at once")
    table = meaning(store, benchmarks.ended_matrix(store, workspace)).text
    assert "set-ups were measured. The fastest is" in table


@pytest.mark.parametrize(
    ("verb", "result", "told", "level"),
    [
        ("import_data", {"dataset": "mine", "rows": 1200, "rejected": 0}, "The dataset mine has 1,200 rows now.", "good"),
        ("import_data", {"dataset": "mine", "rows": 1, "rejected": 3}, "The dataset mine has 1 row now. 3 could not be read and were left out.", "attention"),
        ("examine_data", {"rows": 50, "errors": 0, "warnings": 0}, "All 50 rows were examined, and nothing is wrong with them.", "good"),
        ("examine_data", {"rows": 50, "errors": 2, "warnings": 7}, "50 rows were examined: 2 with an error, 7 with a warning.", "attention"),
        ("export_data", {"rows": 5, "path": "/x/rows.jsonl"}, "5 rows were written into rows.jsonl.", "good"),
        ("count_tokens", {"rows": 50, "longest": 3000, "over_2048": 4}, "The longest of 50 rows has 3,000 tokens; 4 have more than 2,048.", "good"),
        ("ask_documents", {"dataset": "mine", "pairs": 80, "refused": 5}, "80 pairs were written into the dataset mine; 5 were refused.", "good"),
        ("serve", {"stopped": "idle", "requests": 1}, "Nobody asked it anything for a while, so it stopped. It had answered 1 request.", "good"),
        ("download", {"name": "small", "bytes": 3 << 29}, "The model small is here (1.5 GiB) and can be used.", "good"),
        ("install_env", {"engine": "lmdeploy"}, "LMDeploy is installed and has proven itself: it can be used.", "good"),
        ("test_env", {"engine": "lmdeploy"}, "LMDeploy works: it passed its test.", "good"),
        ("bundle_env", {"engine": "lmdeploy", "files": 90, "bytes": 3 << 20, "folder": "/b"}, "90 files for LMDeploy lie in /b (3.0 MiB).", "good"),
        ("agent_check", {"use": "react", "protocols": {"react": {"passed": 15, "of": 20}}}, "Use ReAct for this model: it passed 15 of 20 tasks.", "good"),
        ("agent_check", {"use": None, "protocols": {}}, "No task that needs a tool was passed in any form. Teach the model with good traces, or take another one.", "attention"),
        ("drill", {}, "It ended well.", "good"),
    ],
)  # fmt: skip
def test_each_other_kind_says_what_came_of_it(
    store: Store, verb: str, result: dict[str, Any], told: str, level: str
) -> None:
    assert said(store, verb, **result) == (told, level)


def test_every_kind_of_job_has_a_meaning_of_its_own_but_the_practice_job() -> None:
    assert set(verbs()) - set(_tells()) == {"drill"}
    assert set(_tells()) <= set(verbs())


@pytest.mark.parametrize("verb", [verb for verb in SPECS if verb != "drill"])
def test_a_result_that_is_empty_damaged_or_gone_leaves_the_plain_state(store: Store, verb: str) -> None:
    row = over(store, verb)
    for damage in (
        '{"ok": true, "attempt": 1}',
        '{"ok": true, "rows": "many", "run": [], "use": 3, "name": null}',
        "{",
        "",
    ):
        (store.job_dir(row.id) / "result.json").write_text(damage)
        assert meaning(store, row) == Meaning(STATES["succeeded"])
    shutil.rmtree(store.job_dir(row.id))
    assert meaning(store, row) == Meaning(STATES["succeeded"])


def test_a_failure_says_its_first_sentence_and_what_vanished_says_that(store: Store) -> None:
    run = HandmadeRun(store)
    run.begin()
    row = run.end("failed", PanelError("out_of_memory", "It did not fit.", "Make it smaller."))
    assert meaning(store, row) == Meaning("It did not fit.", "bad")
    run = HandmadeRun(store)
    run.begin()
    row = run.end("lost")
    assert meaning(store, row) == Meaning("Its process vanished without leaving a result.", "bad")


def test_it_is_said_in_the_language_of_the_person(store: Store) -> None:
    row = over(store, "drill")
    i18n.use("zh_CN")
    assert meaning(store, row).text == i18n._("It ended well.")
