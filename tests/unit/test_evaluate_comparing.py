"""Is it better? What the same questions show, and no more than that."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from backend import i18n
from backend.errors import DataError, NotFoundError
from backend.evaluate import comparing, comparing_words, statistics
from backend.evaluate.comparing import Pair
from backend.evaluate.pairing import Counts
from backend.evaluate.records import Run, Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import Workspace
from tests.support.past_runs import answers, kept


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def pair(runs: EvaluateStore, a: int, b: int, subjects: list[str] | None = None) -> Pair:
    (found,) = comparing.compare(runs, [a, b], subjects).pairs
    return found


def imported(runs: EvaluateStore, model: str, scores: dict[str, float | None], version: str = "") -> int:
    """A run of which only scores are there."""
    run = runs.begin(Run(0, model, "opencompass", "", model, "ceval", "", source="import"))
    runs.put_scores(run, [Score(name, value, version=version) for name, value in scores.items()])
    runs.end(run, "done")
    return run


def codes(found: Pair) -> list[str]:
    return [notice["code"] for notice in found.notices]


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (5, 5), (2, 9), (7, 0), (30, 50)])
def test_the_sign_test_is_the_sum_of_the_binomial(first: int, second: int) -> None:
    m, k = first + second, min(first, second)
    exact = min(Fraction(1), 2 * sum(Fraction(math.comb(m, i), 2**m) for i in range(k + 1)))
    assert statistics.sign_test(first, second) == pytest.approx(float(exact), rel=1e-15)


def test_the_sign_test_holds_for_fifteen_thousand_questions() -> None:
    assert statistics.sign_test(7500, 7500) == 1.0
    assert 0.04 < statistics.sign_test(7377, 7623) < 0.05, "two standard deviations of a fair coin"
    assert statistics.sign_test(0, 15_000) == 0.0, "less than a float can say"
    assert 0 < statistics.sign_test(10, 1000) < 1e-250


@pytest.mark.parametrize(("n", "different"), [(100, 20), (1000, 150), (14_042, 2000)])
def test_a_difference_as_small_as_can_be_shown_needs_as_many_questions(n: int, different: int) -> None:
    smallest = statistics.smallest_shown(different, n)
    assert statistics.needed(smallest, different, n) == pytest.approx(n, abs=1)
    assert statistics.smallest_shown(different, 4 * n) < smallest
    assert statistics.needed(0.0, different, n) is None


def test_clearly_better_and_clearly_worse_are_said_with_an_interval(runs: EvaluateStore) -> None:
    a = kept(runs, "base", {"sums": "w" * 40 + "r" * 60, "poems": "r" * 20})
    b = kept(runs, "tuned", {"sums": "r" * 90 + "w" * 10, "poems": "r" * 20})
    found = pair(runs, a, b)
    assert found.verdict == "better"
    assert (found.all.n, found.all.a, found.all.b) == (120, pytest.approx(80 / 1.2), pytest.approx(110 / 1.2))
    assert found.all.low is not None
    assert found.all.high is not None
    assert 0 < found.all.low < (found.all.difference or 0) < found.all.high
    assert comparing_words.sentence(found).startswith(
        "tuned is better on these questions than base: 91.7 % against 66.7 %"
    )
    assert comparing_words.warning(found) == ""
    back = pair(runs, b, a)
    assert back.verdict == "worse"
    assert (back.all.low, back.all.high) == (pytest.approx(-found.all.high), pytest.approx(-found.all.low))
    assert [row.subject for row in comparing.worse(back)] == ["sums"]
    assert comparing.worse(found) == []
    assert runs.different(b, a, "a_only", subject="sums")[1] == 40, "questions right before and wrong now"


def test_too_few_questions_are_said_to_be_too_few_and_how_many_it_takes(runs: EvaluateStore) -> None:
    a = kept(runs, "base", {"sums": "r" * 10 + "w" * 10})
    b = kept(runs, "tuned", {"sums": "r" * 12 + "w" * 8})
    found = pair(runs, a, b)
    assert found.verdict == "too_few"
    assert found.needed is not None
    assert found.needed > 20
    assert "Too few questions" in comparing_words.sentence(found)
    said = comparing_words.warning(found)
    assert "20 questions show a difference from about" in said
    assert f"{found.needed:,} questions" in said


def test_many_questions_without_a_difference_are_alike_within_what_they_show(runs: EvaluateStore) -> None:
    a = kept(runs, "base", {"sums": "r" * 1000 + "w" * 1000})
    b = kept(runs, "quantized", {"sums": "w" * 10 + "r" * 1000 + "w" * 990})
    found = pair(runs, a, b)
    assert found.verdict == "same_within"
    assert found.smallest is not None
    assert found.smallest < 5
    assert found.all.p == 1.0
    assert comparing_words.sentence(found).startswith("No difference beyond chance between base and quantized")
    assert "smaller ones may be there" in comparing_words.warning(found)


def test_an_interval_that_leaves_out_zero_is_not_believed_against_the_sign_test() -> None:
    believed = comparing.row("x", Counts(both=50, a_only=0, b_only=6, neither=4))
    doubted = comparing.row("x", Counts(both=50, a_only=0, b_only=5, neither=5))
    assert (believed.sure, believed.p) == (1, pytest.approx(2 / 64))
    assert (doubted.sure, doubted.p) == (0, pytest.approx(2 / 32))
    assert doubted.low is not None
    assert doubted.low > 0, "Newcombe alone would say better"


def test_a_difference_that_only_the_interval_sees_is_called_open_and_why(runs: EvaluateStore) -> None:
    a = kept(runs, "base", {"sums": "r" * 9 + "w" * 8})
    b = kept(runs, "tuned", {"sums": "w" + "r" * 15 + "w"})
    found = pair(runs, a, b)
    assert (found.verdict, found.all.sure, found.all.leaning) == ("too_few", 0, 1)
    said = comparing_words.sentence(found)
    assert said.startswith("tuned looks better than base, but these questions do not settle it: 88.2 % against 52.9 %")
    assert said.endswith(
        "Only 8 of them came out differently, 7 in favour of tuned; chance alone splits them as unevenly 7 times in 100."
    )
    assert "Too few questions" not in said
    back = comparing_words.sentence(pair(runs, b, a))
    assert back.startswith("base looks worse than tuned, but")
    assert "7 in favour of tuned" in back


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ({"evaluator": "opencompass"}, "compare_other_evaluator"),
        ({"set_version": "v2"}, "compare_other_version"),
    ],
)
def test_what_cannot_be_compared_says_why_and_gives_no_number(
    runs: EvaluateStore, about: dict[str, Any], code: str
) -> None:
    a = kept(runs, "base", {"sums": "rw"})
    found = pair(runs, a, kept(runs, "tuned", {"sums": "rw"}, **about))
    assert found.refused is not None
    assert (found.verdict, found.refused["code"], found.all.difference) == ("refused", code, None)
    assert comparing_words.sentence(found)


def test_runs_without_a_common_question_are_not_compared(runs: EvaluateStore) -> None:
    found = pair(runs, kept(runs, "base", {"sums": "rw"}), kept(runs, "tuned", {"poems": "rw"}))
    assert found.refused is not None
    assert found.refused["code"] == "compare_nothing_shared"
    assert (found.only_a, found.only_b) == (2, 2)


def test_what_else_was_different_is_told(runs: EvaluateStore) -> None:
    a = kept(runs, "base", {f"s{n}": "rw" for n in range(12)}, settings={"shots": 0, "limit": 0}, version="1")
    b = kept(runs, "tuned", {f"s{n}": "rww" for n in range(12)}, settings={"shots": 5, "limit": 0}, version="2")
    found = pair(runs, a, b)
    assert codes(found) == [
        "compare_settings_differ",
        "compare_program_differs",
        "compare_many_subjects",
        "compare_not_shared",
    ]
    assert found.notices[0]["params"]["names"] == "shots 0 / 5"
    assert (found.only_a, found.only_b) == (0, 12)
    assert codes(pair(runs, a, a)) == ["compare_many_subjects"]


def test_only_some_subjects_are_compared_where_that_is_asked(runs: EvaluateStore) -> None:
    a = kept(runs, "base", {"sums": "rw", "poems": "rr"})
    b = kept(runs, "tuned", {"sums": "rr", "poems": "ww"})
    found = pair(runs, a, b, ["poems"])
    assert [row.subject for row in found.subjects] == ["poems"]
    assert (found.all.a, found.all.b, found.all.n) == (100.0, 0.0, 2)


def test_scores_without_answers_have_a_difference_and_no_interval(runs: EvaluateStore) -> None:
    a = imported(runs, "base", {"ceval-law": 50.0, "ceval-logic": 40.0, "ceval-art": None})
    b = imported(runs, "tuned", {"ceval-law": 60.0, "ceval-logic": 50.0, "ceval-art": 90.0, "ceval-new": 1.0})
    found = pair(runs, a, b)
    assert (found.verdict, found.all.difference, found.all.low) == ("no_interval", 10.0, None)
    assert codes(found) == ["compare_no_answers"]
    assert [(row.subject, row.difference) for row in found.subjects] == [
        ("ceval-law", 10.0),
        ("ceval-logic", 10.0),
        ("ceval-art", None),
    ]
    assert comparing_words.sentence(found).startswith("tuned has +10.0 points against base")
    assert comparing.worse(found) == []


def test_subjects_of_another_version_are_left_out_and_named(runs: EvaluateStore) -> None:
    a = imported(runs, "base", {"ceval-law": 50.0}, version="a110a1")
    b = imported(runs, "tuned", {"ceval-law": 60.0, "ceval-logic": 50.0}, version="ffffff")
    found = pair(runs, a, b)
    assert codes(found) == ["compare_prompts_differ"]
    assert found.refused is not None
    assert found.refused["code"] == "compare_nothing_shared"
    for run, version in ((a, "a110a1"), (b, "ffffff")):
        runs.put_answers(run, [*answers("ceval-law", "rw"), *answers("ceval-logic", "rw")])
        runs.put_scores(run, [Score("ceval-law", 50.0, 2, version), Score("ceval-logic", 50.0, 2)])
    found = pair(runs, a, b)
    assert [row.subject for row in found.subjects] == ["ceval-logic"]
    assert "ceval-law" in found.notices[0]["params"]["names"]


def test_the_first_is_compared_with_each_other_one(runs: EvaluateStore) -> None:
    ids = [kept(runs, name, {"sums": "rw"}) for name in ("base", "tuned", "base")]
    found = comparing.compare(runs, ids)
    assert [(each.a.id, each.b.id) for each in found.pairs] == [(ids[0], ids[1]), (ids[0], ids[2])]
    assert f"base (#{ids[2]})" in comparing_words.sentence(found.pairs[1])
    with pytest.raises(DataError) as caught:
        comparing.compare(runs, ids[:1])
    assert caught.value.code == "compare_one"
    with pytest.raises(NotFoundError):
        comparing.compare(runs, [ids[0], 999])


def test_every_verdict_has_a_sentence_in_both_languages(runs: EvaluateStore) -> None:
    found = pair(runs, kept(runs, "base", {"sums": "rw"}), kept(runs, "tuned", {"sums": "rr"}))
    for language in ("en", "zh_CN"):
        i18n.use(language)
        said = comparing_words.sentence(found)
        assert "{" not in said
        assert "tuned" in said
