"""The difference of two answers: nothing is lost, words and Chinese characters are the pieces, long texts stay quick."""

from __future__ import annotations

import random
import time

import pytest

from backend.compare.diff import MOST_PIECES, ONLY_A, ONLY_B, SAME, diff


def marked(a: str, b: str) -> str:
    signs = {SAME: "{}", ONLY_A: "[-{}]", ONLY_B: "[+{}]"}
    return "".join(signs[part.kind].format(part.text) for part in diff(a, b).parts)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("The cat sat.", "The dog sat.", "The [-cat][+dog] sat."),
        ("小麦是一种植物。", "小麦是重要的植物。", "小麦是[-一种][+重要的]植物。"),
        ("用 Python 写", "用 Rust 写", "用 [-Python][+Rust] 写"),
        ("big red house", "small blue house", "[-big red][+small blue] house"),
        ("I don't know", "I do know", "I [-don't][+do] know"),
        ("one\ntwo", "one\nthree\ntwo", "one\n[+three\n]two"),
        ("", "new", "[+new]"),
        ("same", "same", "same"),
        ("", "", ""),
    ],
)
def test_words_and_characters_are_marked(a: str, b: str, expected: str) -> None:
    assert marked(a, b) == expected


def test_each_side_is_its_whole_text_whatever_it_holds() -> None:
    chance = random.Random(4)
    pieces = ["a", "bc", " ", "  ", "\n", "字", "。", "😀", "don't", "<b>", "1.5", "é", "\t", "，"]
    for _ in range(300):
        a, b = ("".join(chance.choices(pieces, k=chance.randrange(30))) for _ in range(2))
        found = diff(a, b)
        assert "".join(part.text for part in found.side(ONLY_A)) == a
        assert "".join(part.text for part in found.side(ONLY_B)) == b
        assert found.same == (a == b)


def test_likeness_counts_words_and_not_punctuation() -> None:
    found = diff("One two three, four.", "One two three - five")
    assert (found.only_a, found.only_b, found.likeness) == (1, 1, 0.75)
    assert diff("", "").likeness == 1.0
    assert diff("a", "").likeness == 0.0


@pytest.mark.parametrize("between", [" ", ". ", ""])
def test_long_answers_are_compared_in_a_moment_and_lose_nothing(between: str) -> None:
    chance = random.Random(5)
    texts = [between.join(f"w{chance.randrange(50)}" for _ in range(12 * MOST_PIECES)) for _ in range(2)]
    begin = time.monotonic()
    found = diff(*texts)
    assert time.monotonic() - begin < 10  # by words it would be minutes
    assert ["".join(part.text for part in found.side(kind)) for kind in (ONLY_A, ONLY_B)] == texts


def test_one_changed_word_of_a_long_answer_is_found() -> None:
    sentence = "Wheat number {} grows in the field. "
    long = "".join(sentence.format(n) for n in range(500))
    found = diff(long, long.replace("number 250 grows", "number 250 withers"))
    assert [(part.kind, part.text) for part in found.parts if part.kind != SAME] == [
        (ONLY_A, "grows"),
        (ONLY_B, "withers"),
    ]
