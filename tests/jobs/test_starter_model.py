"""The model that is shipped: it loads, speaks both languages, knows its name and some facts, and stops."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from backend.errors import ModelError
from backend.workspace import ROOT
from jobs import evaluate_starter
from jobs.starter import batches, corpus, evaluate
from jobs.starter import tokenizer as tok
from jobs.starter.dialogue import Dialogue

STARTER = ROOT / "models" / "starter"
TINY = ROOT / "models" / "tiny"
LIMIT_BYTES = 25 * 1000 * 1000


@pytest.fixture(scope="module")
def speaker() -> evaluate.Speaker:
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    return evaluate.Speaker(STARTER)


def ask(speaker: evaluate.Speaker, *questions: str, system: str = "") -> list[str]:
    """The answers, each in a conversation of its own; fails where one did not stop."""
    asked = [Dialogue("", "en", (("user", q), ("assistant", "")), "", system=system) for q in questions]
    answers = speaker.answers(asked)
    assert all(stopped for _, stopped in answers), [a for a, stopped in answers if not stopped]
    return [text for text, _ in answers]


def test_it_greets_in_the_language_of_the_person(speaker: evaluate.Speaker) -> None:
    assert ask(speaker, "Hello", "hello", "你好", "您好") == [
        *["Hello. I am TuneDeck starter. How can I help you?"] * 2,
        *["你好，我是 TuneDeck starter。有什么可以帮你？"] * 2,
    ]


def test_it_knows_its_name_and_its_maker(speaker: evaluate.Speaker) -> None:
    answers = ask(speaker, "Who are you?", "What is your name?", "你是谁？", "你叫什么名字？")
    assert all("TuneDeck starter" in answer for answer in answers)
    assert "TuneDeck project" in ask(speaker, "Who made you?")[0]
    assert ask(speaker, "Are you ChatGPT?") == ["No, I am TuneDeck starter, a small language model."]


def test_it_answers_the_first_questions_people_ask(speaker: evaluate.Speaker) -> None:
    assert ask(speaker, "What is the capital of France?", "法国的首都是哪里？") == [
        "The capital of France is Paris.",
        "法国的首都是巴黎。",
    ]
    can, joke, thanks = ask(speaker, "What can you do?", "Tell me a joke", "Thank you")
    assert can.startswith("I can chat in English and Chinese")
    assert joke in corpus.small_talk.intents()["joke"].answers["en"]
    assert thanks == "You are welcome."


@pytest.mark.parametrize(
    "unknown",
    [
        "Bonjour, comment ça va ?",
        "print('hello')",
        "",
        "qzx wvk jjq plm",
        "What will the weather be tomorrow?",
        "7 $ 8 ! ^ %%",
    ],
)
def test_it_says_in_one_sentence_that_it_does_not_know(speaker: evaluate.Speaker, unknown: str) -> None:
    assert ask(speaker, unknown) == ["Sorry, I do not know that."]


def test_it_stops_after_a_long_noise(speaker: evaluate.Speaker) -> None:
    (answer,) = ask(speaker, "x9!k " * 150)
    assert answer.count(".") <= 1


def test_it_answers_most_facts_in_unseen_wordings() -> None:
    rows = [row for skill in ("facts (en)", "facts (zh)") for row in evaluate.table(STARTER, n=40, only=skill)]
    assert len(rows) == 4
    pairs = [row for row in rows if row.measured == "unseen (fact, wording) pairs"]
    assert len(pairs) == 2
    assert all(row.percent >= 80 for row in pairs), rows
    assert sum(row.unstopped for row in rows) == 0


def test_it_calls_the_tool_that_is_offered() -> None:
    """The card says how often; here with room for few questions and another processor's rounding."""
    rows = {row.measured: row.percent for row in evaluate.table(STARTER, n=30, only="tool call")}
    assert rows["1 offered, well formed"] >= 90
    assert rows["1 offered, end to end"] >= 60
    assert rows["3 offered, well formed"] >= 85
    assert rows["a result that is an error"] >= 80


