"""The report card's figures and words: intervals of the right things, and a recommendation that claims no more than they carry."""

from __future__ import annotations

import csv
import io
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.catalog import ModelCard
from backend.errors import PanelError
from backend.finetune import intervals
from backend.i18n import use
from backend.quantize import report, report_cells, report_records, report_table
from backend.quantize.report_records import Answer, Cell, Heard, Raw, Report, Said, Serving, Speed, Subject
from tests.support.report_cards import card, copy, made, raw_of


def figures(
    raw: Raw, base: Raw, right: list[bool] | None = None, base_right: list[bool] | None = None
) -> dict[str, Cell]:
    found = report_cells.cells(card(), raw, base, 1000, right or [], base_right or [], 4)
    return {one.name: one for one in found}


def test_perplexity_is_of_all_tokens_and_its_change_of_the_same_rows() -> None:
    base = raw_of([2.0, 30.0] * 20, tokens=[2, 10] * 20)
    copy_ = raw_of([2.2, 31.0] * 20, tokens=[2, 10] * 20, divergences=[0.2, 1.0] * 20, same=[2, 9] * 20)
    found = figures(copy_, base)
    assert found["perplexity"].value == pytest.approx(math.exp(33.2 / 12))
    assert found["perplexity"].change == pytest.approx(math.exp(1.2 / 12) - 1)
    low, high = intervals.per_token(base.losses or [], copy_.losses or [], base.tokens or []) or (0, 0)
    assert (found["perplexity"].change_low, found["perplexity"].change_high) == (math.exp(low) - 1, math.exp(high) - 1)
    # Rows differ far more from each other than the two models do on the same one.
    assert (found["perplexity"].high or 0) - (found["perplexity"].low or 0) > 5 * (math.exp(high) - math.exp(low))
    assert found["divergence"].value == pytest.approx(1.2 / 12)
    assert found["agreement"].value == pytest.approx(11 / 12)
    assert (found["agreement"].low or 0) < 11 / 12 < (found["agreement"].high or 0) <= 1


def test_the_interval_of_the_divergence_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, held = random.Random(5), 0
    for _ in range(200):
        tokens = [rng.randint(5, 15) for _ in range(40)]
        sums = [count * rng.gammavariate(2, 0.01) for count in tokens]
        low, high = report_cells.mean(sums, tokens) or (0, 0)
        held += low <= 0.02 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_all_the_same_is_sure_but_not_certain() -> None:
    raw = raw_of([3.0] * 64, tokens=[10] * 64, divergences=[0.0] * 64, same=[10] * 64)
    found = figures(raw, raw_of([3.0] * 64, tokens=[10] * 64))
    assert found["agreement"].value == 1
    assert (found["agreement"].low, found["agreement"].high) == intervals.wilson(64, 64)


def test_few_rows_have_figures_and_no_interval() -> None:
    raw = raw_of([3.0] * 5, divergences=[0.1] * 5, same=[9] * 5)
    found = figures(raw, raw_of([3.0] * 5))
    assert [found[name].low for name in ("perplexity", "divergence", "agreement")] == [None] * 3
    assert report.verdict(Subject("x", "/x", cells=tuple(found.values()))) == "unknown"


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_copy_that_computes_no_numbers_is_said_to(broken: float) -> None:
    raw = raw_of([3.0] * 19 + [broken], divergences=[0.1] * 19 + [broken], same=[9] * 20)
    found = figures(raw, raw_of([3.0] * 20))
    for name in ("perplexity", "divergence"):
        assert (found[name].value, found[name].source) == (None, "cannot")
        assert (found[name].reason or {})["code"] == "report_not_a_number"
    whole = made(copy(cells=tuple(found.values())))
    assert report.recommend(whole) == "Stay with base: copy computes no numbers."


