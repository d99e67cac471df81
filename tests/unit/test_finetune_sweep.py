"""Several settings at once: the grid, what it takes, what keeps it from starting, and the jobs that come of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from backend.cli import finetune_compare
from backend.errors import SpecError
from backend.finetune import sweeps
from backend.queue.store import Store
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace, read_json
from tests.support.finetune_page import persona

GRID: dict[str, list[Any]] = {"learning_rate": [1e-3, 2e-3], "lora_rank": [4, 8]}


def base(**fields: Any) -> dict[str, Any]:
    return {
        "model": "starter",
        "dataset": "My persona",
        "purpose": "identity",
        "device": "cpu",
        "epochs": 1.0,
        **fields,
    }


@pytest.fixture
def taught(workspace: Workspace) -> Workspace:
    persona(workspace)
    return workspace


def test_every_combination_is_one_run_with_a_name_of_its_own(taught: Workspace) -> None:
    made = sweeps.make(taught, base(), GRID)
    assert [point.fields for point in made.points] == [
        {"learning_rate": 1e-3, "lora_rank": 4},
        {"learning_rate": 1e-3, "lora_rank": 8},
        {"learning_rate": 2e-3, "lora_rank": 4},
        {"learning_rate": 2e-3, "lora_rank": 8},
    ]
    specs = [point.plan.spec for point in made.points]
    assert [(spec.learning_rate, spec.lora_rank) for spec in specs] == [(1e-3, 4), (1e-3, 8), (2e-3, 4), (2e-3, 8)]
    assert len({spec.name for spec in specs}) == 4
    assert made.runs, [fault.sentence() for fault in made.faults]


def test_time_and_disk_of_all_runs_are_summed_and_each_size_is_rehearsed_once(taught: Workspace) -> None:
    made = sweeps.make(taught, base(), GRID)
    single = [point.plan for point in made.points]
    assert made.disk_bytes == sum(plan.disk_bytes for plan in single) > 0
    assert made.seconds is not None
    assert made.seconds.likely == pytest.approx(sum(plan.seconds.likely for plan in single if plan.seconds))
    assert [plan.spec.rehearse for plan in single] == [True, True, False, False], "the rate of learning takes no memory"


@pytest.mark.parametrize(
    "axes",
    [
        {},
        {"seed": [1]},
        {"seed": list(range(17))},
        {name: [1, 2] for name in ("seed", "lora_rank", "batch_size", "accumulation")},
    ],
)
def test_a_grid_that_is_none_or_too_large_is_refused_before_anything_is_planned(
    workspace: Workspace, axes: dict[str, list[Any]]
) -> None:
    with pytest.raises(SpecError) as caught:
        sweeps.make(workspace, base(), axes)
    assert caught.value.code == "sweep_size"
    assert str(sweeps.MOST_RUNS) in caught.value.localized()[1]


def test_what_keeps_one_run_from_starting_keeps_the_sweep_from_it(taught: Workspace, store: Store) -> None:
    made = sweeps.make(taught, base(), {"method": ["lora", "qlora"]})
    assert not made.runs
    with pytest.raises(SpecError) as caught:
        sweeps.start(store, made)
    assert caught.value.code == "sweep_refused"
    assert any(fault.fatal and fault.sentence() in str(caught.value) for fault in made.faults)
    assert store.list() == []


def test_a_sweep_becomes_jobs_that_know_one_another(taught: Workspace, store: Store) -> None:
    made = sweeps.make(taught, base(), GRID)
    rows = sweeps.start(store, made, submit_key="press")
    assert [row.state for row in rows] == ["queued"] * 4
    assert [row.parent for row in rows] == [None, rows[0].id, rows[0].id, rows[0].id]
    assert rows[3].title.endswith("lr 0.002 · rank 8")
    assert sweeps.sweeps(store, store.list()) == {rows[0].id: [row.id for row in rows]}
    kept = read_json(store.job_dir(rows[1].id) / sweeps.FILE)
    assert kept["point"] == {"learning_rate": 1e-3, "lora_rank": 8}
    again = sweeps.start(store, made, submit_key="press")
    assert [row.id for row in again] == [row.id for row in rows], "a double click is one wish"


def test_a_run_of_its_own_belongs_to_no_sweep(workspace: Workspace, store: Store) -> None:
    row = store.submit("finetune", base())
    assert sweeps.of_job(store, row.id) is None
    assert sweeps.sweeps(store, [row]) == {}


@pytest.mark.parametrize("field", sweeps.SWEPT)
def test_every_setting_proposes_values_that_it_takes(field: str) -> None:
    found = sweeps.around(FinetuneSpec(model="m", dataset="d").model_dump(), field)
    assert len(found) > 1
    text = ",".join(str(value).lower() if isinstance(value, bool) else str(value) for value in found)
    assert sweeps.read_values(field, text) == found


@pytest.mark.parametrize(
    ("field", "text", "values"),
    [
        ("learning_rate", "1e-4, 2e-4，2e-4", [1e-4, 2e-4]),
        ("lora_rank", "8,16", [8, 16]),
        ("packing", "true,False", [True, False]),
        ("scheduler", "cosine", ["cosine"]),
    ],
)
def test_values_are_read_as_people_type_them(field: str, text: str, values: list[Any]) -> None:
    assert sweeps.read_values(field, text) == values


def test_a_value_that_is_none_is_named_with_an_example() -> None:
    with pytest.raises(SpecError) as caught:
        sweeps.read_values("lora_rank", "8,many")
    assert str(caught.value) == "'many' is no value of 'lora_rank'."
    assert "8, 16, 32" in caught.value.localized()[1]
    with pytest.raises(SpecError) as caught:
        sweeps.read_values("model", "a,b")
    assert caught.value.code == "sweep_field_unknown"


def test_the_command_line_says_what_a_sweep_takes_and_starts_it_only_when_asked(
    taught: Workspace, store: Store, tmp_path: Any
) -> None:
    app = typer.Typer()
    finetune_compare.register(app)
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(base()))
    said = CliRunner().invoke(
        app, ["sweep", str(file), "--vary", "learning_rate=1e-3,2e-3", "--vary", "seed=1,2", "--json"]
    )
    assert said.exit_code == 0, said.output
    data = json.loads(said.output)
    assert len(data["points"]) == 4
    assert data["runs"] is True
    assert store.list() == []
