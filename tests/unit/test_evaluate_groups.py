"""Group averages: the numbers that OpenCompass itself printed."""

from __future__ import annotations

import pytest

from backend.errors import PanelError
from backend.evaluate import groups
from backend.evaluate.known_groups import CEVAL, MMLU, MMLU_WEIGHTS
from backend.evaluate.known_subjects import names
from backend.evaluate.records import Score
from tests.support.past_runs import CEVAL_AVERAGES, ceval_scores


def averages(scores: list[Score], kind: str = "", **options: dict[str, str]) -> dict[tuple[str, str], Score]:
    return {(row.subject, row.metric): row for row in groups.with_averages(kind, scores, **options) if row.group}


@pytest.mark.parametrize(("prefix", "kind"), [("ceval-", ""), ("", "ceval"), ("", "my copy of it")])
def test_a_published_run_has_the_averages_that_opencompass_printed(prefix: str, kind: str) -> None:
    found = averages(ceval_scores(prefix), kind)
    assert {name: f"{row.value:.2f}" for (name, _metric), row in found.items()} == CEVAL_AVERAGES
    assert {row.metric for row in found.values()} == {"naive_average"}
    assert found["ceval", "naive_average"].n == 1346, "all questions of the val split"


def test_every_subject_is_in_exactly_one_group() -> None:
    for kind, members, count in (("ceval", CEVAL, 52), ("mmlu", MMLU, 57)):
        found = [name for some in members.values() for name in some]
        assert len(found) == len(set(found)) == count
        assert set(found) == set(names(kind))
    assert set(MMLU_WEIGHTS) == set(names("mmlu"))
    assert sum(MMLU_WEIGHTS.values()) == 14_042


def test_mmlu_is_weighted_by_the_numbers_that_are_written_down() -> None:
    scores = [Score(f"lukaemon_mmlu_{name}", 100.0 if name == "professional_law" else 0.0, 1) for name in names("mmlu")]
    found = averages(scores)
    assert found["mmlu", "naive_average"].value == pytest.approx(100 / 57)
    assert found["mmlu-weighted", "weighted_average"].value == pytest.approx(100 * 1534 / 14_042)
    assert found["mmlu-humanities", "naive_average"].value == pytest.approx(100 / 13)


def test_a_group_in_which_one_is_missing_has_no_number_but_a_cause() -> None:
    scores = [score for score in ceval_scores() if score.subject != "ceval-logic"]
    scores.append(Score("ceval-logic", None))
    found = averages(scores)
    row = found["ceval-humanities", "naive_average"]
    assert row.value is None
    assert row.cause["params"]["subjects"] == ["ceval-logic"]
    assert "1 of the 11 subjects" in str(PanelError.from_dict(row.cause))
    assert found["ceval", "naive_average"].value is None
    assert f"{found['ceval-stem', 'naive_average'].value:.2f}" == CEVAL_AVERAGES["ceval-stem"]


def test_of_a_group_of_which_nothing_was_asked_nothing_is_said() -> None:
    found = averages([Score("ceval-logic", 50.0)])
    assert {name for name, _metric in found} == {"ceval-humanities", "ceval"}


def test_an_average_that_was_reported_stands_as_it_was_reported() -> None:
    told = Score("ceval-stem", 35.10, None, metric="naive_average", group=True)
    rows = [row for row in groups.with_averages("", [*ceval_scores(), told]) if row.subject == "ceval-stem"]
    assert [row.value for row in rows] == [35.10]


def test_a_set_of_our_own_is_averaged_by_its_groups_and_over_all_questions() -> None:
    scores = [Score("sums", 100.0, 10), Score("shapes", 0.0, 30), Score("poems", 50.0, 10)]
    found = averages(scores, "own", group_names={"sums": "science", "shapes": "science", "poems": "arts"})
    assert {key: row.value for key, row in found.items()} == {
        ("own-science", "naive_average"): 50.0,
        ("own-arts", "naive_average"): 50.0,
        ("own", "naive_average"): 50.0,
        ("own", "weighted_average"): 30.0,
    }
    assert averages([Score("sums", 100.0, 10)], "own") == {}, "one subject is its own average"


def test_without_numbers_of_questions_there_is_no_share_of_all_of_them() -> None:
    found = averages([Score("sums", 100.0), Score("poems", 50.0)], "own")
    assert found["own", "naive_average"].value == 75.0
    assert found["own", "weighted_average"].value is None
    assert found["own", "weighted_average"].cause["code"] == "average_without_counts"


def test_of_several_numbers_the_one_that_opencompass_prefers_counts_and_modes_are_told() -> None:
    scores = [Score("a", 1.0, metric="rouge1"), Score("a", 10.0, metric="score"), Score("b", 30.0, mode="ppl")]
    row = averages(scores, "own")["own", "naive_average"]
    assert (row.value, row.mode) == (20.0, "mixed")


@pytest.mark.parametrize(
    ("kind", "subject", "group"),
    [
        ("ceval", "logic", "humanities"), ("ceval", "ceval-test-physician", "other"), ("mmlu", "lukaemon_mmlu_anatomy", "stem"),
        ("mmlu", "sociology", "social-science"), ("ceval", "sociology", ""), ("own", "logic", ""),
    ],
)  # fmt: skip
def test_the_group_of_a_subject(kind: str, subject: str, group: str) -> None:
    assert groups.group_of(kind, subject) == group
