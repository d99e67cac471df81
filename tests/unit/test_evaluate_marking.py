"""What is read out of an answer, and whether it is right."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from backend.errors import DataError
from backend.evaluate import bundled, marking, patterns, wording
from backend.evaluate.choosing import chosen
from backend.evaluate.marking import mark
from backend.evaluate.questions import Question, Rule

CITIES = ("London", "Paris", "Rome", "Berlin")
HAN = ("伦敦", "巴黎", "罗马", "柏林")


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    yield
    patterns.close()


def asked(rule: Rule, answer: str, *accept: str) -> Question:
    return Question("subject", 0, "What is it?", rule, answer, accept=accept)


@pytest.mark.parametrize(
    "said",
    [
        "B", "b", "(b)", "[B]", "B.", "**B**", "`B`", "Ｂ", "（B）", "Option B", "B)", "B\n\nIt is in France.",
        "Paris", "paris.", "“Paris”", "Paris (B)", "B. Paris", "(B) Paris", "B: Paris", "B Paris", "B.Paris",
        "The answer is B.", "The correct answer is (B) Paris.", "Answer: B", "answer: b", "The best option is b.", "The answer is Paris.",
        "I choose B.", "I would go with option B, because of the tower.", "B is correct.", "B is the right answer", "It must be option B",
        "A. London\nB. Paris\nC. Rome\nD. Berlin\n\nThe answer is B", "The capital of France is Paris.", "\\boxed{B}", "$\\boxed{\\text{B}}$",
        "<think>Is it A? The answer is A, no…</think>\n\nB", "London is in England. So the answer is B.",
        "At first I thought the answer is A. The final answer is B.", "The final answer is B, not A.", "B because A is in England, as is known.",
        "A city in France: Paris", "A: no, so the answer is B", "B\n\nExplanation: option A is wrong since London is in England.",
        "**Answer:** B. Option A is incorrect, and so is option C.", "Correct answer: **B) Paris**\n\nA) London is in England.", "B (Paris)",
        "B. Paris\n\nExplanation:\nA. London is in England.\nC. Rome is in Italy.", "The capital of France is Paris.\n\n**B. Paris**",
        "I think the answer is B (Paris), not A (London).", "The answer is not A. It is B.", "The answer is Paris (B).", "Final Answer: B",
        "The answer is:\n\nB", "My choice is option B", "Answer A is wrong, answer B is right", "The right option is B; C is not correct.",
    ],
)  # fmt: skip
def test_an_option_is_recognised_in_the_ways_in_which_models_say_it(said: str) -> None:
    assert chosen(said, CITIES) == "B"


@pytest.mark.parametrize(
    "said",
    [
        "答案是B", "答案：B", "答案为（B）。", "正确答案是：B。", "选B", "应选B。", "我选择 B", "故选B。", "B选项正确", "B是正确的", "选项B", "B、巴黎",
        "B. 巴黎", "巴黎 (B)", "巴黎", "答案是巴黎。", "法国的首都是巴黎。", "不选A，选B", "A不对，答案是B", "因此，答案是 B。", "最终答案：B", "Ｂ．巴黎",
        "A选项是英国的，C选项是意大利的，因此选B。", "答案是 B，A 不正确。", "根据题意，应选择B选项。", "选项A错误，正确选项为B", "选项：B", "选择题答案：B",
    ],
)  # fmt: skip
def test_an_option_is_recognised_in_chinese(said: str) -> None:
    assert chosen(said, HAN) == "B"


@pytest.mark.parametrize(
    "said",
    [
        "", "   ", "A city in France", "The answer is a city.", "I do not know that.", "Sorry, I do not know that. It may be Paris.", "我不知道。",
        "无法确定", "None of these.", "A or B", "It is A or B.", "Either option A or option C", "option A or C", "The answer is A. The answer is B.",
        "Paris (C)", "B. Rome", "London (A)\nParis (B)", "A, B", "London or Paris", "E", "It is not London", "C is not correct",
        "Bread", "<think>The answer is B", "A. London\nB. Paris\nC. Rome\nD. Berlin", "Thailand",
        "The answer is Paris (C).", "(A) London is wrong. (B) Paris is right.", "A. London, B. Paris, C. Rome, D. Berlin", "A or option C",
    ],
)  # fmt: skip
def test_an_answer_that_names_no_option_or_several_is_not_read(said: str) -> None:
    marked = mark(Question("s", 0, "?", "choice", "B", CITIES), said)
    assert (marked.taken, marked.outcome) == ("", "unread")


def test_the_article_is_no_letter_but_a_letter_at_an_end_is() -> None:
    assert chosen("A city that everybody knows: Rome", CITIES) == "C"
    assert chosen("I choose A.", CITIES) == "A"
    assert chosen("I say A", CITIES) == "A"
    assert chosen("I think it is Rome", (*CITIES, "Oslo", "Bern", "Madrid", "Lima", "Quito")) == "C"


def test_the_longest_option_counts_where_one_lies_within_another() -> None:
    options = ("New York", "New York City", "York", "Guinea")
    assert chosen("It is New York City.", options) == "B"
    assert chosen("It is New York.", options) == "A"
    assert chosen("It is York.", options) == "C"
    assert chosen("8", ("18", "8", "80", "1")) == "B"
    assert chosen("3 + 5 = 8", ("18", "8", "80", "5.8")) == "B"
    assert chosen("It is 18", ("18", "8", "80", "1")) == "A"


def test_two_options_of_the_same_text_are_told_apart_only_by_their_letters() -> None:
    options = ("Paris", "Paris", "Rome", "Bern")
    assert chosen("Paris", options) == ""
    assert chosen("Paris (B)", options) == "B"


def test_options_that_are_letters_themselves_are_not_mixed_up() -> None:
    symbols = ("H", "C", "O", "N")
    assert chosen("C (B)", symbols) == "B"
    assert chosen("The symbol is C.", symbols) == "B"
    # Asked for a letter, a bare one is that letter.
    assert chosen("C", symbols) == "C"


def test_an_option_that_says_that_there_is_none_can_be_chosen() -> None:
    assert chosen("D. None of the above", ("1", "2", "3", "None of the above")) == "D"
    assert chosen("None of the above", ("1", "2", "3", "None of the above")) == "D"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_bundled_question_is_marked_right_for_its_solution_and_wrong_for_another_option(lang: str) -> None:
    for name, rows in bundled.questions().items():
        for question in rows if name.endswith(lang) else ():
            for said in (wording.solution(question), question.answer, wording.option(question, question.answer)):
                assert mark(question, said).outcome == "right", (question, said)
            other = "ABCD"[("ABCD".index(question.answer) + 1) % 4]
            for said in (f"{wording.option(question, other)} ({other})", other, wording.option(question, other)):
                assert mark(question, said).outcome == "wrong", (question, said)


def test_an_exact_answer_may_differ_in_width_case_blanks_and_punctuation() -> None:
    for said in ("New Delhi", " new  delhi. ", "“New Delhi”", "ＮＥＷ ＤＥＬＨＩ！", "**New Delhi**"):
        assert mark(asked("exact", "New Delhi"), said).outcome == "right", said
    assert mark(asked("exact", "北京"), "北 京。").outcome == "right"
    assert mark(asked("exact", "New Delhi"), "It is New Delhi").outcome == "wrong"
    assert mark(asked("exact", "yes", "true"), "True").outcome == "right"
    assert mark(asked("exact", "yes"), " \n").outcome == "unread"


def test_numbers_are_compared_by_their_value() -> None:
    for said in ("1000", "1,000", "1000.0", "１０００", "1,000."):
        assert mark(asked("exact", "1,000"), said).outcome == "right", said
    for said in ("100", "1,00", "10,000", "-1000", "1000 m"):
        assert mark(asked("exact", "1000"), said).outcome == "wrong", said
    assert not marking.same("nan", "infinity")


def test_a_text_that_must_occur_is_found_as_a_word() -> None:
    assert mark(asked("contains", "art"), "He likes art, too.").outcome == "right"
    assert mark(asked("contains", "art"), "He likes parties.").outcome == "wrong"
    assert mark(asked("contains", "8"), "There are 18 of them.").outcome == "wrong"
    assert mark(asked("contains", "1000"), "There are 1,000 of them.").outcome == "right"
    assert mark(asked("contains", "北京"), "中国的首都是北京市。").outcome == "right"
    marked = mark(asked("contains", "colour", "color"), "The COLOR is red")
    assert (marked.taken, marked.outcome) == ("color", "right")
    assert mark(asked("contains", "C++"), "I write C++.").outcome == "right"


def test_a_pattern_finds_what_it_asks_for() -> None:
    marked = mark(asked("regex", r"\b\d{4}-\d\d-\d\d\b"), "It was on 1969-07-20, a Sunday.")
    assert (marked.taken, marked.outcome) == ("1969-07-20", "right")
    assert mark(asked("regex", r"\d+"), "none").outcome == "wrong"
    assert mark(asked("regex", "colou?r$", "(?i)FARBE"), "Farbe").outcome == "right"
    assert mark(asked("regex", "红|赤"), "天空是红色的 \ud83d").outcome == "right"


def test_a_pattern_that_never_ends_is_ended_and_the_next_one_is_searched() -> None:
    began = time.monotonic()
    marked = mark(asked("regex", r"^(\w+\s?)*$"), "word " * 20 + "and then a sign that does not fit: §")
    assert (marked.taken, marked.outcome, marked.note["code"]) == ("", "unread", "pattern_slow")
    assert time.monotonic() - began < 5
    assert mark(asked("regex", "fit"), "that does not fit").outcome == "right"


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("(a", "pattern_bad"), ("[z-a]", "pattern_bad"), ("a{99999999999}", "pattern_bad"), (".*", "pattern_empty"), ("(x)?", "pattern_empty"),
        ("(a+)+$", "pattern_slow"), (r"^(\w+)*$", "pattern_empty"), (r"^(\d+)+$", "pattern_slow"), (r"(x|xx)+y", "pattern_slow"),
    ],
)  # fmt: skip
def test_a_pattern_that_cannot_be_used_is_refused_before_anything_is_asked(pattern: str, code: str) -> None:
    with pytest.raises(DataError) as refused:
        patterns.check(pattern)
    assert refused.value.code == code
    assert pattern in str(refused.value)


def test_ordinary_patterns_are_taken() -> None:
    for pattern in (
        r"\d+",
        r"^(yes|no)$",
        r"(?i)paris",
        r"\b[A-D]\b",
        r"答案(是|为)\s*\d+",
        r"a.*b.*c",
        r"^\s*\S+\s*$",
    ):
        patterns.check(pattern)


def test_what_a_judge_must_decide_is_not_decided_here() -> None:
    assert mark(asked("judge", "a long story"), "some story") == marking.Marked("some story", "unread")


def test_a_choice_is_asked_with_its_options_and_an_instruction_in_its_language() -> None:
    question = Question("s", 0, "What is it?", "choice", "B", CITIES, system="Be brief.")
    assert wording.messages(question) == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": "What is it?\nA. London\nB. Paris\nC. Rome\nD. Berlin\nAnswer with the letter.",
        },
    ]
    chinese = Question("s", 0, "GPU 是什么的缩写？", "choice", "A", HAN)
    assert wording.asked(chinese).endswith("D. 柏林\n请回答字母。")
    assert wording.shown(chinese).endswith("D. 柏林")
    assert wording.messages(asked("exact", "42"))[0]["content"] == "What is it?"
    assert wording.language_of("The word 苹果 means what?") == "en"
    json.dumps(wording.messages(chinese))


def test_solved_examples_stand_before_a_question_as_turns() -> None:
    example = Question("s", 0, "Which is a city?", "choice", "D", CITIES)
    sent = wording.messages(Question("s", 1, "What is it?", "choice", "B", CITIES), [example])
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"] == "Berlin (D)"
    assert sent[0]["content"].endswith("Answer with the letter.")
