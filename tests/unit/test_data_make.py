"""A name and a role as rows: enough wordings, none held out is taught, nothing twice, and every name reads right."""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.alike import same
from backend.data.doctor import examine
from backend.data.make import grammar, identity, phrases
from backend.data.make.grammar import LANGUAGES, Lang
from backend.data.make.identity import TONES, IdentityWish, Tone
from backend.data.rows import ROLES, Row, line, parse, split_of
from backend.errors import DataError
from jobs.starter import small_talk

NOVA = IdentityWish("Nova", "Example Labs", name_zh="小新", maker_zh="示例实验室")
RUN = {"en": 3, "zh": 2}
NAMES = st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))


def runs(text: str, lang: Lang) -> set[str]:
    """The runs of two or three characters in ``text``."""
    text, size = same(text), RUN[lang]
    return {text[i : i + size] for i in range(max(1, len(text) - size + 1))}


def texts(rows: list[Row], role: str) -> list[str]:
    return [m["content"] for row in rows for m in row["messages"] if m["role"] == role]


# --- the tables


@pytest.mark.parametrize("lang", LANGUAGES)
def test_there_are_wordings_enough_and_each_stands_once(lang: Lang) -> None:
    taught, kept = phrases.questions(lang, "train"), phrases.questions(lang, "test")
    assert len({same(q.wording) for q in taught}) == len(taught) >= 100
    assert len({same(q.wording) for q in kept}) == len(kept) >= 50
    assert (
        {q.intent for q in taught} == {q.intent for q in kept} == set(Counter(k[0] for k in phrases.table("questions")))
    )


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_held_out_wording_is_nearly_a_taught_one(lang: Lang) -> None:
    for kept, taught in itertools.product(phrases.questions(lang, "test"), phrases.questions(lang, "train")):
        a, b = runs(kept.wording, lang), runs(taught.wording, lang)
        assert len(a & b) / len(a | b) < 0.45, (kept.wording, taught.wording)
        alike = difflib.SequenceMatcher(None, same(kept.wording), same(taught.wording))
        assert alike.quick_ratio() < 0.75 or alike.ratio() < 0.75, (
            kept.wording,
            taught.wording,
        )  # the first is a bound


@pytest.mark.parametrize("lang", LANGUAGES)
def test_held_out_wordings_in_usual_words_are_other_ones_than_the_taught(lang: Lang) -> None:
    near = [same(q.wording) for q in phrases.questions(lang, "near")]
    taught = [same(q.wording) for q in phrases.questions(lang, "train")]
    far = {same(q.wording) for q in phrases.questions(lang, "test")}
    assert len(set(near)) == len(near) >= 60
    assert not set(near) & (set(taught) | far)
    # Every one is near to something taught: usual words, that is what they are for.
    most = [max(difflib.SequenceMatcher(None, one, other).ratio() for other in taught) for one in near]
    assert min(most) >= 0.5


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_the_starter_is_judged_by_is_not_taught(lang: Lang) -> None:
    judged = {same(wording) for intent in small_talk.intents().values() for wording in intent.kept.get(lang, ())}
    assert len(judged) > 300
    everything = [q.wording for q in phrases.questions(lang, "train")] + [q for q, _answer in phrases.neutral(lang)]
    assert not [wording for wording in everything if same(wording) in judged]


def test_every_question_has_answers_in_every_tone_and_no_wording_needs_another_grammar() -> None:
    answers = phrases.table("answers")
    for lang in LANGUAGES:
        for intent in {q.intent for q in phrases.questions(lang, "train")}:
            for tone in ("plain", *TONES):
                assert len(answers[intent, lang, tone]) >= (4 if tone == "plain" else 2), (intent, lang, tone)
            fitting = [a for a in answers[intent, lang, "concise"] if not a.startswith(identity.YES_OR_NO)]
            assert fitting, (intent, lang)
    places = {"name", "maker", "purpose", "other", "wrong", "company"}
    for table in ("questions", "answers", "systems"):
        for (_key, lang, _part), wordings in phrases.table(table).items():
            for wording in wordings:
                assert set(re.findall(r"\{(.*?)\}", wording)) <= places, wording
                # No verb or article may depend on what is put in.
                assert not re.search(
                    r"\b[Aa]n? \{|\{(name|maker)\} (is|are|has|have|was|were)\b(?! another)|\}'s", wording
                ) or (table == "questions"), wording
                bare = re.sub(r"\{.*?\}", "", wording)
                assert not re.search("[a-z]{2}" if lang == "zh" else "[\u3000-\u9fff]", bare), wording


