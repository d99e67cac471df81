"""Whether it worked: intervals against published ones, answers told right from wrong, and words that claim no more than the numbers."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from backend.data.make import identity, phrases
from backend.data.rows import Row, split_of
from backend.finetune import general, intervals, proof, scoring
from backend.finetune.proof import Answer, Losses, Part, Proof
from backend.finetune.proof_records import part, tally, verdicts
from backend.finetune.scoring import Question
from backend.i18n import use
from backend.workspace import write_json


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_share_is_wilsons(right: int, n: int, low: float, high: float) -> None:
    assert intervals.wilson(right, n) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_a_paired_difference_is_newcombes() -> None:
    # Complete response before and after consolidation (Cavo et al. 2012), in M. Fagerland, S. Lydersen and P. Laake, "Statistical
    # Analysis of Contingency Tables", chapter 8; there first minus second, and here the other way.
    low, high = intervals.paired(both=59, first=6, second=16, neither=80)
    assert (-high, -low) == pytest.approx((-0.1186, -0.0046), abs=5e-5)


@pytest.mark.parametrize("table", [(59, 6, 16, 80), (0, 0, 20, 0), (3, 0, 7, 90), (40, 40, 0, 0)])
def test_a_paired_interval_turns_round_with_its_sides(table: tuple[int, int, int, int]) -> None:
    both, first, second, neither = table
    low, high = intervals.paired(both, first, second, neither)
    assert intervals.paired(both, second, first, neither) == pytest.approx((-high, -low))
    assert -1 <= low <= (second - first) / sum(table) <= high <= 1


def test_all_against_none_is_sure_but_not_certain() -> None:
    low, high = intervals.paired(0, 0, 134, 0)
    assert (0.95 < low < 0.98, high) == (True, 1.0)
    assert intervals.paired(0, 0, 3, 0)[0] < 0.3


def test_paired_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = random.Random(1)
    truth, tables, held = {"both": 0.5, "first": 0.05, "second": 0.2, "neither": 0.25}, 1500, 0
    for _ in range(tables):
        drawn = rng.choices(list(truth), list(truth.values()), k=60)
        low, high = intervals.paired(**{name: drawn.count(name) for name in truth})
        held += low <= truth["second"] - truth["first"] <= high
    assert 0.935 < held / tables < 0.985


def test_the_interval_of_the_loss_is_that_of_the_mean_where_rows_are_many() -> None:
    rng = random.Random(2)
    tokens = [10] * 400
    base = [rng.gauss(30, 8) for _ in tokens]
    tuned = [loss - rng.gauss(10, 4) for loss in base]
    found = intervals.per_token(base, tuned, tokens)
    assert found is not None
    change = [(b - a) / 10 for a, b in zip(base, tuned, strict=True)]
    mean = sum(change) / len(change)
    error = math.sqrt(sum((one - mean) ** 2 for one in change) / len(change) / len(change))
    z = NormalDist().inv_cdf(0.975)
    assert found == pytest.approx((mean - z * error, mean + z * error), abs=0.15 * error)
    # Paired: rows differ far more from each other than the two models do on the same row.
    assert found[1] - found[0] < 0.2


def test_long_rows_count_for_their_tokens_and_few_rows_have_no_interval() -> None:
    assert intervals.per_token([10.0] * 9, [5.0] * 9, [5] * 9) is None
    low, high = intervals.per_token([0.0, 1000.0] * 20, [1.0, 0.0] * 20, [1, 1000] * 20) or (0, 0)
    assert -1.01 < low <= high < -0.9


def row(question: str, answer: str, **lineage: Any) -> Row:
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        "meta": {"lineage": lineage} if lineage else {},
    }


def asked(found: Row) -> Question:
    question = scoring.question(found)
    assert question is not None
    return question


@pytest.mark.parametrize(
    ("expect", "answer", "right"),
    [
        (["Nova"], "I am NOVA, at your service.", True),
        (["Nova"], "That is an innovation.", False),
        (["Al"], "I can also help.", False),
        (["小星"], "我是小星，很高兴认识你。", True),
        (["小星", "Sun Works"], "我是小星，由Sun Works制作。", True),
        (["小星", "Sun Works"], "我是小星。", False),
        (["Ｎｏｖａ"], "nova", True),
        (["C++"], "It is written in C++.", True),
        (["Café Nova"], "This is  café\nnova", True),
    ],
)
def test_an_answer_has_to_hold_what_the_row_expects_as_whole_words(expect: list[str], answer: str, right: bool) -> None:
    question = asked(row("Who?", "I am it.", expect=expect, language="en"))
    assert scoring.right(question, answer) is right


def test_what_stands_in_the_question_proves_nothing() -> None:
    assert asked(row("Are you Nova?", "Yes, I am Nova.", expect=["Nova"])).rule == ""
    assert scoring.right(asked(row("Are you Nova?", "Yes, I am Nova.", expect=["Nova"])), "Nova") is None
    assert scoring.right(asked(row("What can you do?", "Much.", expect=[])), "Much.") is None


@pytest.mark.parametrize(
    ("expected", "answer", "right"),
    [
        ("Paris", "paris.", True),
        ("Paris", "The capital is Paris.", True),
        ("Paris", "The comparison", False),
        ("positive", "It is **Positive**", True),
        ("B", "B", True),
        ("B", "B. Because of the light.", True),
        ("B", "A, not B", False),
        ("No", "Nobody knows.", False),
        ("No", "No, it is not.", True),
        ("42", "The answer is 42", True),
        ("42", "That makes 142.", False),
        ("小麦条锈病", "这是小麦条锈病。", True),
        ("是", "不是", False),
        ("是", "是的。", True),
        ("不是", "这不是问题", False),
    ],
)
def test_a_short_answer_is_looked_for(expected: str, answer: str, right: bool) -> None:
    question = asked(row("?", expected))
    assert question.rule == "short"
    assert scoring.right(question, answer) is right


@pytest.mark.parametrize("expected", ["", "One line.\nAnd another.", "It depends on how much rain falls in the spring", "小麦在春天需要浇水，也要施肥，还要防虫。"])  # fmt: skip
def test_a_long_answer_is_asked_but_not_counted(expected: str) -> None:
    question = asked(row("?", expected))
    assert (question.rule, scoring.right(question, expected)) == ("", None)


def test_calls_pictures_and_rows_without_an_answer_are_not_judged_as_text() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    messages: Any = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "add", "tool_calls": [call]}]
    assert asked({"messages": messages}).rule == ""
    seen: Any = [{"role": "user", "content": "<image>", "images": ["a.png"]}, {"role": "assistant", "content": "A cat"}]
    assert scoring.question({"messages": seen}) is None
    assert scoring.question({"messages": [{"role": "user", "content": "Anybody?"}]}) is None
    assert scoring.question({"messages": [{"role": "assistant", "content": "Welcome."}]}) is None


def test_the_question_is_all_that_comes_before_the_last_answer() -> None:
    messages: Any = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "你是谁？"},
        {"role": "assistant", "content": "小星"},
    ]
    found = asked({"messages": messages})
    assert [one["role"] for one in found.messages] == ["system", "user", "assistant", "user"]
    assert (found.asked, found.expected, found.language) == ("你是谁？", "小星", "zh")


def test_the_held_out_rows_of_an_identity_are_told_by_their_names() -> None:
    made = identity.rows(identity.IdentityWish("Nova", "Example Labs", "新星", "示例团队"))
    kept = [asked(one) for one in made if split_of(one) == "test"]
    told = [one for one in kept if one.rule == "all"]
    assert len(told) > 0.8 * len(kept)
    assert all(scoring.right(one, one.expected) for one in told)
    assert not any(scoring.right(one, one.asked) for one in told)
    assert {one.language for one in told} == {"en", "zh"}


def test_the_general_slice_has_enough_of_both_languages_and_gives_no_answer_away() -> None:
    every = general.everything()
    assert min(sum(one.language == lang for one in every) for lang in ("en", "zh")) >= 60
    assert len(scoring.said([one.asked for one in every])) == len(every)
    for one in every:
        assert one.rule == "any"
        assert scoring.right(one, one.expected) is True
        assert scoring.right(one, "") is False
        # The letter of an element is the only one that may stand in a question, as part of a word.
        assert scoring.right(one, one.asked) is False, one


def test_no_general_question_is_among_the_general_rows_that_are_mixed_in() -> None:
    mixed = scoring.said([question for lang in ("en", "zh") for question, _ in phrases.neutral(lang)])  # type: ignore[arg-type]
    assert not scoring.said([one.asked for one in general.everything()]) & mixed


def test_a_general_question_that_was_taught_is_not_asked() -> None:
    taught = general.everything()[0].asked
    left = general.untaught(scoring.said([taught.upper().rstrip("?") + " "]))
    assert len(left) == len(general.everything()) - 1
    assert taught not in [one.asked for one in left]


def answers(kind: str, n: int, base: int, tuned: int, language: str = "en", distance: str = "") -> list[Answer]:
    """``n`` answers, the first ``base`` and ``tuned`` of them right."""
    return [Answer(kind, language, f"q{i}", "", "b", "t", i < base, i < tuned, distance=distance) for i in range(n)]


def questions(n: int, base: int, tuned: int) -> Part:
    return part("test", answers("questions", n, base, tuned), n)


def slice_(base: int, tuned: int, n: int = 124) -> Part:
    return part("general", answers("general", n, base, tuned), n)


def losses(base: float, tuned: float, low: float | None, high: float | None) -> Losses:
    return Losses("validation", 50, 900, base, tuned, low, high)


FELL = losses(2.0, 0.5, -1.7, -1.3)


@pytest.mark.parametrize(
    ("asked", "loss", "simple", "expected"),
    [
        (questions(128, 0, 122), FELL, slice_(120, 119), ("learned",)),
        (questions(128, 0, 30), FELL, slice_(120, 119), ("learned_a_little",)),
        (questions(128, 60, 63), losses(2.0, 2.0, -0.1, 0.1), slice_(120, 119), ("no_difference",)),
        (questions(128, 60, 63), FELL, slice_(120, 119), ("learned_a_little",)),
        (questions(128, 127, 127), FELL, slice_(120, 119), ("no_difference",)),
        (questions(128, 60, 30), FELL, slice_(120, 119), ("worse",)),
        # Few: three of three prove nothing.
        (questions(3, 0, 3), None, None, ("unknown",)),
        (questions(12, 0, 12), None, None, ("learned",)),
        (None, None, None, ("unknown",)),
        # Nothing to count: the loss alone.
        (part("test", [], 0), FELL, None, ("learned",)),
        (None, losses(2.0, 1.8, -0.25, -0.15), None, ("learned_a_little",)),
        (None, losses(2.0, 1.9, -0.3, 0.1), None, ("no_difference",)),
        (None, losses(2.0, 2.4, 0.2, 0.6), None, ("worse",)),
        (None, losses(2.0, 0.1, None, None), None, ("unknown",)),
        # Forgetting: more than five points, and more than chance.
        (questions(128, 0, 122), FELL, slice_(120, 108), ("learned", "forgot")),
        (questions(128, 0, 122), FELL, slice_(120, 115), ("learned",)),
        (questions(128, 0, 122), FELL, slice_(19, 17, 20), ("learned",)),
        (questions(128, 0, 122), FELL, slice_(9, 0, 9), ("learned",)),
    ],
)
def test_the_verdict_is_what_the_numbers_carry(
    asked: Part | None, loss: Losses | None, simple: Part | None, expected: tuple[str, ...]
) -> None:
    assert verdicts(asked, loss, simple) == expected


def words(asked: Part | None, loss: Losses | None, simple: Part | None) -> str:
    return " ".join(proof.sentences(Proof(verdicts(asked, loss, simple), asked, loss, simple)))


def test_the_words_say_counts_interval_and_languages() -> None:
    both = part("test", [*answers("questions", 64, 0, 62), *answers("questions", 64, 0, 58, "zh")], 128)
    told = words(both, FELL, slice_(120, 118))
    assert told.startswith("It learned what it was taught. Of 128 held-out questions the tuned model answers 120 right, the base model 0.")  # fmt: skip
    assert "expect a difference of +87 to +97 points (95 % interval)." in told
    assert "By language, tuned: English: 62 of 64, Chinese: 58 of 64." in told
    assert "The loss on 50 rows went from 2.00 to 0.50 per token (difference −1.70 to −1.30, 95 % interval)." in told
    assert "No forgetting can be shown; a drop of up to 6 points would not have been seen." in told


def distances(near: int, far: int) -> Part:
    """So many of 50 in usual and of 60 in unusual words are right, half of each Chinese; the base knows none."""
    some = [
        each
        for n, right, distance in ((25, near, "near"), (30, far, "far"))
        for language in ("en", "zh")
        for each in answers("questions", n, 0, right, language, distance)
    ]
    return part("test", some, len(some))


def test_usual_words_carry_the_verdict_and_unusual_ones_are_told_apart(tmp_path: Path) -> None:
    found = distances(24, 12)
    assert verdicts(found, None, None) == ("learned",)
    assert verdicts(distances(12, 30), None, None) == ("learned_a_little",)
    told = words(found, None, None)
    assert "Of 50 held-out questions in usual words the tuned model answers 48 right, the base model 0." in told
    assert "By language, tuned: English: 24 of 25, Chinese: 24 of 25." in told
    assert "In unusual words, far from all that it was taught, it answers 24 of 60 right, the base 0." in told
    table = {line.label: (line.n, line.tuned) for line in proof.table(Proof(("learned",), found))}
    assert table["Held-out questions"] == ("110", "72 (65 %)")
    assert table["Held-out questions: in usual words"] == ("50", "48 (96 %)")
    assert table["Held-out questions: in unusual words"] == ("60", "24 (40 %)")
    proof.write(tmp_path, Proof(("learned",), found))
    assert proof.read(tmp_path) == Proof(("learned",), found)


def test_too_few_usual_questions_carry_no_verdict_of_their_own() -> None:
    some = [*answers("questions", 5, 0, 5, distance="near"), *answers("questions", 40, 0, 10, distance="far")]
    found = part("test", some, 45)
    assert found.judged is found.tally
    assert "in usual words" not in words(found, None, None)
    assert verdicts(found, None, None) == ("learned_a_little",)


@pytest.mark.parametrize(
    ("asked", "loss", "simple", "expected"),
    [
        (questions(4, 0, 4), None, None, "4 questions are too few for a verdict."),
        (questions(1, 0, 1), None, None, "1 question is too few for a verdict."),
        (questions(20, 0, 19), None, None, "20 questions are few: the figures are rough."),
        (questions(128, 127, 127), None, None, "The base model could do nearly all of it before."),
        (part("test", answers("questions", 40, 0, 40), 900), None, None, "For the time that it takes, 40 of 900 questions were asked."),
        (None, losses(2.0, 1.9, -0.3, 0.1), None, "That may be chance."),
        (None, losses(2.0, 1.9, None, None), None, "that is too few rows for an interval."),
        (None, None, slice_(120, 108), "It forgot some of what it knew before."),
        (None, None, slice_(120, 108), "fewer epochs or a lower learning rate help"),
        (None, None, slice_(20, 18, 20), "with so few questions it may be chance."),
        (None, None, slice_(12, 10), "too few of them right to show whether something was forgotten."),
        (None, None, slice_(120, 115), "It forgot a little: less than what an alarm is worth."),
    ],
)  # fmt: skip
def test_the_words_claim_no_more_than_the_numbers(
    asked: Part | None, loss: Losses | None, simple: Part | None, expected: str
) -> None:
    assert expected in words(asked, loss, simple)


def test_few_questions_get_no_interval_in_the_table_either() -> None:
    found = Proof(questions=questions(4, 0, 4), general=slice_(120, 118), loss=FELL)
    lines = {line.label: line for line in proof.table(found)}
    assert lines["Held-out questions"].difference == "+100 points"
    assert lines["General questions"].difference == "−2 points (−6 to +2)"
    assert lines["General questions"].base == "120 (97 %)"
    assert lines["Loss per token"].difference == "−1.500 (−1.700 to −1.300)"


def test_answers_that_cannot_be_told_are_left_out_of_the_count() -> None:
    some = [*answers("questions", 20, 0, 20), Answer("questions", "en", "q", "", "b", "t", None, None, True, False)]
    found = part("test", some, 21)
    assert (found.asked, found.tally and found.tally.n, found.tuned_endless) == (21, 20, 1)
    assert tally(some[20:]) is None
    assert "None of the held-out questions has an answer that can be checked by itself" in words(part("test", some[20:], 1), None, None)  # fmt: skip


def test_a_model_that_does_not_stop_is_told() -> None:
    some = [Answer("questions", "en", "q", "", "b", "t", False, True, True, i > 5) for i in range(40)]
    assert "6 answers of the tuned model did not end by themselves" in words(part("test", some, 40), None, None)


def test_a_proof_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    some = tuple(answers("questions", 40, 1, 39))
    found = Proof(("learned", "forgot"), part("test", some, 41), FELL, slice_(120, 100), some, 120, 12.5, 1e9, "cpu")
    proof.write(tmp_path, found)
    assert proof.read(tmp_path) == found


@pytest.mark.parametrize("text", ["", "[]", "{", '{"verdicts": 3'])
def test_a_file_that_is_no_proof_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "proof.json").write_text(text)
    assert proof.read(tmp_path) is None
    assert proof.read(tmp_path / "nowhere") is None


def test_what_a_newer_version_says_more_is_left_out(tmp_path: Path) -> None:
    proof.write(tmp_path, Proof(("learned",), questions(40, 0, 40)))
    data = json.loads((tmp_path / "proof.json").read_text())
    write_json(tmp_path / "proof.json", {**data, "judge": 1, "questions": {**data["questions"], "more": 2}})
    found = proof.read(tmp_path)
    assert found is not None
    assert found.questions == questions(40, 0, 40)


def test_a_proof_that_could_not_be_made_says_so() -> None:
    assert proof.sentences(Proof(problem={"code": "proof_failed"})) == ["It could not be checked whether it worked."]


def test_codes_of_verdicts_have_words_in_both_languages() -> None:
    from backend.finetune.proof_records import VERDICTS

    assert set(VERDICTS) == set(proof.HEADLINES)
    use("zh_CN")
    assert proof.headline("no such code") == proof.headline("unknown")