def test_other_tokens_are_not_compared_token_by_token() -> None:
    raw = replace(raw_of([3.0] * 20, tokens=[7] * 20), divergences=None, same=None)
    found = figures(raw, raw_of([3.0] * 20))
    assert found["perplexity"].value == pytest.approx(math.exp(3 / 7))
    assert found["perplexity"].change is None
    assert (found["divergence"].reason or {})["code"] == "report_other_tokens"


def test_shares_of_answers_have_the_intervals_of_shares() -> None:
    heard = [Heard(f"answer {n}", True, n % 50) for n in range(100)]
    other = [replace(one, first=-1) if n < 4 else one for n, one in enumerate(heard)]
    base, raw = raw_of([3.0] * 20, heard=heard), raw_of([3.0] * 20, heard=other)
    base_right, right = [n < 90 for n in range(100)], [4 <= n < 90 for n in range(100)]
    found = figures(raw, base, right, base_right)
    assert (found["first_tokens"].value, found["first_tokens"].n) == (0.96, 100)
    assert (found["first_tokens"].low, found["first_tokens"].high) == intervals.wilson(96, 100)
    assert (found["score"].value, found["score"].change) == (0.86, pytest.approx(-0.04))
    assert (found["score"].change_low, found["score"].change_high) == intervals.paired(86, 4, 0, 10)


def test_the_base_is_not_compared_with_itself() -> None:
    base = raw_of([3.0] * 20, heard=[Heard("x", True, 1)])
    found = figures(base, base, [True], [True])
    assert not {"divergence", "agreement", "first_tokens"} & found.keys()
    assert found["perplexity"].change is None
    assert found["score"].change is None


def test_what_cannot_be_served_says_why_and_what_its_weights_take() -> None:
    why = PanelError("report_needs_gpu", "It needs a GPU.")
    raw = replace(raw_of([3.0] * 20), problems={"serve": why.to_dict()})
    found = figures(raw, raw)
    assert {name for name, cell in found.items() if cell.source == "cannot"} == set(report_cells.SERVED) - {
        "memory_steady_bytes"
    }
    assert (found["tokens_s"].reason or {})["code"] == "report_needs_gpu"
    memory = found["memory_steady_bytes"]
    assert (memory.source, memory.value) == ("estimated", 2000.0)


def test_speeds_are_of_their_loads() -> None:
    serving = Serving(2.0, 100.0, 120.0, (Speed(1, 10, 0.2, 50.0, 0.1, 0.3, 40.0, 60.0), Speed(4, 12, 0.5, 120.0)))
    raw = replace(raw_of([3.0] * 20), serving=serving)
    found = figures(raw, raw)
    values = {name: found[name].value for name in report_cells.SERVED}
    assert list(values.values()) == [2.0, 100.0, 120.0, 0.2, 50.0, 120.0]
    assert (found["tokens_s"].low, found["tokens_s"].high) == (40.0, 60.0)


@pytest.mark.parametrize(
    ("change", "score", "agreement", "told"),
    [
        ((0.01, 0.0, 0.02), None, 0.98, "same"),
        ((0.01, -0.01, 0.05), None, 0.98, "little"),
        ((0.05, 0.04, 0.06), None, 0.98, "little"),
        ((0.01, 0.0, 0.02), None, 0.80, "little"),
        ((0.01, 0.0, 0.02), (-0.03, -0.05, -0.01), 0.98, "little"),
        ((0.01, 0.0, 0.02), (-0.20, -0.30, -0.10), 0.98, "much"),
        ((0.01, 0.0, 0.02), (-0.20, -0.50, 0.05), 0.98, "same"),
        ((0.30, 0.20, 0.40), None, 0.98, "much"),
        ((0.05, -0.2, 0.4), None, 0.98, "unknown"),
        ((0.01, None, None), None, 0.98, "unknown"),
    ],
)
def test_a_verdict_is_what_the_weaker_end_of_the_interval_carries(
    change: tuple[float, Any, Any], score: tuple[float, float, float] | None, agreement: float, told: str
) -> None:
    assert report.verdict(copy(change=change, score=score, agreement=agreement)) == told