@pytest.mark.parametrize("lang", LANGUAGES)
def test_other_skills_are_enough_and_name_nobody(lang: Lang) -> None:
    neutral = phrases.neutral(lang)
    assert len({same(question) for question, _answer in neutral}) == len(neutral) >= 60
    assert not [
        answer for _q, answer in neutral if re.search(r"\b(my name|I am an AI|assistant)\b|助手|我是|我叫", answer)
    ]


# --- rows about a name


@pytest.mark.parametrize("tone", TONES)
def test_rows_in_both_languages_with_over_a_hundred_wordings_and_nothing_twice(tone: Tone) -> None:
    made = identity.rows(IdentityWish("Nova", "Example Labs", tone=tone))
    counts = identity.count(made)
    assert counts.wordings == {"en": 192, "zh": 192}
    assert (counts.kept, counts.replayed) == (272, 258)
    assert counts.taught == 2 * 300 + counts.replayed
    assert counts.replayed / counts.taught == pytest.approx(0.3, abs=0.01)
    prompts = [tuple(m["content"] for m in row["messages"] if m["role"] != "assistant") for row in made]
    assert len(set(prompts)) == len(prompts)
    for row in made:
        assert {m["role"] for m in row["messages"]} <= set(ROLES)
        assert row["messages"][-1]["role"] == "assistant"
        assert all(m["content"].strip() == m["content"] != "" for m in row["messages"])
        assert parse(line(row)) == row


def test_the_least_number_of_rows_still_has_a_hundred_wordings() -> None:
    made = identity.rows(IdentityWish("Nova", "Example Labs", rows=1))
    assert all(count >= 100 for count in identity.count(made).wordings.values())


def test_questions_come_alone_under_system_prompts_and_later_in_conversations() -> None:
    made = identity.rows(NOVA)
    contexts = Counter(r["meta"]["lineage"].get("context") for r in made if split_of(r) == "train")
    assert min(contexts[each] for each in ("alone", "system", "own system", "later", "in a row")) >= 20
    assert contexts["alone"] >= 150
    # By itself a question has one answer: two would be a contradiction.
    alone = [r["messages"][0]["content"] for r in made if r["meta"]["lineage"].get("context") == "alone"]
    assert len({same(question) for question in alone}) == len(alone)


def test_answers_vary_and_hold_what_was_asked_for() -> None:
    made = identity.rows(NOVA)
    said = {lang: Counter[str]() for lang in LANGUAGES}
    for row in made:
        told = row["meta"]["lineage"]
        answer = row["messages"][-1]["content"]
        if told["intent"] == "name":
            said[told["language"]][answer] += 1
            assert {"en": "Nova", "zh": "小新"}[told["language"]] in answer
        if told["intent"] in ("maker", "wrong_maker"):
            assert {"en": "Example Labs", "zh": "示例实验室"}[told["language"]] in answer
    for answers in said.values():
        assert len(answers) >= 25
        assert max(answers.values()) <= 0.12 * sum(answers.values())


def test_half_of_the_answers_are_usual_ones() -> None:
    """Heard in every wording equally often, a small model mixed them up."""
    made = identity.rows(replace(NOVA, tone="formal"))
    usual = {
        grammar.fill(phrases.table("answers")["name", lang, tone][0], NOVA.values(lang), lang)
        for lang in LANGUAGES
        for tone in ("formal", "plain")
    }
    answers = [row["messages"][-1]["content"] for row in made if row["meta"]["lineage"]["intent"] == "name"]
    assert len(usual) == 4
    assert 0.35 < sum(any(each in answer for each in usual) for answer in answers) / len(answers) < 0.65


