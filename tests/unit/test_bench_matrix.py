"""A matrix of set-ups: which rows there are, which this machine can measure, what is kept, and the files that people take along."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.bench import export, matrix, presets, results
from backend.bench.columns import KEYS
from backend.bench.matrix import Cell, Matrix
from backend.catalog import Lineage
from backend.errors import NotFoundError
from backend.queue.store import Store
from backend.specs import parse
from backend.specs.bench import MOST_SETUPS, BenchMatrixSpec, SetUp, Size
from backend.workspace import Workspace
from tests.support import benchmarks, models

AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}
GPTQ = {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 4, "group_size": 128}}}}


def spec(*setups: dict[str, Any], sizes: tuple[Size, ...] = (Size(batch=1), Size(batch=4))) -> BenchMatrixSpec:
    """A matrix of these servers, called a, b, c …"""
    rows = tuple(SetUp(label=chr(ord("a") + n), serve=one) for n, one in enumerate(setups))
    return BenchMatrixSpec(setups=rows, sizes=sizes)


def copy(workspace: Workspace, folder: Path, of: str, created: float, quantized: dict[str, Any]) -> str:
    """A quantized copy of the model ``of`` on the list."""
    path = models.folder(folder, quantization_config=quantized)
    return catalog.receive(workspace, path, folder.name, Lineage(job=1, verb="quantize", base=of, created=created)).name


def filled(found: Matrix, *columns: dict[str, float | None]) -> Matrix:
    """``found`` with ``columns`` for every size of one row after another."""
    for place, figures in enumerate(columns):
        row = replace(found.rows[place], state="done", load_s=2.0)
        for number in range(len(found.sizes)):
            row = row.with_cell(number, Cell(dict(figures), 1 << 30, (place + 1) << 30))
        found = found.with_row(place, row)
    return found


# --- presets


def test_the_homework_is_five_set_ups_of_one_model_with_its_two_sizes(workspace: Workspace) -> None:
    made = presets.build(workspace, "course", "starter")
    asked = parse("bench_matrix", made)
    assert isinstance(asked, BenchMatrixSpec)
    labels = [one.label for one in asked.setups]
    assert labels == [
        "TurboMind", "TurboMind + W4A16", "TurboMind + KV int8", "TurboMind + W4A16 + KV int8", "Hugging Face",
    ]  # fmt: skip
    assert [(size.batch, size.input_tokens) for size in asked.sizes] == [(1, 512), (8, 2048)]
    assert [one.serve.get("quant_policy", 0) for one in asked.setups] == [0, 0, 8, 8, 0]


def test_the_four_bit_rows_take_the_newest_awq_copy_of_this_very_model(workspace: Workspace, tmp_path: Path) -> None:
    assert presets.four_bit(catalog.find(workspace, "starter"), catalog.models(workspace)) == "starter awq 4bit"
    copy(workspace, tmp_path / "old", "starter", 1.0, AWQ)
    copy(workspace, tmp_path / "new", "starter", 2.0, AWQ)
    copy(workspace, tmp_path / "gptq", "starter", 3.0, GPTQ)
    copy(workspace, tmp_path / "other", "another", 4.0, AWQ)
    rows = presets.build(workspace, "course", "starter")["setups"]
    assert [row["serve"]["model"] for row in rows] == ["starter", "new", "starter", "new", "starter"]
    copies = presets.build(workspace, "copies", "starter")["setups"]
    assert [row["label"] for row in copies] == ["starter", "gptq", "new", "old"]


def test_an_unknown_preset_names_those_that_there_are(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="no preset called 'fast'") as caught:
        presets.build(workspace, "fast", "starter")
    assert "course" in caught.value.localized()[1]


def test_a_table_of_ones_own_has_each_combination_once(workspace: Workspace) -> None:
    rows = presets.table(["m"], ["turbomind", "transformers"], kv_bits=(0, 8), shares=(0.8, 0.2), contexts=(1024, 2048))
    labels = [row.label for row in rows]
    assert len(labels) == len(set(labels)) == 2 * 2 * 2 + 2, "Hugging Face knows neither KV bits nor a share"
    assert "TurboMind + KV int8 + cache 0.2 + context 2048" in labels
    many = presets.table([f"m{n}" for n in range(20)], list(presets.ENGINES))
    assert len(many) == MOST_SETUPS
    assert all(name in row.label for name, row in zip(["m0"] * 4, many, strict=False)), "models are told apart"


# --- what this machine can measure


def test_a_row_that_cannot_be_here_says_why(workspace: Workspace) -> None:
    rows = [SetUp(**one) for one in presets.build(workspace, "course", "starter")["setups"]]
    reasons = [matrix.problem(workspace, row) for row in rows]
    assert [reason.code if reason else "" for reason in reasons] == [
        "engine_needs_gpu", "bench_model_missing", "engine_needs_gpu", "bench_model_missing", "",
    ]  # fmt: skip
    assert reasons[1] is not None
    assert "make it first, on the Quantize page" in reasons[1].localized()[1]


def test_a_setting_that_no_server_has_is_named(workspace: Workspace) -> None:
    problem = matrix.problem(workspace, SetUp(label="a", serve={"model": "starter", "speed": "high"}))
    assert problem is not None
    assert problem.code == "spec_bad"
    assert "speed" in str(problem)


def test_a_size_that_is_longer_than_the_context_is_told_with_both_figures() -> None:
    assert matrix.too_long(Size(input_tokens=4000, output_tokens=96), 4096) is None
    problem = matrix.too_long(Size(input_tokens=4000, output_tokens=97), 4096)
    assert problem is not None
    assert "4097 tokens are longer than the context of 4096 tokens" in str(problem)
    assert matrix.too_long(Size(input_tokens=4000), 0) is None, "a server that does not say is asked"


# --- what is kept


def test_what_was_measured_is_read_back_whole(tmp_path: Path) -> None:
    asked = spec({"model": "x"}, {"model": "y"})
    found = filled(matrix.fresh(asked, "cpu:2"), dict(benchmarks.figures(4)))
    matrix.write(tmp_path, found)
    assert matrix.read(tmp_path, asked) == found
    assert found.rows[0].missing() == []
    assert found.rows[1].missing() == [0, 1]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"rows": 3}', '{"rows": [{"cells": [{"columns": 1}]}], "sizes": [{}]}']
)
def test_a_record_that_is_not_one_counts_as_nothing_measured(tmp_path: Path, text: str) -> None:
    (tmp_path / matrix.FILE).write_text(text)
    assert matrix.read(tmp_path, spec({"model": "x"})).measured == 0


def test_a_record_of_other_rows_is_not_taken_for_these(tmp_path: Path) -> None:
    found = filled(matrix.fresh(spec({"model": "x"})), dict(benchmarks.figures(1)))
    matrix.write(tmp_path, found)
    assert matrix.read(tmp_path, spec({"model": "x"}, {"model": "y"})).measured == 0


def test_what_was_cut_short_or_not_answered_is_measured_again() -> None:
    row = matrix.fresh(spec({"model": "x"})).rows[0]
    whole = Cell(dict(benchmarks.figures(1)))
    assert row.with_cell(0, whole).missing() == [1]
    assert row.with_cell(0, replace(whole, complete=False, ended="server_died")).missing() == [0, 1]
    assert row.with_cell(0, Cell({}, errors={"connect": 3})).missing() == [0, 1]
    too_long = matrix.too_long(Size(input_tokens=10), 5)
    assert too_long is not None
    assert row.with_cell(0, Cell(problem=too_long.to_dict())).missing() == [1], "it will be as long tomorrow"


# --- what it comes to


def test_the_fastest_and_the_smallest_are_named_and_a_tie_is_not() -> None:
    found = matrix.fresh(spec({"model": "x"}, {"model": "y"}))
    slow, fast = dict(benchmarks.figures(1, rate=40)), dict(benchmarks.figures(1, rate=80))
    told = export.sentences(filled(found, slow, fast))
    assert any(line.startswith("Fastest with 1 at once") and ": b," in line for line in told)
    assert "Least memory: a, 1.00 GiB." in told
    assert not [line for line in export.sentences(filled(found, slow, slow)) if "Fastest" in line]


def test_csv_has_the_columns_of_the_notes_and_no_formula() -> None:
    asked = BenchMatrixSpec(setups=(SetUp(label="=1+1", serve={"model": "x"}),), sizes=(Size(batch=3),))
    found = filled(matrix.fresh(asked), dict(benchmarks.figures(3)))
    (row,) = csv.DictReader(io.StringIO(export.to_csv([found]).removeprefix("\ufeff")))
    assert set(KEYS) < set(row)
    assert row["setup"] == "'=1+1"
    assert float(row["rps"]) == pytest.approx(benchmarks.figures(3)["rps"], rel=1e-4)
    assert (row["batch"], row["memory_peak_gib"]) == ("3", "1")


def test_markdown_and_html_keep_names_harmless_and_say_why_there_is_no_figure() -> None:
    label = "a | b <script>alert(1)</script>"
    asked = BenchMatrixSpec(setups=(SetUp(label=label, serve={"model": "x"}),), sizes=(Size(),))
    row = replace(matrix.fresh(asked).rows[0], state="cannot", problem=benchmarks.NO_GPU.to_dict())
    found = matrix.fresh(asked).with_row(0, row)
    markdown, page = export.to_markdown([found]), export.to_html([found])
    table = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in table} == {len(export.ALL) + 3}
    assert "LMDeploy computes on NVIDIA GPUs only" in markdown
    assert "LMDeploy computes on NVIDIA GPUs only" in page
    assert "<script>" not in page
    assert "http" not in page.split("</style>")[1]


# --- in one shape with the benchmark of one server


def test_a_benchmark_of_one_server_is_a_matrix_of_one_row_with_a_curve_and_its_knee(store: Store) -> None:
    row = benchmarks.bench(store, 1, 2, 4, 8, 16, most=200)
    found = results.of_job(store, row)
    assert [size.batch for size in found.sizes] == [1, 2, 4, 8, 16]
    (curve,) = results.curves(found)
    assert [people for people, _columns in curve.points] == [1, 2, 4, 8, 16]
    assert curve.knee is not None
    assert curve.knee.concurrency == 4, "it gives 40 tokens/s to each of five, and no more to more"


def test_only_sizes_that_differ_in_people_alone_make_a_curve() -> None:
    sizes = (Size(batch=1, input_tokens=512), Size(batch=8, input_tokens=2048))
    found = filled(matrix.fresh(spec({"model": "x"}, sizes=sizes)), dict(benchmarks.figures(1)))
    assert results.curves(found) == []


def test_a_job_that_has_ended_measures_nothing_any_more(store: Store, workspace: Workspace) -> None:
    row = benchmarks.submit_matrix(store, workspace)
    found = benchmarks.fill(store, row)
    state = replace(found.rows[4], state="measuring")
    matrix.write(store.job_dir(row.id), found.with_row(4, state))
    assert results.of_job(store, row).rows[4].state == "measuring"
    store.cancel(row.id)
    assert results.of_job(store, store.get(row.id)).rows[4].state == "waiting"


def test_json_of_a_matrix_is_json() -> None:
    found = filled(matrix.fresh(spec({"model": "x"})), dict(benchmarks.figures(1)))
    assert json.loads(json.dumps(found.to_dict()))["rows"][0]["cells"][0]["columns"]["rps"]


def test_figures_of_a_server_that_died_are_marked_and_say_why() -> None:
    died = benchmarks.NO_GPU.to_dict() | {"message": "The server went away.", "hint": ""}
    row = replace(matrix.fresh(spec({"model": "x"})).rows[0], state="failed", problem=died)
    row = row.with_cell(0, Cell(dict(benchmarks.figures(1)), complete=False, ended="server_died", problem=died))
    page = export.table([matrix.fresh(spec({"model": "x"})).with_row(0, row)])
    assert page.count("partial: it ended before all requests were answered The server went away.") == 1
    assert page.count("The server went away.") == 2, "and the size that was not reached says it, too"
    assert "partial" not in export.why(row, Cell(dict(benchmarks.figures(1))))
    assert export.why(row, Cell(dict(benchmarks.figures(1)), errors={"timeout": 2})) == "2 requests failed"