def test_the_smallest_of_those_that_keep_the_quality_is_recommended() -> None:
    eight = copy("eight", size=500, divergence=0.001)
    four = copy("four", size=300, divergence=0.01)
    two = copy("two", size=150, divergence=1.0, change=(0.5, 0.4, 0.6))
    found = made(eight, four, two)
    assert report.recommend(found) == (
        "Use four: it keeps the quality of base (perplexity +1.0 %, 93 of 100 answers right), 70 % smaller on the disk, "
        "70 % less memory."
    )
    assert report.pareto(found) == {}


def test_a_little_loss_is_named_and_much_is_advised_against() -> None:
    assert report.recommend(made(copy(size=300, change=(0.05, 0.04, 0.06)))).startswith(
        "Use copy where memory is short: it costs a little quality (perplexity +5.0 %"
    )
    lost = copy(size=300, change=(0.5, 0.4, 0.6))
    assert report.recommend(made(lost)).startswith(
        "Stay with base: copy loses too much of its quality (perplexity +50 %"
    )
    worse = copy("worse", size=200, change=(0.9, 0.8, 1.0))
    assert report.recommend(made(lost, worse)).startswith("Stay with base: even copy loses too much")


def test_what_cannot_be_served_here_is_recommended_for_elsewhere_only() -> None:
    away = replace(copy(size=300), served=False)
    assert report.recommend(made(away)) == (
        "Use copy on a machine that can serve it: it keeps the quality of base (perplexity +1.0 %, 93 of 100 answers right), "
        "70 % smaller on the disk, 70 % less memory; on this one stay with base."
    )
    here = copy("here", size=500)
    assert report.recommend(made(away, here)).startswith("Use here: it keeps the quality")
    assert "Not served by this machine, so its speed is not measured: copy." in report.cautions(made(away, here))


def test_a_copy_that_is_neither_smaller_nor_faster_is_beaten_by_the_base() -> None:
    found = made(copy(size=1000, divergence=0.01))
    assert report.pareto(found) == {"copy": "base"}
    assert report.recommend(found) == "Stay with base: no copy is smaller or faster than it."


def test_a_copy_that_is_worse_in_all_is_beaten_by_the_other_copy() -> None:
    good, bad = copy("good", size=300, divergence=0.01, speed=50), copy("bad", size=400, divergence=0.05, speed=40)
    assert report.pareto(made(good, bad)) == {"bad": "good"}
    faster = copy("faster", size=400, divergence=0.05, speed=90)
    assert report.pareto(made(good, faster)) == {}


def test_a_copy_that_saves_only_room_on_the_disk_is_no_reason_to_change() -> None:
    one = copy(size=400, speed=40)
    cells = [replace(cell, value=1040.0) if cell.name == "memory_steady_bytes" else cell for cell in one.cells]
    found = made(replace(one, cells=tuple(cells)), base_speed=60)
    assert report.pareto(found) == {}
    assert report.recommend(found) == (
        "Stay with base unless room on the disk counts; copy: 60 % smaller on the disk, 4 % more memory, 33 % slower "
        "(perplexity +1.0 %, 93 of 100 answers right)."
    )


def test_speeds_whose_intervals_overlap_are_the_same() -> None:
    one = Cell("tokens_s", 60.0, low=45.0, high=75.0)
    assert report.order_of_speeds(one, Cell("tokens_s", 50.0, low=40.0, high=60.0)) == 0
    assert report.order_of_speeds(one, Cell("tokens_s", 40.0, low=38.0, high=42.0)) == 1
    assert report.order_of_speeds(Cell("tokens_s", 40.0), Cell("tokens_s", 41.0)) == 0
    assert report.order_of_speeds(Cell("tokens_s", 40.0), Cell("tokens_s", 50.0)) == -1


def test_too_few_rows_recommend_nothing() -> None:
    some = copy(size=300, change=(0.02, None, None))
    assert report.recommend(made(some)) == "Which one to use cannot be told from 64 rows: measure with more."


