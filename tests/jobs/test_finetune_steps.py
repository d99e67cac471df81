"""The steps that a plan tells are those that the job takes, which draws its rows itself."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backend.data.rows import line
from backend.data.tokens import open_listed
from backend.data.tokens.plan import Wish, forecast
from backend.finetune import rows as planned_rows
from backend.finetune.plan import Plan, plan
from backend.workspace import ROOT, Workspace
from jobs.finetuning import general, rows, tokens
from jobs.finetuning.packing import pack
from jobs.finetuning.training import steps_of
from tests.support.datasets import keep, row
from tests.support.planning import CPU, persona, spec


def lengths(count: int) -> list[Any]:
    """Rows of very different lengths, no two with the same question."""
    rng = random.Random(count)
    return [row(f"Question {n}?", " ".join(["word"] * rng.randint(1, 90))) for n in range(count)]


@pytest.fixture
def sets(workspace: Workspace) -> Workspace:
    keep(workspace, "various", lengths(180))
    keep(workspace, "asked twice", [row(f"Question {n // 3}?", f"Answer {n} " * (n % 17)) for n in range(90)])
    persona(workspace)
    return workspace


def taken(workspace: Workspace, made: Plan, folder: Path) -> int:
    """The steps that the job of ``made`` would take: its own functions, without a model."""
    folder.mkdir()
    prepared = rows.prepare(folder, made.spec)
    learned = tokens.encode(open_listed(workspace, made.model_folder), prepared.train, made.spec.max_length)
    joined = pack(learned.lengths, made.spec.max_length, made.spec.seed)
    return steps_of(made.spec, len(joined) if made.spec.packing else len(learned))[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"packing": False, "validation_share": 0.0},
        {"packing": False, "validation_share": 0.1, "batch_size": 3},
        {"packing": False, "validation_share": 0.1, "replay": 0.4},
        {"validation_share": 0.0},
        {"validation_share": 0.0, "max_length": 128, "epochs": 2.5},
        {"max_steps": 20, "replay": 0.5, "dataset": "My persona"},
        {"packing": False, "validation_share": 0.0, "own_replay": False, "dataset": "My persona"},
        {"packing": False, "validation_share": 0.1, "own_replay": False, "replay": 0.6, "dataset": "My persona"},
    ],
    ids=str,
)
def test_where_nothing_is_drawn_that_counts_the_plan_is_exact(
    sets: Workspace, tmp_path: Path, settings: dict[str, Any]
) -> None:
    made = plan(sets, spec(**{"dataset": "various", "max_length": 512, **settings}), CPU)
    assert made.exact
    assert made.steps_low == made.steps == made.steps_high == taken(sets, made, tmp_path / "job")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"validation_share": 0.2, "max_length": 96},
        {"replay": 0.3},
        {"replay": 0.5, "seed": 7, "epochs": 3.0},
        {"replay": 0.2, "model": str(ROOT / "models" / "tiny")},
        {"replay": 0.3, "dataset": "My persona", "seed": 3},
        {"dataset": "My persona", "max_length": 256, "batch_size": 4},
        {"dataset": "asked twice", "validation_share": 0.15, "packing": False, "batch_size": 1},
        {"dataset": "asked twice", "validation_share": 0.15, "replay": 0.3, "max_length": 256},
    ],
    ids=str,
)
def test_where_rows_are_drawn_the_steps_lie_in_the_band_that_is_told(
    sets: Workspace, tmp_path: Path, settings: dict[str, Any]
) -> None:
    made = plan(
        sets, spec(**{"dataset": "various", "max_length": 512, "batch_size": 1, "epochs": 1.0, **settings}), CPU
    )
    assert made.steps_low <= made.steps <= made.steps_high
    assert made.steps_low <= taken(sets, made, tmp_path / "job") <= made.steps_high
    assert made.steps_high - made.steps_low <= max(4, 0.75 * made.steps), "a band that says something"


def test_rows_are_joined_by_the_plan_as_by_the_job() -> None:
    rng = random.Random(1)
    for most in (64, 100, 512):
        found = [rng.choice((3, 5, rng.randint(1, most), rng.randint(1, most // 3))) for _ in range(600)]
        told = forecast(Counter(found), Wish(engine="peft", max_length=most, epochs=1)).packed_rows
        assert told == len(pack(found, most, seed=most))


def test_general_rows_of_the_dataset_are_left_out_where_the_spec_says_so(sets: Workspace, tmp_path: Path) -> None:
    made = plan(sets, spec(dataset="My persona", own_replay=False, replay=0.5, validation_share=0.0), CPU)
    (tmp_path / "job").mkdir()
    prepared = rows.prepare(tmp_path / "job", made.spec)
    bundled = [row for row in prepared.train if row["meta"]["source"] == "general"]
    own = [row for row in prepared.train if row["meta"]["source"] != "general"]
    assert len(own) == len(bundled) == 2 * 150
    assert not [row for row in own if row["meta"]["lineage"]["intent"] == "replay"]
    assert (made.rows, made.general_rows) == (300, 300)


def test_the_general_rows_that_a_plan_counts_are_those_that_a_job_makes(sets: Workspace) -> None:
    held = planned_rows.MIXED.read_bytes().splitlines()
    assert held == [line(made) for made in general.rows(len(held), seed=0)]
    model = open_listed(sets, "starter")
    mine = planned_rows.mixed_in(model)
    theirs = [len(tokens.encode(model, [made], 1 << 15).ids) for made in general.rows(300, seed=11)]
    mean = sum(length * number for length, number in mine.items()) / mine.total()
    assert sum(theirs) / len(theirs) == pytest.approx(mean, rel=0.2)