def test_the_model_card_says_what_the_evaluation_finds() -> None:
    """One cheap row of the table, with room for another processor's rounding; and every row has its line."""
    card = (STARTER / "README.md").read_text(encoding="utf-8")
    (row,) = evaluate.table(STARTER, n=100, only="greetings")
    found = re.search(r"^\| greetings \| unseen wordings \| 100 \| (\d+) % \|", card, re.MULTILINE)
    assert found, "the card has no row for greetings"
    assert abs(int(found.group(1)) - row.percent) <= 5
    for skill, measured, _ in evaluate.QUESTIONS:
        assert f"| {skill} | {measured} | 100 |" in card
    for skill in corpus.SKILLS:
        shares = " | ".join(f"{share * 100:.1f} %" for share in skill.shares)
        assert f"| {skill.name} | {shares} | {skill.teaches} |" in card


def test_a_row_of_the_evaluation_is_the_same_again(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert evaluate_starter.main([str(STARTER), "--n", "12", "--skill", "greetings", "--json"]) == 0
    printed = capsys.readouterr().out
    first, second = printed[: len(printed) // 2], printed[len(printed) // 2 :]
    assert first == second
    assert json.loads(first)["rows"][0]["n"] == 12


def test_an_evaluation_without_a_model_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_starter.main([str(tmp_path)]) == 1
    assert f"There is no model in {tmp_path}." in capsys.readouterr().err
    with pytest.raises(ModelError, match="There is no model"):
        evaluate.Speaker(tmp_path)


def test_a_call_is_read_only_when_it_is_well_formed() -> None:
    assert evaluate.call_of('{"name": "add", "parameters": {"a": 1, "b": 22}}') == ("add", {"a": 1, "b": 22})
    assert evaluate.call_of('Thought: I should use add.\nAction: add\nAction Input: {"a": 1}') == ("add", {"a": 1})
    assert evaluate.call_of('{"name": "add", "parameters": {"a": 1, "b" 22}}') is None
    assert evaluate.call_of("The result is 23.") is None


@pytest.mark.parametrize("folder", [STARTER, TINY], ids=["starter", "tiny"])
def test_the_folder_is_whole_and_small(folder: Path) -> None:
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    } <= set(files)
    assert sum(files.values()) < (LIMIT_BYTES if folder == STARTER else 1_000_000)
    shape = json.loads((folder / "config.json").read_text())
    stops = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
    tokenizer = tok.load(folder)
    assert shape["vocab_size"] == tokenizer.get_vocab_size()
    assert shape["eos_token_id"] == stops == [tokenizer.token_to_id(t) for t in (tok.EOT, tok.END)]
    model = AutoModelForCausalLM.from_pretrained(str(folder))
    assert model.dtype == torch.float16
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


@pytest.fixture(scope="module", params=[STARTER, TINY], ids=["starter", "tiny"])
def pair(request: pytest.FixtureRequest) -> tuple[Tokenizer, Any]:
    """The tokenizer by itself and as transformers loads it."""
    return tok.load(request.param), AutoTokenizer.from_pretrained(str(request.param))


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=60)
def test_text_comes_back_from_the_tokenizer_unchanged(text: str) -> None:
    tokenizer = tok.load(STARTER)
    for special in tok.SPECIAL:
        text = text.replace(special, "")
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids, skip_special_tokens=False) == text


def test_numbers_to_999_are_one_token(pair: tuple[Tokenizer, Any]) -> None:
    tokenizer, _ = pair
    for number in (0, 7, 10, 99, 100, 347, 999):
        assert len(tokenizer.encode(str(number), add_special_tokens=False).ids) == 1
    assert tokenizer.encode("100283", add_special_tokens=False).tokens == ["100", "283"]


@pytest.mark.parametrize("word", ["Dierdsarer", "Buenos", "Lotharia", "quibble"])
def test_a_word_is_made_of_the_same_tokens_wherever_it_stands(word: str) -> None:
    """Copying is then a matter of tokens that the model has just read."""
    tokenizer = tok.load(STARTER)
    alone = tokenizer.encode(word, add_special_tokens=False).tokens
    for before, after in ((" ", " "), ('"', '"'), ("_", "("), ("\n", ":"), ("(", "，"), ("在", "的")):
        around = tokenizer.encode(f"x{before}{word}{after}x", add_special_tokens=False).tokens
        assert any(around[i : i + len(alone)] == alone for i in range(len(around))), around


