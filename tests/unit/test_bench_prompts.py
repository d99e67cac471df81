"""What a server is asked: the bundled prompts, and files of every shape that people have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.bench import prompts
from backend.bench.prompts import choose, fit, read
from backend.errors import DataError
from backend.workspace import Workspace


def words(text: str) -> int:
    return len(text.split())


def letters(text: str) -> int:
    return len(text)


def test_the_bundled_prompts_are_many_different_in_both_languages_and_short_to_long() -> None:
    found = [one.text for one in read("bundled", 112)]
    assert len(set(found)) == 112
    chinese = [text for text in found if "\u4e00" <= text[0] <= "\u9fff"]
    assert len(chinese) == 56
    lengths = sorted(prompts.estimate_tokens(text) for text in found)
    assert lengths[0] < 25
    assert lengths[-1] > 400


def test_the_seed_decides_the_order_and_more_than_there_are_come_again() -> None:
    assert read("bundled", 20, seed=1) == read("bundled", 20, seed=1) != read("bundled", 20, seed=2)
    chosen = choose("bundled", 230)
    assert (len(chosen.prompts), chosen.found, chosen.repeated) == (230, 112, True)
    assert chosen.prompts[112] == chosen.prompts[0]
    assert not choose("bundled", 112).repeated


def test_sharegpt_gives_the_first_question_and_the_length_of_its_answer_within_lmdeploys_limits(tmp_path: Path) -> None:
    def talk(*turns: tuple[str, str]) -> dict[str, object]:
        return {"id": "x", "conversations": [{"from": who, "value": text} for who, text in turns]}

    path = tmp_path / "ShareGPT.json"
    rows = [
        talk(("human", "one two three four five"), ("gpt", "a b c d e f g"), ("human", "more"), ("gpt", "no")),
        talk(("gpt", "I begin"), ("human", "and I ask four words"), ("gpt", "x " * 30)),
        talk(("human", "too short"), ("gpt", "a b c d e f")),
        talk(("human", "w " * 1025), ("gpt", "a b c d e f")),
        talk(("human", "w " * 1000), ("gpt", "a " * 1049)),
        talk(("human", "nobody answers this one here")),
    ]
    path.write_text(json.dumps(rows))
    chosen = choose(str(path), 6, tokens=words)
    assert {(one.text, one.answer_tokens) for one in chosen.prompts} == {
        ("one two three four five", 7),
        ("and I ask four words", 30),
    }
    assert (chosen.found, chosen.left_out) == (2, 4)


def test_jsonl_and_text_with_a_prompt_or_a_conversation_a_row(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    lines = [
        {"prompt": "What is it?"},
        {"instruction": "Translate.", "input": "Reis", "output": "one two"},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]},
        {"messages": [{"role": "assistant", "content": "Only an answer."}]},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)) + "\n{broken\n")
    chosen = choose(str(path), 9, tokens=words)
    assert (chosen.found, chosen.left_out) == (3, 2)
    by_text = {one.text: one for one in chosen.prompts}
    assert by_text["Translate.\n\nReis"].answer_tokens == 2
    assert [one["role"] for one in by_text["Be brief.\nWhy?"].messages] == ["system", "user"]
    plain = tmp_path / "mine.txt"
    plain.write_text("First question\nSecond question\n")
    assert {one.text for one in read(str(plain), 2)} == {"First question", "Second question"}


@pytest.mark.parametrize(
    ("name", "text", "code", "says"),
    [
        ("a.json", '{"rows_are": 1, "elsewhere": 2}', "bench_prompts_shape", "elsewhere, rows_are"),
        ("b.json", '["only", "texts"]', "bench_prompts_shape", "where a row should be"),
        ("c.json", '[{"prompt": "cut off', "bench_prompts_shape", "ends too early"),
        ("d.json", "", "data_empty", "empty"),
        ("e.jsonl", '{"prompt": "  "}\n', "bench_prompts_shape", "prompt"),
        ("f.txt", None, "data_missing", "does not exist"),
    ],
)
def test_a_file_of_a_wrong_shape_is_named_with_what_it_has(
    tmp_path: Path, name: str, text: str | None, code: str, says: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError) as caught:
        read(str(path), 3)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_prompts_are_cut_or_repeated_to_a_length_the_template_counted_in() -> None:
    for prompt in read("bundled", 112, input_tokens=90, tokens=letters):
        assert letters(prompt.text) == 90
    for prompt in choose("bundled", 20, input_tokens=90, tokens=letters, overhead=15).prompts:
        assert letters(prompt.text) == 75
    assert letters(fit("ab", 7, letters)) == 7
    assert fit("same", 4, letters) == "same"
    assert words(fit("one two three", 8, words)) == 8


def test_the_tokenizer_of_a_model_counts(workspace: Workspace) -> None:
    tokens = prompts.counter(workspace, "starter")
    assert tokens("") == 0 < tokens("Hello") < tokens("Hello, hello, hello.")
    for prompt in read("bundled", 10, input_tokens=60, tokens=tokens):
        assert 55 <= tokens(prompt.text) <= 60


def test_what_does_not_fit_the_context_is_left_out_and_nothing_at_all_is_an_error() -> None:
    chosen = choose("bundled", 112, room=50)
    assert 0 < chosen.found < 112
    assert chosen.left_out == 112 - chosen.found
    assert all(prompts.estimate_tokens(one.text) <= 50 for one in chosen.prompts)
    with pytest.raises(DataError) as caught:
        choose("bundled", 5, input_tokens=500, tokens=letters, room=100)
    assert caught.value.code == "bench_prompts_long"
    assert "100 tokens" in str(caught.value)