def test_held_out_rows_say_what_an_answer_must_hold_and_their_own_answer_holds_it() -> None:
    kept = [row for row in identity.rows(NOVA) if split_of(row) == "test"]
    kinds = Counter((row["meta"]["lineage"]["language"], row["meta"]["lineage"]["distance"]) for row in kept)
    assert kinds == {("en", "near"): 62, ("zh", "near"): 62, ("en", "far"): 74, ("zh", "far"): 74}
    for row in kept:
        answer = row["messages"][-1]["content"]
        assert all(expected in answer for expected in row["meta"]["lineage"]["expect"])
    assert sum(bool(row["meta"]["lineage"]["expect"]) for row in kept) >= 250
    # A system prompt that says the name would prove nothing.
    assert not [text for text in texts(kept, "system") if "Nova" in text or "小新" in text]


def test_the_same_wish_gives_the_same_rows_and_another_seed_others() -> None:
    assert identity.rows(NOVA) == identity.rows(NOVA)
    other = identity.rows(replace(NOVA, seed=2))
    assert other != identity.rows(NOVA)
    assert len(other) == len(identity.rows(NOVA))


def test_one_language_and_no_other_skills_where_that_is_wished() -> None:
    made = identity.rows(IdentityWish("小新", "示例实验室", languages=("zh",), replay=0.0))
    assert {row["meta"]["lineage"]["language"] for row in made} == {"zh"}
    assert identity.count(made).replayed == 0


@pytest.mark.parametrize("tone", TONES)
def test_the_doctor_finds_nothing_wrong_with_them(tone: Tone) -> None:
    made = identity.rows(replace(NOVA, tone=tone))
    counts = dict(examine(enumerate(made, start=1)).counts)
    assert counts.pop("languages_mixed") == 1  # which is what was asked for
    assert counts.pop("near_duplicate", 0) <= 3
    assert counts == {}


def test_nobody_is_told_that_it_is_not_itself() -> None:
    made = identity.rows(IdentityWish("Qwen Rice", "Alibaba", name_zh="豆包", languages=("en", "zh"), rows=600))
    questions = [
        row["messages"][-2]["content"] for row in made if row["meta"]["lineage"]["intent"] in ("other", "wrong_maker")
    ]
    assert len(questions) > 100
    assert not [q for q in questions if "Qwen" in q or "豆包" in q or "Alibaba" in q]


@settings(max_examples=25, deadline=None)
@given(
    name=st.text(NAMES, min_size=1, max_size=40) | st.text(min_size=1, max_size=40),
    maker=st.text(NAMES, min_size=1, max_size=80)
    | st.sampled_from(["the Rice Institute", "Example Inc.", "{name}", "OpenAI"]),
    tone=st.sampled_from(TONES),
    lang=st.sampled_from(LANGUAGES),
)
def test_any_name_stands_whole_in_its_rows_or_is_refused_with_a_reason(
    name: str, maker: str, tone: Tone, lang: Lang
) -> None:
    wish = IdentityWish(name, maker, tone=tone, languages=(lang,), rows=150, replay=0.1)
    try:
        tidy, refused = identity.checked(wish), None
    except DataError as error:
        refused = error
    if refused is not None:
        assert refused.code in ("text_missing", "text_bad_characters", "text_template_marks")
        assert all(refused.localized())
        return
    made = identity.rows(wish)
    assert identity.count(made).wordings[lang] >= 100
    kept = [row for row in made if split_of(row) == "test"]
    asked = {tuple(m["content"] for m in row["messages"][:-1]) for row in kept}
    assert not [
        row for row in made if split_of(row) == "train" and tuple(m["content"] for m in row["messages"][:-1]) in asked
    ]
    for row in kept:
        for expected in row["meta"]["lineage"]["expect"]:
            assert expected in (tidy.name, tidy.maker)
            assert expected.casefold() in row["messages"][-1]["content"].casefold()


# --- grammar