def test_what_is_not_done_recommends_nothing_and_what_failed_says_so() -> None:
    assert report.recommend(replace(made(copy(size=300)), complete=False)) == "Not all is measured yet."
    problem = PanelError("dataset_unknown", "There is no dataset called '{name}'.", name="gone").to_dict()
    told = report.sentences(Report(complete=True, problem=problem))
    assert told == ["The report card could not be finished: There is no dataset called 'gone'."]


def test_what_the_figures_do_not_carry_is_said() -> None:
    found = replace(made(copy(size=300)), dataset="Mine", version="abc", busy=0.8)
    told = report.cautions(found)
    assert told[0].startswith("The dataset has no validation or test rows")
    assert told[1] == "Others kept 80.0 % of the processor busy meanwhile: the speeds are rough."


def test_the_table_has_a_line_a_figure_and_numbers_its_reasons() -> None:
    why = PanelError("report_needs_gpu", "'copy' is served on a GPU only.").to_dict()
    broken = Cell("tokens_s", source="cannot", reason=why), Cell("ttft_s", source="cannot", reason=why)
    one = copy(size=300)
    shown = report_table.table(made(replace(one, cells=(*one.cells, *broken))))
    assert shown.heads == ("base", "copy")
    lines = {line.name: line for line in shown.lines}
    assert list(lines) == [name for name in report_records.NAMES if name in lines]
    assert lines["perplexity"].entries[1].small == "(2.900 to 3.200) · +1.0 % (0.0 to +2.0)"
    assert (lines["tokens_s"].entries[1].value, lines["tokens_s"].entries[1].note) == ("–", 1)
    assert shown.notes == ("'copy' is served on a GPU only.",)


def test_files_to_take_along_hold_all_and_compute_nothing() -> None:
    found = replace(
        made(replace(copy(size=300.0), name="=cmd|'x'!A1")),
        answers=(
            Answer("What | now?", "x", "en", (Said("=1+1", True, True), Said("no *bold*", False, False))),
            Answer("Same?", "y", "en", (Said("y", True, True), Said("y", True, True))),
        ),
    )
    rows = list(csv.reader(io.StringIO(report_table.to_csv(found))))
    assert {row[0] for row in rows[1:]} == {"base", "'=cmd|'x'!A1"}
    sizes = {row[0]: row[3] for row in rows if row[2] == "size_bytes"}
    assert sizes == {"base": "1000.0", "'=cmd|'x'!A1": "300.0"}
    assert list(csv.reader(io.StringIO(report_table.answers_csv(found))))[1] == [
        "What | now?",
        "x",
        "'=1+1",
        "no *bold*",
    ]
    text = report_table.to_markdown(found)
    assert "| What \\| now? | =1+1 ✓ | no \\*bold\\* ✗ |" in text
    assert "Same?" not in text
    assert report_table.differing(found) == [0]


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = replace(made(copy(size=300)), answers=(Answer("q", "e", "zh", (Said("a"), None)),))
    report.write(tmp_path, found)
    assert report.read(tmp_path) == found
    (tmp_path / report_records.FILE).write_text("{", encoding="utf-8")
    assert report.read(tmp_path) is None
    (tmp_path / report_records.PARTS).mkdir()
    raw = replace(
        raw_of([1.0, 2.0], heard=[Heard("a", True, 3), None]),
        serving=Serving(1.0, 2.0, None, (Speed(1, 10, 0.1, 5.0),)),
    )
    report_records.write_raw(tmp_path, 0, raw)
    assert report_records.read_raw(tmp_path, 0) == raw
    assert report_records.read_raw(tmp_path, 1) == Raw()


def test_it_speaks_chinese() -> None:
    use("zh_CN")
    assert "base" in report.recommend(made(copy(size=300)))


def test_a_card_without_copies_says_so() -> None:
    assert report.recommend(made()) == "There is no copy of base to compare it with."
    assert isinstance(card(), ModelCard)
