"""The practice of the later stages: every answer can be read out of what stands before it, and is the right one."""

from __future__ import annotations

import json
import random
import re

import pytest

from jobs.starter import choice, persona, practice, tools
from jobs.starter.dialogue import Dialogue, Lang, held_out

LANGS: tuple[Lang, Lang] = ("en", "zh")


def many(make: object, n: int = 150) -> list[Dialogue]:
    rng = random.Random(5)
    assert callable(make)
    return [make(rng, LANGS[i % 2], False) for i in range(n)]


def test_what_a_drill_answers_stands_in_the_conversation_before_it() -> None:
    for one in many(practice.drill, 400):
        before = ""
        for role, text in one.turns:
            if role == "user":
                before += text + "\n"
            elif text.startswith("{"):
                assert all(key in before and value in before for key, value in json.loads(text).items())
            else:
                named = re.fullmatch(r"(.+) \(([A-D])\)", text)  # an option and its letter
                assert text in before or (named and named[1] in before and named[2] in before), (before, text)
        assert not held_out(one.key)


def test_a_lettered_list_is_read_in_both_directions() -> None:
    lettered = [d for d in many(practice.drill, 600) if re.search(r"(^|[\n (])A[.):]", d.turns[0][1])]
    assert len(lettered) > 50
    for one in lettered:
        options = dict(re.findall(r"\(?([A-D])[.):] (.*?)(?=(?:\s\(?[A-D][.):] )|\n|$)", one.turns[0][1]))
        letters = [text[-2] for role, text in one.turns if role == "assistant" and re.search(r" \([A-D]\)$", text)]
        assert set(letters) <= set(options), one
    answers = [text for d in lettered for role, text in d.turns if role == "assistant"]
    assert {a[-2] for a in answers if a.endswith(")")} >= set("ABCD")
    assert any(not a.endswith(")") for a in answers)


def test_the_letter_of_a_quiz_is_that_of_the_right_option() -> None:
    rng = random.Random(3)
    found = 0
    for i in range(300):
        one = choice.plain(rng, LANGS[i % 2])
        options = dict(
            line.split(". ", 1) for line in one.question.split("\n") if line[:3] in ("A. ", "B. ", "C. ", "D. ")
        )
        if len(options) == 4:
            found += 1
            (letter,) = [a for a in choice.LETTERS if one.answer == choice.ANSWER.format(text=one.short, letter=a)]
            assert options[letter] == one.short, one
    assert found > 200


def test_a_quiz_asks_several_times_and_keeps_what_is_held_out_apart() -> None:
    made = many(practice.quiz)
    assert max(len(d.turns) for d in made) == 10
    assert all(d.skill == "choice" and not held_out(d.key) for d in made)


@pytest.mark.parametrize("make", [practice.calls, practice.react_calls])
def test_every_function_that_is_called_is_one_of_those_offered(make: object) -> None:
    calls, unknown_names = 0, 0
    usual = {name for kind in tools.KINDS for name in kind.names}
    for one in many(make):
        for role, text in one.turns:
            match = re.match(r'\{"name": "([^"]+)", "parameters"', text) or re.search(r"\nAction: (\S+)\n", text)
            if role != "assistant" or match is None:
                continue
            calls += 1
            name = match[1]
            unknown_names += name not in usual
            assert name in one.system or name in {tool["name"] for tool in one.tools}
    assert calls > 200
    assert 0.2 < unknown_names / calls < 0.7, "names that say nothing are there, and usual ones too"


def test_several_things_are_told_and_all_of_them_asked_for() -> None:
    for one in many(practice.memories):
        assert len([role for role, _ in one.turns if role == "user"]) >= 4
        assert not held_out(one.key)


def test_a_persona_lasts_over_the_turns_and_a_rule_is_kept_in_each() -> None:
    made = many(persona.over_turns)
    assert min(len(d.turns) for d in made) == 4
    rule = re.compile(r"End every answer with '?([^'.]+)|每个回答都以(.+?)结尾")
    ends = [(d, match[1] or match[2]) for d in many(persona.over_turns, 1500) if (match := rule.search(d.system))]
    assert len(ends) > 5
    for one, word in ends:
        assert all(text.rstrip(".。").endswith(word) for role, text in one.turns if role == "assistant"), one


def test_every_letter_that_is_named_is_that_of_the_option_beside_it() -> None:
    named = 0
    for one in many(practice.letters, 300):
        listed = "\n".join(text for role, text in one.turns[:1])
        options = {
            text: letter for letter, text in re.findall(r"^\(?([A-H])(?:\. |\) |: )(.+)$", listed, flags=re.MULTILINE)
        }
        for role, text in one.turns:
            if role != "assistant":
                continue
            pairs = re.findall(r"(.+?) \(([A-H])\)(?:, |，|$)", text)
            assert pairs, text
            for option, letter in pairs:
                assert options[option] == letter, one
                named += 1
    assert named > 1000