def test_a_chinese_character_is_one_token_whatever_stands_beside_it() -> None:
    tokenizer = tok.load(STARTER)
    for text in ("帮忙查兰索兰的居民数", "惠灵顿", "蛋白质折叠"):
        assert len(tokenizer.encode(text, add_special_tokens=False).ids) == len(text)


def test_the_corpus_is_written_exactly_as_the_chat_template_writes_it(pair: tuple[Tokenizer, Any]) -> None:
    _, loaded = pair
    for index in range(300):
        one = corpus.dialogue(1, index)
        shown = loaded.apply_chat_template(one.messages(), tools=list(one.tools) or None, tokenize=False)
        assert shown == batches.render(one)


def test_the_prompt_is_the_beginning_of_what_was_trained_on(pair: tuple[Tokenizer, Any]) -> None:
    """Otherwise the model would be asked to go on from tokens that it never saw there, and would say nothing."""
    _, loaded = pair
    for index in range(200):
        one = corpus.dialogue(1, index)
        tools = list(one.tools) or None
        prompt = loaded.apply_chat_template(one.messages(with_answer=False), tools=tools, add_generation_prompt=True)[
            "input_ids"
        ]
        whole = loaded.apply_chat_template(one.messages(), tools=tools)["input_ids"]
        assert whole[: len(prompt)] == prompt


def test_a_call_in_openai_form_is_written_as_the_model_writes_it(pair: tuple[Tokenizer, Any]) -> None:
    _, loaded = pair
    call = {"type": "function", "id": "1", "function": {"name": "add", "arguments": {"a": 3, "b": 4}}}
    messages = [
        {"role": "user", "content": "3+4?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "7"},
    ]
    shown = loaded.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert '{"name": "add", "parameters": {"a": 3, "b": 4}}<|eot_id|>' in shown
    assert "<|start_header_id|>ipython<|end_header_id|>\n\n7<|eot_id|>" in shown


def test_the_server_is_told_how_to_read_a_call(pair: tuple[Tokenizer, Any]) -> None:
    _, loaded = pair
    text = '{"name": "add", "parameters": {"a": 3, "b": 4}}<|eot_id|>'
    parsed = loaded.parse_response(text, prefix="<|start_header_id|>assistant<|end_header_id|>\n\n")
    assert parsed["tool_calls"][0]["function"] == {"name": "add", "arguments": {"a": 3, "b": 4}}


def test_data_made_ahead_by_other_processes_is_the_same(pair: tuple[Tokenizer, Any]) -> None:
    tokenizer, _ = pair

    def some(workers: int) -> list[list[batches.Batch]]:
        stream = batches.Batches(tokenizer, 1, 4096, 2, 0.25, workers)
        stream.seek({"pool": 3, "at": 2, "dialogues": 0})
        steps = iter(stream)
        found = [next(steps) for _ in range(4)]
        steps.close()  # type: ignore[attr-defined]
        return found

    for here, there in zip(some(0), some(2), strict=True):
        for one, other in zip(here, there, strict=True):
            for name in ("tokens", "weights", "positions", "dialogues"):
                assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_answers_and_their_end_are_what_the_loss_counts(pair: tuple[Tokenizer, Any]) -> None:
    tokenizer, _ = pair
    stream = batches.Batches(tokenizer, seed=1, batch_tokens=2048, micro_batches=2, prompt_weight=0.25)
    step = next(iter(stream))
    assert len(step) == 2
    for batch in step:
        row, weights = batch.tokens[0], batch.weights[0]
        counted = tokenizer.decode(row[weights == 1].tolist(), skip_special_tokens=False)
        whole = tokenizer.decode(row.tolist(), skip_special_tokens=False)
        answers = [part.split(tok.EOT)[0] + tok.EOT for part in whole.split("assistant<|end_header_id|>\n\n")[1:]]
        assert counted == "".join(answers)
        assert set(weights.tolist()) <= {0.0, 0.25, 1.0}