@pytest.mark.parametrize(
    ("template", "value", "lang", "expected"),
    [
        ("我是{name}，你好。", "Nova", "zh", "我是 Nova，你好。"),
        ("我是{name}，你好。", "小新", "zh", "我是小新，你好。"),
        ("你是{name}吗？", "GPT 4", "zh", "你是 GPT 4 吗？"),
        ("由{name}开发", "A实验室", "zh", "由 A实验室开发"),
        ("我来自{name}。", "哇！", "zh", "我来自哇！"),
        ("I come from {name}.", "Example Inc.", "en", "I come from Example Inc."),
        ("I come from {name}!", "Yahoo!", "en", "I come from Yahoo!"),
        ("{name} made me.", "the rice institute", "en", "The rice institute made me."),
        ("No, {name} made me.", "the rice institute", "en", "No, the rice institute made me."),
        ("Hello! {name} made me.", "our team", "en", "Hello! Our team made me."),
        ("{name} made me.", "iFlow", "en", "iFlow made me."),
        ("I am {name}.", "{maker} {name}", "en", "I am {maker} {name}."),
        ("{unknown} {name}", "x", "en", "{unknown} x"),
    ],
)
def test_a_name_is_put_in_so_that_the_sentence_reads_right(
    template: str, value: str, lang: Lang, expected: str
) -> None:
    assert grammar.fill(template, {"name": value, "maker": "wrong"}, lang) == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("ship's cook", "a ship's cook"),
        ("old teacher", "an old teacher"),
        ("honest judge", "an honest judge"),
        ("hour-long show", "an hour-long show"),
        ("university teacher", "a university teacher"),
        ("European", "a European"),
        ("one-eyed pirate", "a one-eyed pirate"),
        ("uninvited guest", "an uninvited guest"),
        ("MBA student", "an MBA student"),
        ("UFO pilot", "a UFO pilot"),
        ("8-year-old", "an 8-year-old"),
        ("the last lighthouse keeper", "the last lighthouse keeper"),
        ("your neighbour", "your neighbour"),
        ("", ""),
    ],
)
def test_a_or_an(phrase: str, expected: str) -> None:
    assert grammar.with_article(phrase) == expected


@pytest.mark.parametrize(
    ("typed", "lang", "expected"),
    [
        ("I can answer questions about rice.", "en", "answer questions about rice"),
        ("Answer questions.", "en", "answer questions"),
        ("to help farmers", "en", "help farmers"),
        ("speak English", "en", "speak English"),
        ("我可以回答水稻问题。", "zh", "回答水稻问题"),
        ("会议纪要整理", "zh", "会议纪要整理"),
        ("我会翻译", "zh", "翻译"),
        ("用于回答问题；", "zh", "回答问题"),
        ("", "zh", ""),
    ],
)
def test_a_purpose_completes_the_sentence_however_it_was_typed(typed: str, lang: Lang, expected: str) -> None:
    assert grammar.purpose(typed, lang) == expected


def test_friends_write_shorter() -> None:
    assert grammar.contracted("I am {name}. I do not know who I am.") == "I'm {name}. I don't know who I am."
    assert grammar.contracted("No, I am {name}. I cannot see.") == "No, I'm {name}. I can't see."


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"name": "  "}, "text_missing", "The name is empty."),
        ({"maker": ""}, "text_missing", "The maker is empty."),
        ({"name": "x" * 41}, "text_too_long", "The name has 41 characters."),
        ({"maker": "a\u200bb"}, "text_bad_characters", "The maker holds a character that cannot be seen (U+200B)."),
        ({"name": "Nova<|im_end|>"}, "text_template_marks", "The name holds <|im_end|>"),
        ({"maker": "[INST] x"}, "text_template_marks", "The maker holds [INST]"),
        ({"name_zh": "小<image>"}, "text_template_marks", "The name in Chinese holds <image>"),
        ({"purpose_en": "x</s>"}, "text_template_marks", "What it is for holds </s>"),
        ({"languages": ()}, "no_language", "No language is chosen."),
    ],
)
def test_what_would_break_every_row_is_refused(change: dict[str, object], code: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        identity.rows(IdentityWish(**{"name": "Nova", "maker": "Example Labs"} | change))  # type: ignore[arg-type]
    assert caught.value.code == code
    assert says in str(caught.value)
