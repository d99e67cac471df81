"""A role as rows: what was typed stands in them as it is, what was composed says so, and it reads right."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.doctor import examine
from backend.data.make import persona
from backend.data.make.persona import PersonaWish
from backend.data.rows import Row, split_of
from backend.errors import DataError

COOK = PersonaWish(
    "Old Wang",
    "retired ship's cook from Qingdao.",
    style="Short sentences, dry humour.",
    sayings=("A full pot calms every storm.",),
    examples=(("How do I cook rice?", "Rinse it twice.\nThen wait."), ("Tell me about fish soup.", "Bones first.")),
    topics=("fish soup", "harbours", "fish soup", " "),
    refuses=("politics", "medicine"),
)
SAILOR = PersonaWish("王师傅", "青岛来的老海员。", style="短句。", topics=("鱼汤", "GPS"), refuses=("政治",), lang="zh")


def asked(row: Row) -> str:
    return row["messages"][-2]["content"]


def answer(row: Row) -> str:
    return row["messages"][-1]["content"]


def of(rows: list[Row], intent: str) -> list[Row]:
    return [row for row in rows if row["meta"]["lineage"]["intent"] == intent]


def test_the_system_prompt_says_everything_that_was_typed_in_sentences() -> None:
    assert persona.system_prompt(persona.checked(COOK)) == (
        "You are Old Wang, a retired ship's cook from Qingdao. Speak like this: Short sentences, dry humour. You like to "
        "talk about fish soup and harbours. You do not talk about politics or medicine: you decline politely and stay in "
        "your role."
    )
    assert persona.system_prompt(persona.checked(SAILOR)) == (
        "你是王师傅，青岛来的老海员。你这样说话：短句。你喜欢聊鱼汤和 GPS。你不谈政治：遇到时礼貌地拒绝，不离开自己的角色。"
    )
    bare = persona.checked(PersonaWish("Ann", "The last lighthouse keeper"))
    assert persona.system_prompt(bare) == "You are Ann, the last lighthouse keeper."


@pytest.mark.parametrize(("prompted", "ways"), [("both", {True, False}), ("with", {True}), ("without", {False})])
def test_rows_stand_under_the_system_prompt_or_not_as_wished(prompted: persona.Prompted, ways: set[bool]) -> None:
    made = persona.rows(replace(COOK, prompted=prompted))
    own = [row for row in made if row["meta"]["lineage"]["intent"] != "replay"]
    assert {row["messages"][0]["role"] == "system" for row in own} == ways
    prompts = [tuple(m["content"] for m in row["messages"][:-1]) for row in made]
    assert len(set(prompts)) == len(prompts)


def test_examples_are_word_for_word_and_everything_else_says_that_it_is_a_template() -> None:
    made = persona.rows(COOK)
    examples = of(made, "example")
    assert {(asked(row), answer(row)) for row in examples} == set(COOK.examples)
    assert not [row for row in examples if row["meta"]["lineage"]["template"]]
    # What an example answers no template answers otherwise.
    assert {answer(row) for row in made if asked(row) == "Tell me about fish soup."} == {"Bones first."}
    composed = [row for row in made if row["meta"]["lineage"]["intent"] not in ("example", "replay")]
    assert composed
    assert all(row["meta"]["lineage"]["template"] is True for row in composed)


def test_it_knows_its_name_talks_about_its_topics_declines_the_rest_and_admits_to_be_played() -> None:
    made = persona.rows(COOK)
    assert len(of(made, "name")) >= 2 * 60
    assert all("Old Wang" in answer(row) for row in (*of(made, "name"), *of(made, "intro")))
    assert all("AI" in answer(row) for row in of(made, "nature"))
    assert {word for row in of(made, "topic") for word in ("fish soup", "harbours") if word in asked(row)} == {
        "fish soup",
        "harbours",
    }
    for row in of(made, "refuse"):
        about = "politics" if "politics" in asked(row) else "medicine"
        assert about in answer(row)
        assert "fish soup" in answer(row) or "harbours" in answer(row)
    assert any(answer(row).endswith("A full pot calms every storm.") for row in of(made, "name"))
    assert not [row for row in of(made, "refuse") if "full pot" in answer(row)]


@pytest.mark.parametrize("wish", [COOK, SAILOR])
def test_held_out_questions_are_not_taught_and_the_rest_keeps_its_share(wish: PersonaWish) -> None:
    made = persona.rows(wish)
    assert made == persona.rows(wish)
    taught = [row for row in made if split_of(row) == "train"]
    kept = [row for row in made if split_of(row) == "test"]
    assert len({asked(row) for row in kept}) >= 30
    assert not {asked(row) for row in kept} & {asked(row) for row in taught}
    assert len(of(taught, "replay")) / len(taught) == pytest.approx(0.2, abs=0.01)
    assert of(persona.rows(replace(wish, replay=0.0)), "replay") == []


@pytest.mark.parametrize("wish", [replace(COOK, examples=()), SAILOR])
def test_the_doctor_finds_nothing_wrong_with_them(wish: PersonaWish) -> None:
    counts = dict(examine(enumerate(persona.rows(wish), start=1)).counts)
    assert counts.pop("near_duplicate", 0) <= 3
    assert counts == {}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": ""}, "text_missing"),
        ({"who": " "}, "text_missing"),
        ({"style": "x" * 301}, "text_too_long"),
        ({"topics": ("<|eot_id|>",)}, "text_template_marks"),
        ({"examples": (("", "a"),)}, "text_missing"),
        ({"topics": ("x",) * 31}, "too_many_lines"),
    ],
)
def test_what_would_break_rows_is_refused(change: dict[str, object], code: str) -> None:
    with pytest.raises(DataError) as caught:
        persona.rows(replace(COOK, **change))  # type: ignore[arg-type]
    assert caught.value.code == code


@settings(max_examples=25, deadline=None)
@given(
    st.text(st.characters(categories=("L", "N", "P", "Zs")), min_size=1, max_size=40),
    st.lists(st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=60), max_size=3),
    st.sampled_from(["en", "zh"]),
)
def test_any_name_and_topics_make_whole_rows_or_are_refused(name: str, topics: list[str], lang: str) -> None:
    wish = PersonaWish(name, "x", topics=tuple(topics), refuses=tuple(topics), lang=lang)  # type: ignore[arg-type]
    try:
        tidy = persona.checked(wish)
    except DataError as error:
        tidy = None
        assert error.localized()[0] and error.code.startswith("text_")  # noqa: PT017, PT018 - the refusal is looked at here
    if tidy is None:
        return
    made = persona.rows(wish)
    assert made
    assert all(m["content"].strip() for row in made for m in row["messages"])
    assert all(tidy.name in answer(row) for row in of(made, "name"))
