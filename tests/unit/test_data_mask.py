"""What is learned of a row: the same text and tokens as transformers, and the same mask where a template says it itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from backend import catalog
from backend.data.rows import Row
from backend.data.tokens import TokenModel, mask, open_listed, open_model, template
from backend.data.tokens.differences import differences
from backend.data.tokens.encoded import IGNORE, Encoded
from backend.errors import DataError, ModelError, PanelError
from backend.workspace import ROOT, Workspace
from tests.support.models import adapter, change, folder, lora_shapes
from tests.support.token_models import CHATML, INST, MARKED, THINKING, qwen_like, tokens_only

STARTER = ROOT / "models" / "starter"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln <b>"}'}}


def row(*turns: tuple[str, str] | tuple[str, str, bool], **more: Any) -> Row:
    """A row of (role, content) or (role, content, loss)."""
    messages = [{"role": turn[0], "content": turn[1], **({"loss": turn[2]} if len(turn) > 2 else {})} for turn in turns]
    return {"messages": messages, **more}  # type: ignore[typeddict-item]


PLAIN = row(
    ("user", "hello"), ("assistant", " This is it. 你好 👩‍🌾\n\n"), ("user", "\nand\tnow?"), ("assistant", "hello")
)
SYSTEM = row(("system", "Be brief & <kind>."), *((m["role"], m["content"]) for m in PLAIN["messages"]))
CALLS: Row = {
    "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "12 °C", "tool_call_id": "1"},
        {"role": "assistant", "content": "It is 12 °C."},
    ],
    "tools": TOOLS,
}


def learned_texts(model: TokenModel, found: Encoded) -> list[str]:
    """What is learned, in one text for each run of tokens."""
    runs, before = list[str](), False
    for piece in mask.pieces(model, found):
        if piece.trained:
            runs = [*runs[:-1], runs[-1] + piece.text] if before else [*runs, piece.text]
        before = piece.trained
    return runs


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., TokenModel]:
    def make(source: str | None, **settings: Any) -> TokenModel:
        return open_model(tokens_only(tmp_path / "made", source, **settings))

    return make


def folders(tmp_path: Path) -> dict[str, Path]:
    return {
        "starter": STARTER,
        "tiny": ROOT / "models" / "tiny",
        "chatml": tokens_only(tmp_path / "chatml", CHATML),
        "qwen": qwen_like(tmp_path / "qwen"),
        "marked": tokens_only(tmp_path / "marked", MARKED, bos_token="<s>"),
        "inst": tokens_only(tmp_path / "inst", INST, bos_token="<s>", eos_token="</s>"),
        "thinking": tokens_only(tmp_path / "thinking", THINKING),
        # Named in the settings only, and not in the tokenizer's own file.
        "late": tokens_only(tmp_path / "late", CHATML, bos_token="<|late|>"),
    }


@pytest.mark.parametrize("name", ["starter", "tiny", "chatml", "qwen", "marked", "inst", "thinking", "late"])
def test_text_and_tokens_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    folder = folders(tmp_path)[name]
    model, theirs = open_model(folder), AutoTokenizer.from_pretrained(folder)
    rows = [PLAIN, CALLS] if name in ("starter", "tiny") else [PLAIN]
    for one in rows + [SYSTEM] * (name != "inst"):
        messages = template.conversation(one)
        text = theirs.apply_chat_template(messages, tools=one.get("tools"), tokenize=False)
        ids = theirs.apply_chat_template(messages, tools=one.get("tools"), return_dict=True)["input_ids"]
        assert template.render(model, one) == text
        prompt = theirs.apply_chat_template(
            messages, tools=one.get("tools"), tokenize=False, add_generation_prompt=True
        )
        assert template.render(model, one, prompt=True) == prompt
        pieces = mask.view(model, one)
        assert [piece.id for piece in pieces] == ids
        assert "".join(piece.text for piece in pieces) == text
        special = {token for token, added in theirs.added_tokens_decoder.items() if added.special}
        assert {piece.id for piece in pieces if piece.special} == {token for token in ids if token in special}


def test_the_mask_is_the_one_that_the_template_marks_as_transformers_reads_it(tmp_path: Path) -> None:
    folder = folders(tmp_path)["marked"]
    model, theirs = open_model(folder), AutoTokenizer.from_pretrained(folder)
    for one in (PLAIN, SYSTEM):
        said = theirs.apply_chat_template(one["messages"], return_dict=True, return_assistant_tokens_mask=True)
        assert sum(said["assistant_masks"])
        assert mask.encode(model, one).trained == [bool(flag) for flag in said["assistant_masks"]]


@pytest.mark.parametrize("name", ["starter", "chatml"])
def test_without_marks_it_is_what_the_same_template_with_marks_says(name: str, tmp_path: Path) -> None:
    """Llama 3's way and ChatML's: the answer and the token that ends it, neither its announcement nor what follows."""
    if name == "starter":
        model, theirs = open_model(STARTER), AutoTokenizer.from_pretrained(STARTER)
        turn = (
            "'<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n'",
            "m['content'] | trim + '<|eot_id|>'",
            "''",
        )
        begin = "{{ bos_token }}"
    else:
        folder = folders(tmp_path)[name]
        model, theirs = open_model(folder), AutoTokenizer.from_pretrained(folder)
        turn = "'<|im_start|>' + m['role'] + '\\n'", "m['content'] + '<|im_end|>'", "'\\n'"
        begin = ""
    source = (
        begin + "{% for m in messages %}{{ " + turn[0] + " }}{% if m['role'] == 'assistant' %}{% generation %}{{ "
        + turn[1] + " }}{% endgeneration %}{% else %}{{ " + turn[1] + " }}{% endif %}{{ " + turn[2] + " }}{% endfor %}"
    )  # fmt: skip
    # The blank line becomes one token with the end of the announcement: it is learned, for it holds some of the answer.
    late = row(("system", "Be brief."), ("user", "hello"), ("assistant", "\nlate"))
    for one in (SYSTEM, late):
        said = theirs.apply_chat_template(
            one["messages"], chat_template=source, return_dict=True, return_assistant_tokens_mask=True
        )
        marks = [bool(flag) for flag in said["assistant_masks"]]
        found = mask.encode(model, one)
        assert found.ids == said["input_ids"]
        assert found.trained == marks
        assert found.labels == [token if flag else IGNORE for token, flag in zip(found.ids, marks, strict=True)]


def test_an_answer_that_calls_a_function_is_learned_and_its_result_is_not() -> None:
    model = open_model(STARTER)
    call = '{"name": "weather", "parameters": {"city": "Köln <b>"}}<|eot_id|>'
    assert learned_texts(model, mask.encode(model, CALLS)) == [call, "It is 12 °C.<|eot_id|>"]


def test_flags_of_messages_are_honoured_in_every_way_of_masking(made: Callable[..., TokenModel]) -> None:
    flagged = row(("user", "hello", True), ("assistant", "one", False), ("user", "more"), ("assistant", "two"))
    answers = row(("user", "hello"), ("assistant", "one", False), ("user", "more"), ("assistant", "two"))
    model = made(CHATML)
    expected = ["hello<|im_end|>", "two<|im_end|>"]
    assert learned_texts(model, mask.encode(model, flagged)) == expected
    model = made(MARKED, bos_token="<s>")
    assert learned_texts(model, mask.encode(model, answers)) == ["two<|im_end|>"]
    nothing = mask.encode(model, row(("user", "hello"), ("assistant", "one", False)))
    assert not any(nothing.trained)
    assert [note.code for note in nothing.notes] == ["nothing_learned"]


def test_a_template_that_rewrites_earlier_answers_is_told_and_masked_all_the_same(
    made: Callable[..., TokenModel],
) -> None:
    model = made(THINKING)
    thoughtful = row(
        ("user", "hello"), ("assistant", "<think>\nwhy\n</think>\n\none"), ("user", "more"), ("assistant", "<think>\nnow\n</think>\n\ntwo")
    )  # fmt: skip
    found = mask.encode(model, thoughtful)
    # The last one begins where a running model goes on; of the first one the thoughts are gone from the text.
    assert learned_texts(model, found) == ["one<|im_end|>", "now\n</think>\n\ntwo<|im_end|>"]
    assert [(note.code, note.values["turn"]) for note in found.notes] == [("rewrites", 2)]
    assert "answer 2" in found.notes[0].message()
    bare = mask.encode(model, row(("user", "hello"), ("assistant", "two")))
    assert learned_texts(model, bare) == ["two<|im_end|>"]
    assert [note.code for note in bare.notes] == ["prompt_differs"]
    assert "<think>" in bare.notes[0].message()


def test_an_answer_that_the_template_throws_away_is_said_not_to_be_learned(made: Callable[..., TokenModel]) -> None:
    model = made("{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}{% endfor %}")
    found = mask.encode(model, row(("user", "hello"), ("assistant", "gone")))
    assert not any(found.trained)
    assert [note.code for note in found.notes] == ["not_found", "nothing_learned"]


def test_a_template_that_begins_with_an_answer_or_refuses_half_a_row_still_masks(
    made: Callable[..., TokenModel],
) -> None:
    model = made(
        "{{ messages[0]['content'][:0] }}{% if messages | length < 3 %}{{ raise_exception('too short') }}{% endif %}"
        + CHATML
    )
    found = mask.encode(model, row(("user", "hello"), ("assistant", "one"), ("user", "more"), ("assistant", "two")))
    assert learned_texts(model, found) == ["one<|im_end|>", "two<|im_end|>"]
    assert found.notes == ()
    first = mask.encode(made(CHATML), row(("assistant", "one"), ("user", "more"), ("assistant", "two")))
    assert learned_texts(model, first) == ["one<|im_end|>", "two<|im_end|>"]


def test_mistrals_way_has_no_announcement_and_refuses_two_users_in_its_own_words(
    made: Callable[..., TokenModel],
) -> None:
    model = made(INST, bos_token="<s>", eos_token="</s>")
    found = mask.encode(model, row(("user", "hello"), ("assistant", "one"), ("user", "more"), ("assistant", "two")))
    assert learned_texts(model, found) == [" one</s>", " two</s>"]
    with pytest.raises(DataError, match="roles must alternate") as refused:
        mask.encode(model, row(("user", "hello"), ("user", "more"), ("assistant", "two")))
    assert refused.value.code == "tokens_template_refuses"


def test_what_is_beyond_the_limit_is_cut_off_and_counted() -> None:
    model = open_model(STARTER)
    whole = mask.encode(model, PLAIN)
    cut = mask.encode(model, PLAIN, 5)
    assert (cut.ids, cut.total) == (whole.ids[:5], whole.total)
    assert [note.code for note in cut.notes] == ["cut", "nothing_learned"]
    assert f"{whole.total - 5} tokens" in cut.notes[0].message()


def test_a_template_cannot_reach_out_of_its_sandbox(made: Callable[..., TokenModel]) -> None:
    model = made("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(DataError, match="unsafe"):
        template.render(model, PLAIN)
    with pytest.raises(DataError, match="unsafe"):
        template.render(made("{{ messages.append(1) }}"), PLAIN)


@pytest.mark.parametrize(
    ("change_it", "code"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokens_no_tokenizer"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokens_tokenizer_bad"),
        (lambda folder: (folder / "tokenizer.json").write_bytes(b"\xff"), "tokens_tokenizer_bad"),
        (lambda folder: (folder / "tokenizer.json").write_text("version https://git-lfs\n"), "model_pointer"),
        (lambda folder: change(folder / "tokenizer_config.json", chat_template=None), "tokens_no_template"),
        (lambda folder: change(folder / "tokenizer_config.json", chat_template="{% for %}"), "tokens_template_bad"),
    ],
)
def test_what_is_missing_is_named(change_it: Callable[[Path], Any], code: str, tmp_path: Path) -> None:
    made = tokens_only(tmp_path / "made", CHATML)
    change_it(made)
    with pytest.raises(PanelError) as missing:
        mask.view(open_model(made), PLAIN)
    assert missing.value.code == code
    assert "made" in str(missing.value)
    assert missing.value.hint


def test_a_changed_folder_is_read_again_and_has_another_fingerprint(tmp_path: Path) -> None:
    folder = tokens_only(tmp_path / "made", CHATML)
    first = open_model(folder)
    assert open_model(folder) is first
    change(folder / "tokenizer_config.json", chat_template=CHATML + " ")
    assert open_model(folder).fingerprint != first.fingerprint


def test_a_listed_model_brings_the_template_that_was_chosen_for_it_and_an_adapter_its_base(
    workspace: Workspace, tmp_path: Path
) -> None:
    bare = tokens_only(folder(tmp_path / "bare"), None)
    catalog.add(workspace, bare)
    with pytest.raises(ModelError, match="no chat template"):
        mask.view(open_listed(workspace, "bare"), PLAIN)
    catalog.choose_template(workspace, "bare", "chatml")
    catalog.add(workspace, adapter(tmp_path / "lora", "bare", shapes=lora_shapes()))
    for name in ("bare", "lora"):
        opened = open_listed(workspace, name)
        assert opened.folder == bare
        assert template.render(opened, PLAIN).startswith("<|im_start|>user\nhello")


def test_the_differences_of_both_engines_are_said_in_words(tmp_path: Path) -> None:
    starter = open_model(STARTER)
    same = row(("system", "Be brief."), ("user", "hello"), ("assistant", "Hello."))
    both = [mask.encoded(starter, same, engine) for engine in ("peft", "xtuner")]  # type: ignore[arg-type]
    assert differences(starter, *both) == ["Both engines read the same tokens of this row and learn the same ones."]
    blanks = row(("user", "hello"), ("assistant", " Hello."))
    both = [mask.encoded(starter, blanks, engine) for engine in ("peft", "xtuner")]  # type: ignore[arg-type]
    (said,) = differences(starter, *both)
    assert said == "Token 12: only XTuner reads “␣”."
    flagged = row(("user", "hello", True), ("assistant", "Hello."))
    both = [mask.encoded(starter, flagged, engine) for engine in ("peft", "xtuner")]  # type: ignore[arg-type]
    assert "learned by one engine only" in differences(starter, *both)[0]
    assert "flags_of_others" in {note.code for note in both[1].notes}
    qwen = open_model(qwen_like(tmp_path / "qwen"))
    both = [mask.encoded(qwen, PLAIN, engine) for engine in ("peft", "xtuner")]  # type: ignore[arg-type]
    assert "only transformers with peft reads “system⏎You␣are␣helpful" in differences(qwen, *both)[0]
    inst = open_model(tokens_only(tmp_path / "inst", INST, bos_token="<s>", eos_token="</s>"))
    one, other = mask.encoded(inst, same_without_system(), "peft"), mask.encoded(inst, same_without_system(), "xtuner")
    assert not any("stop" in said for said in differences(inst, one, other))
    unended = Encoded(one.ids, one.texts, [learned and text != "</s>" for learned, text in zip(one.trained, one.texts, strict=True)], one.total)  # fmt: skip
    assert "may not stop" in differences(inst, one, unended)[0]


def same_without_system() -> Row:
    return row(("user", "hello"), ("assistant", "Hello."))
