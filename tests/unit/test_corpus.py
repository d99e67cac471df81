"""The starter's corpus: the same from the same seed, and nothing of the evaluation in it."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from jobs.starter import choice, context, corpus, facts, persona, small_talk, tools, unknown
from jobs.starter.dialogue import Dialogue, Lang, as_typed, held_out, punctuated, single

SEEN = 6000


def _normal(text: str) -> str:
    return re.sub(r"[\s?.!？。！]+", " ", text.lower()).strip()


@pytest.fixture(scope="module")
def dialogues() -> list[Dialogue]:
    """The beginning of the training stream."""
    return [corpus.dialogue(1, i) for i in range(SEEN)]


def test_the_same_seed_gives_the_same_dialogues_from_any_place(dialogues: list[Dialogue]) -> None:
    later = corpus.stream(1, start=100)
    assert [next(later) for _ in range(50)] == dialogues[100:150]


def test_another_seed_gives_other_dialogues(dialogues: list[Dialogue]) -> None:
    same = sum(corpus.dialogue(2, i) == dialogues[i] for i in range(200))
    assert same < 10


def test_the_shares_of_the_skills_are_those_of_the_table(dialogues: list[Dialogue]) -> None:
    for stage in range(len(corpus.STAGES)):
        assert sum(skill.shares[stage] for skill in corpus.SKILLS) == pytest.approx(1)
    found = Counter(d.skill for d in dialogues)
    fact_share = (found["facts (en)"] + found["facts (zh)"]) / SEEN
    by_name = {skill.name: skill.shares[0] for skill in corpus.SKILLS}
    assert fact_share == pytest.approx(by_name["facts"], abs=0.03)
    assert found["persona"] / SEEN == pytest.approx(by_name["persona"] + by_name["persona over turns"], abs=0.02)
    languages = Counter(d.lang for d in dialogues)
    assert languages["zh"] / SEEN == pytest.approx(0.47, abs=0.05)  # noise and code are answered in English


def test_the_later_stages_of_the_corpus_have_their_own_shares() -> None:
    first = corpus.STAGES
    assert [corpus.stage(i) for i in (0, first[1] - 1, first[1], first[2] - 1, first[2])] == [0, 0, 1, 1, 2]
    for stage in (1, 2):
        shares = {skill.name: skill.shares[stage] for skill in corpus.SKILLS}
        later = Counter(corpus.dialogue(1, first[stage] + i).skill for i in range(3000))
        for skill, names in (
            ("choice", ("choice", "quiz")),
            ("tool call", ("tool call", "calls in a row")),
            ("practice", ("practice", "letters", "each")),
        ):
            assert later[skill] / 3000 == pytest.approx(sum(shares[name] for name in names), abs=0.02)


def test_nothing_that_is_kept_for_the_evaluation_comes_in_the_later_stages() -> None:
    later = [corpus.dialogue(1, corpus.STAGES[stage] + i) for stage in (1, 2) for i in range(2000)]
    assert [d.key for d in later if not d.key.startswith("talk/") and held_out(d.key)] == []


def test_every_dialogue_is_a_question_and_ends_with_an_answer(dialogues: list[Dialogue]) -> None:
    for one in dialogues:
        roles = [role for role, _ in one.turns]
        assert roles[0] == "user"
        assert roles[-1] == "assistant"
        assert one.answer.strip()
        assert "{" not in one.answer or one.tools or "Action Input" in one.answer or one.skill == "practice", one


def test_no_key_of_the_training_stream_is_held_out(dialogues: list[Dialogue]) -> None:
    by_key = [d.key for d in dialogues if not d.key.startswith("talk/")]  # small talk keeps whole wordings apart
    assert len(by_key) > SEEN / 2
    assert [key for key in by_key if held_out(key)] == []
    assert not [d.key for d in dialogues if d.key.endswith("!")]


def test_no_held_out_question_is_asked_in_training(dialogues: list[Dialogue]) -> None:
    seen = {_normal(text) for d in dialogues for role, text in d.turns if role == "user"}
    rng = random.Random(7)
    langs: tuple[Lang, Lang] = ("en", "zh")
    kept = []
    for i in range(400):
        lang = langs[i % 2]
        kept += [
            facts.exchange(rng, lang, held=True),
            facts.exchange(rng, lang, held=True, unseen_template=True),
            small_talk.exchange(rng, lang, held=True),
            small_talk.exchange(rng, lang, True, small_talk.GREETINGS),
            small_talk.exchange(rng, lang, True, small_talk.IDENTITY),
            unknown.exchange(rng, lang, held=True),
            choice.exchange(rng, lang, held=True),
        ]
    # noise without a letter says nothing, so it is no question that could be kept apart
    asked_again = [e.question for e in kept if _normal(e.question) and _normal(e.question) in seen]
    assert asked_again == []


@pytest.mark.parametrize("make", [context.memory, persona.persona, tools.json_calls, tools.react])
def test_held_out_and_trained_dialogues_of_a_skill_are_apart(make: corpus.Make) -> None:
    rng = random.Random(3)
    assert all(held_out(make(rng, "en", True).key) for _ in range(30))
    assert not any(held_out(make(rng, "zh", False).key) for _ in range(30))


def test_about_a_tenth_of_the_keys_is_held_out() -> None:
    assert sum(held_out(f"capital/{i}") for i in range(5000)) / 5000 == pytest.approx(0.1, abs=0.02)
    assert held_out("anything!")


def test_every_intent_speaks_both_languages_and_keeps_wordings_apart() -> None:
    for intent in small_talk.intents().values():
        for lang in ("en", "zh"):
            assert intent.said[lang], intent.name
            assert intent.answers[lang], intent.name
            assert intent.kept[lang], intent.name
            trained = {_normal(w) for w in intent.said[lang]}
            assert not trained & {_normal(w) for w in intent.kept[lang]}, intent.name


def test_no_wording_belongs_to_two_intents() -> None:
    for lang in ("en", "zh"):
        owners = Counter(_normal(w) for i in small_talk.intents().values() for w in {*i.said[lang], *i.kept[lang]})
        assert [w for w, n in owners.items() if n > 1] == []


def test_one_question_about_a_fact_has_one_answer() -> None:
    """Two rows of a table that ask the same and answer differently would teach a coin flip."""
    from jobs.starter.phrasings import PHRASINGS

    answers: dict[str, set[str]] = {}
    for kind, known in facts.facts().items():
        for fact in known:
            for lang in ("en", "zh"):
                for template in PHRASINGS[kind][lang][:-1]:
                    question = template.removeprefix("!").format(**fact.values)
                    answers.setdefault(f"{lang} {question}", set()).add(PHRASINGS[kind][lang][-1].format(**fact.values))
    assert {q: a for q, a in answers.items() if len(a) > 1} == {}


def test_a_wording_gets_its_question_mark() -> None:
    assert punctuated("what is your name", "en") == "What is your name?"
    assert punctuated("so who are you", "en") == "So who are you?"
    assert punctuated("good morning", "en") == "Good morning."
    assert punctuated("你叫什么名字", "zh") == "你叫什么名字？"
    assert punctuated("早上好", "zh") == "早上好。"


def test_typing_varies_but_keeps_the_words() -> None:
    rng = random.Random(1)
    typed = {as_typed(rng, "What is the capital of France?", "en", lead=0) for _ in range(200)}
    assert {"what is the capital of france?", "What is the capital of France"} <= typed
    assert all("capital of france" in t.lower() for t in typed)


def test_a_react_task_and_a_json_task_tell_the_tools_result() -> None:
    rng = random.Random(5)
    for _ in range(50):
        made = tools.json_calls(rng, "en", True, 3)
        assert len(made.tools) == 3
        assert [role for role, _ in made.turns] == ["user", "assistant", "ipython", "assistant"]
        spoken = tools.react(rng, "zh", True, 1)
        assert "Action Input: {" in spoken.turns[1][1]
        assert spoken.turns[2][1].startswith("Observation: ")
        assert "Final Answer: " in spoken.answer


def test_a_single_exchange_becomes_a_dialogue_of_two_turns() -> None:
    made = single(facts.exchange(random.Random(1), "en", held=False))
    assert made.messages(with_answer=False) == [{"role": "user", "content": made.turns[0][1]}]
