"""The tool-calling part of the starter's corpus: wordings, offers, calls, and the text that a server would send."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from backend.agent.protocols import prompts
from jobs.starter import tools, unknown
from jobs.starter.batches import render
from jobs.starter.dialogue import Dialogue, Lang, held_out
from jobs.starter.evaluate import call_of

LANGS: tuple[Lang, Lang] = ("en", "zh")
FORMS = (tools.json_calls, tools.react, tools.react_lagent)
BY_KIND = {tool.kind: tool for tool in tools.KINDS}
TINY = Path(__file__).parents[2] / "models" / "tiny"


def _drawn(make: object, held: bool, n: int, seed: int = 1, offered: int | None = None) -> list[Dialogue]:
    assert callable(make)
    rng = random.Random(seed)
    return [make(rng, LANGS[i % 2], held, offered) for i in range(n)]


@pytest.mark.parametrize("kind", BY_KIND)
def test_every_kind_has_many_wordings_and_each_names_its_slots(kind: str) -> None:
    tool = BY_KIND[kind]
    assert 4 <= len(tool.names) <= 6
    assert all(len(names) == len(tool.slots) for names in tool.parameters)
    least = 25 if kind in (*tools.ARITHMETIC, "weather", "search") else 15
    for lang in LANGS:
        assert len(tool.asked[lang]) >= least
        assert len(tool.kept[lang]) >= 3
        assert not {w.lower() for w in tool.asked[lang]} & {w.lower() for w in tool.kept[lang]}
        assert len(tool.about[lang]) >= 2
        assert len(tool.hints[lang]) == len(tool.slots)
        for wording in (*tool.asked[lang], *tool.kept[lang]):
            assert {int(n) for n in re.findall(r"\{(\d)\}", wording)} == set(range(len(tool.slots))), wording
            assert wording.format(*["7"] * len(tool.slots))
        assert "{r}" in tool.told[lang]


def test_kinds_that_are_kept_apart_exist_and_know_of_each_other() -> None:
    for tool in tools.KINDS:
        for other in tool.without:
            assert tool.kind in BY_KIND[other].without


def test_one_wording_for_two_kinds_means_that_they_are_never_offered_together() -> None:
    for lang in LANGS:
        owners: dict[str, str] = {}
        for tool in tools.KINDS:
            if tool.kind == "calculator":  # what it is asked is digits, which tells it from "What is Paris?"
                continue
            for wording in (*tool.asked[lang], *tool.kept[lang]):
                owner = owners.setdefault(re.sub(r"[\s?.？。]+", " ", wording.lower()).strip(), tool.kind)
                assert owner == tool.kind or owner in tool.without, wording


def test_no_two_functions_of_a_dialogue_could_answer_the_same_question() -> None:
    rng = random.Random(2)
    for i in range(500):
        offers = tools.task(rng, LANGS[i % 2], held=False).offers
        kinds = [offer.tool.kind for offer in offers]
        assert len({offer.name for offer in offers}) == len(offers)
        assert not any(other in BY_KIND[kind].without for kind in kinds for other in kinds)


def test_no_wording_that_is_kept_for_the_evaluation_is_trained_on() -> None:
    rng = random.Random(3)
    kept = 0
    for i in range(1500):
        lang = LANGS[i % 2]
        trained, asked = tools.task(rng, lang, held=False), tools.task(rng, lang, held=True)
        assert not held_out(trained.key)
        assert held_out(asked.key)
        assert trained.key.split("/")[2] not in trained.chosen.tool.kept[lang]
        kept += asked.key.endswith("!")
    assert kept / 1500 == pytest.approx(0.3, abs=0.05)


def test_no_held_out_question_is_asked_in_training() -> None:
    asked = {d.turns[0][1] for make in FORMS for d in _drawn(make, True, 400)}
    trained = {text for make in FORMS for d in _drawn(make, False, 3000) for role, text in d.turns if role == "user"}
    assert asked & trained == set()


def test_a_task_of_the_evaluation_is_one_call_and_its_result() -> None:
    for make, offered in ((tools.json_calls, 1), (tools.json_calls, 3), (tools.react, 3), (tools.react_lagent, 2)):
        for made in _drawn(make, True, 100, offered=offered):
            result = {
                "tool call": "ipython",
                "ReAct": "system" if "Begin!" in made.system or "开始!" in made.system else "user",
            }
            assert [role for role, _ in made.turns] == ["user", "assistant", result[made.skill], "assistant"]
            assert call_of(made.turns[1][1]) is not None
            if make is tools.json_calls:
                assert len(made.tools) == offered
            if make is tools.react:
                assert made.system.startswith(tools.REACT_LEAD)


def test_a_call_agrees_with_the_schema_and_copies_its_arguments_from_the_question() -> None:
    python = {"integer": (int,), "number": (int, float), "string": (str,)}
    calls = 0
    for made in _drawn(tools.json_calls, False, 1500):
        schemas = {schema["name"]: schema["parameters"] for schema in made.tools}
        for (_, question), (role, text) in zip(made.turns, made.turns[1:], strict=False):
            call = call_of(text) if role == "assistant" else None
            if call is None:
                continue
            calls += 1
            name, arguments = call
            properties = schemas[name]["properties"]
            assert list(arguments) == list(properties)[: len(arguments)]
            assert list(arguments) == schemas[name].get("required", list(arguments))
            for key, value in arguments.items():
                assert isinstance(value, python[properties[key]["type"]])
                assert str(value) in question
    assert calls > 1200


def test_the_answer_repeats_the_result_or_the_error() -> None:
    rng = random.Random(4)
    for i in range(300):
        one = tools.task(rng, LANGS[i % 2], held=True)
        assert (one.error or one.result) in one.answer


def test_some_training_dialogues_need_no_call_and_some_hold_two() -> None:
    made = _drawn(tools.json_calls, False, 2000)
    calls = [sum(call_of(text) is not None for role, text in d.turns if role == "assistant") for d in made]
    assert calls.count(0) / 2000 == pytest.approx(0.155, abs=0.03)
    assert calls.count(2) / 2000 == pytest.approx(0.17, abs=0.03)
    beyond = sum(d.answer == unknown.ANSWERS[d.lang] for d in made)
    assert beyond / 2000 == pytest.approx(0.035, abs=0.015)


@pytest.mark.parametrize("make", FORMS)
def test_the_text_is_what_the_chat_template_writes(make: object) -> None:
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    for made in (*_drawn(make, False, 50), *_drawn(make, True, 10)):
        # as an OpenAI client sends them
        sent = [{"type": "function", "function": schema} for schema in made.tools] or None
        assert render(made) == tokenizer.apply_chat_template(made.messages(), tools=sent, tokenize=False)


def test_lagents_prompt_is_laid_out_as_lagent_0_2_4_does() -> None:
    gpu = tools.Offer(BY_KIND["gpu_status"], "GpuStatus", (), "number", "GPU的状态", ())
    timer = tools.Offer(BY_KIND["timer"], "Timer", ("minutes",), "integer", "Start a timer.", ("duration",))
    system = tools.lagent_system([gpu, timer])
    rule = repr(prompts.ARGUMENTS)
    assert (
        "external tools.\n"
        f"[{{'name': 'GpuStatus', 'description': 'GPU的状态', 'parameters': [], 'required': [], 'parameter_description': {rule}}}, "
        "{'name': 'Timer', 'description': 'Start a timer.', 'parameters': [{'name': 'minutes', 'type': 'NUMBER', "
        f"'description': 'duration'}}], 'required': ['minutes'], 'parameter_description': {rule}}}]\n"
        "To use a tool"
    ) in system
    assert "should be one of [['GpuStatus', 'Timer']]\n" in system


def test_a_schema_is_valid_json_of_the_shape_that_openai_takes() -> None:
    for made in _drawn(tools.json_calls, False, 200):
        for schema in made.tools:
            assert json.loads(json.dumps(schema)) == schema
            assert set(schema) == {"name", "description", "parameters"}
            assert schema["parameters"]["type"] == "object"
