"""Runs side by side: what differs, what came of them, and which is ahead."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.cli import finetune_compare
from backend.errors import NotFoundError, PanelError
from backend.finetune import comparing, files, proof_records
from backend.queue.store import Store
from backend.workspace import write_json
from tests.support.handmade_run import HandmadeRun, falling


def ended(store: Store, held_out: float, **spec: Any) -> HandmadeRun:
    """A run that ended with this validation loss."""
    run = HandmadeRun(store, steps=40, **spec)
    run.begin()
    run.planned()
    run.learn(40, held_out=lambda step, steps: 3.0 if step == 0 else held_out)
    run.end("succeeded", result={"step": 40, "steps": 40, "loss": 0.5, "eval_loss": held_out})
    return run


@pytest.fixture
def three(store: Store) -> list[HandmadeRun]:
    return [
        ended(store, 0.9, learning_rate=1e-4, lora_rank=8),
        ended(store, 0.4, learning_rate=2e-4, lora_rank=8, keep=5),
        ended(store, 0.6, learning_rate=2e-4, lora_rank=16),
    ]


def compared(store: Store, runs: list[HandmadeRun]) -> list[comparing.Contender]:
    return comparing.contenders(store, [run.row.id for run in runs])


def test_only_what_differs_and_teaches_is_told(store: Store, three: list[HandmadeRun]) -> None:
    found = {each.field: each.values for each in comparing.differences(compared(store, three))}
    assert found == {"learning_rate": (1e-4, 2e-4, 2e-4), "lora_rank": (8.0, 8.0, 16.0)}, (
        "not how many checkpoints are kept"
    )


def test_a_label_says_what_is_special_about_a_run(store: Store, three: list[HandmadeRun]) -> None:
    numbers = [run.row.id for run in three]
    assert comparing.labels(compared(store, three)) == [
        f"#{numbers[0]} rate 0.0001 · rank 8",
        f"#{numbers[1]} rate 0.0002 · rank 8",
        f"#{numbers[2]} rate 0.0002 · rank 16",
    ]


def test_a_number_written_by_hand_is_no_difference(store: Store) -> None:
    runs = [ended(store, 0.5, epochs=3), ended(store, 0.5, epochs=3.0)]
    assert comparing.differences(compared(store, runs)) == []
    assert comparing.labels(compared(store, runs)) == [f"#{run.row.id}" for run in runs]


def test_the_lowest_validation_loss_comes_first_and_the_base_does_not_count(
    store: Store, three: list[HandmadeRun]
) -> None:
    found = compared(store, three)
    assert [one.outcomes["eval_loss"] for one in comparing.ranked(found)] == [0.4, 0.6, 0.9]
    assert comparing.best(found, "eval_loss") == 0.4
    assert comparing.best(found, "loss") is None, "what learned its rows by heart has the lowest training loss"


def test_a_run_that_has_not_begun_stands_last(store: Store, three: list[HandmadeRun]) -> None:
    waiting = HandmadeRun(store)
    found = comparing.contenders(store, [waiting.row.id, *(run.row.id for run in three)])
    assert comparing.ranked(found)[-1].id == waiting.row.id
    assert found[0].outcomes == {}


def test_right_answers_come_from_the_proof(store: Store) -> None:
    run = ended(store, 0.4)
    tally = proof_records.Tally(20, 1, 18, 1, 0.5, 0.95)
    shown = proof_records.Proof(verdicts=("learned",), questions=proof_records.Part("test", 20, 20, tally))
    write_json(run.dir / files.PROOF, asdict(shown))
    (found,) = comparing.contenders(store, [run.row.id])
    assert found.outcomes["right"] == pytest.approx(0.9)


def test_a_job_that_is_no_training_is_refused_with_its_number(store: Store, three: list[HandmadeRun]) -> None:
    other = store.submit("drill", {"steps": 1})
    with pytest.raises(NotFoundError) as caught:
        comparing.contenders(store, [three[0].row.id, other.id])
    assert str(caught.value) == f"Job {other.id} is no training."
    with pytest.raises(PanelError):
        comparing.contenders(store, [4711])


def test_the_settled_spec_counts_where_there_is_one(store: Store) -> None:
    first, second = ended(store, 0.4), ended(store, 0.5)
    first.planned(spec={"dtype": "float32"})
    second.planned(spec={"dtype": "bfloat16"})
    (only,) = comparing.differences(compared(store, [first, second]))
    assert (only.field, only.values) == ("dtype", ("float32", "bfloat16"))


def test_the_command_line_lists_the_best_first(store: Store, three: list[HandmadeRun]) -> None:
    import typer

    app = typer.Typer()
    finetune_compare.register(app)
    numbers = [str(run.row.id) for run in three]
    said = CliRunner().invoke(app, ["compare", *numbers, "--json"])
    assert said.exit_code == 0, said.output
    data = json.loads(said.output)
    assert data["differs"] == ["learning_rate", "lora_rank"]
    assert [run["job"] for run in data["runs"]] == [three[1].row.id, three[2].row.id, three[0].row.id]
    plain = CliRunner().invoke(app, ["compare", *numbers])
    assert plain.output.splitlines()[1].startswith(f"#{three[1].row.id}")


def test_curves_that_are_flat_are_still_compared(store: Store) -> None:
    run = HandmadeRun(store, steps=10)
    run.begin()
    run.learn(10, held_out=None, loss=lambda step, steps: falling(step, steps))
    (found,) = comparing.contenders(store, [run.row.id])
    assert "eval_loss" not in found.outcomes
    assert found.outcomes["steps"] == 10
