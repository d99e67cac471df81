"""What a model folder is, told from real files: whole ones, cut off ones, and things that only look like models."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend import catalog
from backend.catalog import cards as cards_module
from backend.catalog.cards import ModelCard
from backend.cli import main as cli
from backend.engines import ENGINES
from backend.errors import ConflictError, ModelError, NotFoundError
from backend.workspace import ROOT, Workspace
from tests.support.scripted_model import build, write_safetensors

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return build(tmp_path / "model")


def problem(folder: Path) -> ModelError:
    """What is wrong with ``folder``, which must be a sentence with the folder or a file of it in it."""
    found = catalog.card(folder).problem
    assert isinstance(found, ModelError), f"nothing is wrong with {folder}"
    assert str(folder) in str(found)
    assert found.hint
    assert "{" not in str(found)
    return found


def edit(file: Path, **changes: Any) -> None:
    data = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in {**data, **changes}.items() if v is not None}))


# --- whole models


def test_the_card_of_a_whole_model_says_what_it_is(model: Path) -> None:
    card = catalog.card(model)
    assert card.problem is None
    assert (card.name, card.path) == ("model", model)
    assert (card.architecture, card.model_type, card.dtype) == ("LlamaForCausalLM", "llama", "float16")
    assert card.context_length == 4096
    assert card.size_bytes == (model / "model.safetensors").stat().st_size
    assert card.chat_template
    assert card.tools
    assert card.layers == 1
    # layers x KV heads x head size x keys and values x bytes
    assert card.kv_bytes_per_token == 1 * 1 * card.hidden_size * 2 * 2  # type: ignore[operator]


def test_parameters_are_those_that_torch_counts(model: Path) -> None:
    from transformers import AutoModelForCausalLM

    counted = sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(model).parameters())
    assert catalog.card(model).parameters == counted


def test_a_sharded_model_counts_the_same(model: Path, tmp_path: Path) -> None:
    sharded = catalog.card(build(tmp_path / "sharded", shard=True))
    assert sharded.problem is None
    assert sharded.parameters == catalog.card(model).parameters


def test_the_shipped_model_is_whole_and_can_chat_and_call_tools() -> None:
    card = catalog.card(ROOT / "models" / "starter")
    assert card.problem is None
    assert card.chat_template
    assert card.tools
    assert card.parameters is not None
    assert card.size_bytes < 25 << 20


@pytest.mark.parametrize(
    "name", ["with blanks in it", "emoji 😀", "中文模型", "עברית", "a@b:c", "'quoted\" $(name)", "x" * 200]
)
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    assert catalog.card(build(tmp_path / name)).problem is None


def test_a_card_survives_being_written_down(model: Path) -> None:
    card = catalog.card(model)
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card
    broken = catalog.card(model / "nothing")
    again = ModelCard.from_dict(json.loads(json.dumps(broken.to_dict())))
    assert str(again.problem) == str(broken.problem)


def test_the_fingerprint_changes_with_the_template_and_the_end_token_and_nothing_else(model: Path) -> None:
    before = catalog.card(model).template_fingerprint
    assert len(before) == 16
    edit(model / "tokenizer_config.json", padding_side="left")
    assert catalog.card(model).template_fingerprint == before
    edit(model / "generation_config.json", eos_token_id=[1, 2])
    changed = catalog.card(model).template_fingerprint
    assert changed != before
    edit(model / "tokenizer_config.json", chat_template="{{ messages }}")
    assert catalog.card(model).template_fingerprint not in (before, changed)


def test_a_template_in_a_file_of_its_own_wins(model: Path) -> None:
    before = catalog.card(model).template_fingerprint
    (model / "chat_template.jinja").write_text("{{ messages }}")
    card = catalog.card(model)
    assert card.chat_template
    assert card.template_fingerprint != before
    assert not card.tools


def test_a_base_model_has_no_template_and_no_fingerprint(tmp_path: Path) -> None:
    card = catalog.card(build(tmp_path / "base", chat=False))
    assert (card.chat_template, card.template_fingerprint, card.tools, card.problem) == (False, "", False, None)


def test_the_context_length_is_found_under_its_other_names(model: Path) -> None:
    edit(model / "config.json", max_position_embeddings=None, n_positions=512)
    assert catalog.card(model).context_length == 512
    edit(model / "config.json", n_positions=None)
    assert catalog.card(model).context_length is None
    edit(model / "tokenizer_config.json", model_max_length=1e30)
    assert catalog.card(model).context_length is None
    edit(model / "tokenizer_config.json", model_max_length=777)
    assert catalog.card(model).context_length == 777


def test_the_language_part_of_a_model_that_also_sees_is_described(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    nested = {"architectures": ["XForConditionalGeneration"], "model_type": "x", "text_config": config}
    (model / "config.json").write_text(json.dumps(nested))
    card = catalog.card(model)
    assert (card.architecture, card.context_length, card.layers) == ("XForConditionalGeneration", 4096, 1)


@pytest.mark.parametrize(
    ("config", "tensors", "name", "parameters"),
    [
        (
            {"quant_method": "awq", "bits": 4},
            {
                "a.qweight": np.zeros((8, 4), np.int32),
                "a.qzeros": np.zeros((1, 4), np.int32),
                "a.scales": np.zeros((1, 32), np.float16),
            },
            "awq 4 bit",
            8 * 4 * 8,
        ),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4}}}},
            {"a.weight_packed": np.zeros((8, 4), np.int32), "a.weight_shape": np.zeros(2, np.int64)},
            "compressed-tensors 4 bit",
            8 * 4 * 8,
        ),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True},
            {
                "a.weight": np.zeros((64, 1), np.uint8),
                "a.weight.absmax": np.zeros(2, np.float32),
                "a.weight.quant_state.bitsandbytes__nf4": np.zeros(80, np.uint8),
            },
            "bitsandbytes 4 bit",
            128,
        ),
        ({"quant_method": "fp8"}, {"a.weight": np.zeros((8, 4), np.uint8)}, "fp8", 32),
    ],
)
def test_quantized_weights_are_counted_unpacked(
    model: Path, config: dict[str, Any], tensors: dict[str, Any], name: str, parameters: int
) -> None:
    edit(model / "config.json", quantization_config=config)
    write_safetensors(model / "model.safetensors", tensors)
    card = catalog.card(model)
    assert (card.quantization, card.parameters, card.problem) == (name, parameters, None)


def test_an_adapter_is_one_and_names_its_base(tmp_path: Path) -> None:
    settings_file = {"peft_type": "LORA", "base_model_name_or_path": "starter"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings_file))
    write_safetensors(tmp_path / "adapter_model.safetensors", {"a.lora_A.weight": np.zeros((8, 4), np.float32)})
    card = catalog.card(tmp_path)
    assert (card.adapter_of, card.architecture, card.parameters, card.problem) == ("starter", "LORA", 32, None)
    refusal = ENGINES["transformers"].refuses(card)
    assert refusal is not None
    assert "adapter of starter" in str(refusal)


# --- broken ones


@pytest.mark.parametrize("missing", [1, 2, 8, 1000])
def test_cut_off_weights_are_named_with_both_sizes(model: Path, missing: int) -> None:
    weights = model / "model.safetensors"
    size = weights.stat().st_size
    os.truncate(weights, size - missing)
    found = problem(model)
    assert found.code == "model_truncated"
    assert f"{size - missing} of {size} bytes" in str(found)
    # What the rest tells is still told.
    assert catalog.card(model).architecture == "LlamaForCausalLM"


@pytest.mark.parametrize("left", [0, 7, 8, 9, 100])
def test_weights_cut_off_within_their_header_are_cut_off(model: Path, left: int) -> None:
    os.truncate(model / "model.safetensors", left)
    assert problem(model).code == "model_truncated"


def test_weights_with_a_byte_too_many_are_damaged(model: Path) -> None:
    with (model / "model.safetensors").open("ab") as file:
        file.write(b"x")
    assert problem(model).code == "model_damaged"


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**40) + b"{}" * 50,
        struct.pack("<Q", 4) + b"nope",
        struct.pack("<Q", 4) + b"[{}]",
        struct.pack("<Q", 7) + b'{"a":1}',
        struct.pack("<Q", 36) + b'{"a":{"data_offsets":["x","y","zz"]}}'[:36],
        struct.pack("<Q", 50_000) + b"[" * 50_000,
        b"\xff" * 64,
    ],
)
def test_a_header_that_is_none_is_a_sentence_and_not_a_crash(model: Path, raw: bytes) -> None:
    (model / "model.safetensors").write_bytes(raw)
    assert problem(model).code in ("model_damaged", "model_truncated")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**9), value=st.integers(0, 255))
def test_no_flipped_byte_in_the_header_can_crash_the_card(model: Path, at: int, value: int) -> None:
    weights = model / "model.safetensors"
    good = weights.read_bytes()
    length = 8 + struct.unpack("<Q", good[:8])[0]
    position = at % length
    weights.write_bytes(good[:position] + bytes([value]) + good[position + 1 :])
    try:
        card = catalog.card(model)
        assert card.problem is None or isinstance(card.problem, ModelError)
    finally:
        weights.write_bytes(good)


def test_a_missing_shard_is_named_and_counted(tmp_path: Path) -> None:
    folder = build(tmp_path / "sharded", shard=True)
    (folder / "model-00002-of-00002.safetensors").unlink()
    found = problem(folder)
    assert found.code == "model_missing_files"
    assert "1 of 2 weight files" in str(found)
    (folder / "model.safetensors.index.json").unlink()
    assert problem(folder).code == "model_missing_files"


def test_an_index_that_promises_more_than_the_shards_hold_is_told(tmp_path: Path) -> None:
    folder = build(tmp_path / "sharded", shard=True)
    index = folder / "model.safetensors.index.json"
    data = json.loads(index.read_text())
    data["weight_map"]["model.layers.9.weight"] = "model-00001-of-00002.safetensors"
    index.write_text(json.dumps(data))
    assert "model.layers.9.weight" in str(problem(folder))


def test_an_index_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = build(tmp_path / "sharded", shard=True)
    build(tmp_path / "other")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../other/model.safetensors"}}))
    assert problem(folder).code == "model_missing_files"


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_git_lfs_pointer_is_recognised(model: Path, file: str) -> None:
    (model / file).write_text(POINTER)
    found = problem(model)
    assert found.code == "model_pointer"
    assert file in str(found)
    assert "git lfs pull" in found.hint


def test_pickled_weights_are_refused_and_the_reason_is_given(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    found = problem(model)
    assert found.code == "model_pickled"
    assert "run any program" in str(found)


@pytest.mark.parametrize(
    ("gone", "code"),
    [
        (["config.json"], "model_no_config"),
        (["model.safetensors"], "model_no_weights"),
        (["tokenizer.json"], "model_no_tokenizer"),
    ],
)
def test_what_is_missing_is_named(model: Path, gone: list[str], code: str) -> None:
    for name in gone:
        (model / name).unlink()
    assert problem(model).code == code


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff", '{"architectures": 3}', "[" * 100_000])
def test_a_config_that_is_none_is_a_sentence_and_not_a_crash(model: Path, text: str) -> None:
    (model / "config.json").write_text(text)
    card = catalog.card(model)
    assert card.problem is None or card.problem.code == "model_config_bad"
    assert card.architecture == ""


def test_no_folder_a_file_and_an_unreadable_folder_are_sentences(tmp_path: Path, model: Path) -> None:
    assert problem(tmp_path / "nothing").code == "model_missing"
    assert problem(model / "config.json").code == "model_is_file"
    assert problem(Path("/" + "x" * 5000)).code in ("model_missing", "model_unreadable")


# --- the list


def test_the_list_begins_with_what_is_shipped_and_a_broken_model_hides_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    for name in ("b", "a", "C"):
        catalog.add(workspace, build(tmp_path / name))
    os.truncate(tmp_path / "a" / "model.safetensors", 100)
    cards = catalog.models(workspace)
    assert [c.name for c in cards] == ["starter", "a", "b", "C"]
    assert [c.builtin for c in cards] == [True, False, False, False]
    assert [c.problem is not None for c in cards][1:] == [True, False, False]


def test_adding_copies_nothing_and_removing_deletes_nothing(workspace: Workspace, model: Path) -> None:
    files = {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in model.iterdir()}
    catalog.add(workspace, model, "mine")
    (entry,) = workspace.models.iterdir()
    assert entry.stat().st_size < 5000
    catalog.remove(workspace, "mine")
    assert list(workspace.models.iterdir()) == []
    assert {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in model.iterdir()} == files


def test_adding_twice_makes_one_and_a_taken_name_is_a_conflict(
    workspace: Workspace, model: Path, tmp_path: Path
) -> None:
    catalog.add(workspace, model)
    catalog.add(workspace, str(model))
    assert [c.name for c in catalog.models(workspace)] == ["starter", "model"]
    with pytest.raises(ConflictError, match=r"already a model called 'model'"):
        catalog.add(workspace, build(tmp_path / "other"), "model")
    with pytest.raises(ConflictError, match=r"already a model called 'starter'"):
        catalog.add(workspace, model, "starter")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "../x", "a@main", "a\x00b", "x" * 97])
def test_a_name_that_no_client_could_use_is_refused(workspace: Workspace, model: Path, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        catalog.add(workspace, model, name)
    assert caught.value.code == "model_name_bad"


@pytest.mark.parametrize("name", ["模型", "😀", "my model", "a.b-c_d", "{braces}", "100%"])
def test_names_people_would_give_work_and_are_kept_apart(workspace: Workspace, model: Path, name: str) -> None:
    catalog.add(workspace, model, name)
    catalog.add(workspace, model, name + "!")
    assert catalog.find(workspace, name).name == name
    assert {c.name for c in catalog.models(workspace)} == {"starter", name, name + "!"}


def test_a_broken_model_is_not_added(workspace: Workspace, model: Path) -> None:
    os.truncate(model / "model.safetensors", 10)
    with pytest.raises(ModelError, match="cut off"):
        catalog.add(workspace, model)
    assert len(catalog.models(workspace)) == 1


def test_finding_goes_by_name_then_by_folder_and_says_what_there_is(workspace: Workspace, model: Path) -> None:
    catalog.add(workspace, model, "mine")
    assert catalog.find(workspace, "mine").path == model
    assert catalog.find(workspace, str(model)).name == "mine"
    assert catalog.find(workspace, "starter").builtin
    with pytest.raises(NotFoundError) as caught:
        catalog.find(workspace, "thine")
    assert "starter, mine" in caught.value.localized()[1]


def test_what_was_never_added_or_is_shipped_cannot_be_removed(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError):
        catalog.remove(workspace, "nothing")
    with pytest.raises(NotFoundError):
        catalog.remove(workspace, "/etc")
    with pytest.raises(ConflictError):
        catalog.remove(workspace, "starter")


def test_a_change_on_disk_is_seen_at_once(workspace: Workspace, model: Path) -> None:
    catalog.add(workspace, model, "mine")
    assert catalog.find(workspace, "mine").problem is None
    weights = model / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1])
    assert catalog.find(workspace, "mine").problem is not None
    weights.write_bytes(good)
    assert catalog.find(workspace, "mine").problem is None
    for file in model.iterdir():
        file.unlink()
    model.rmdir()
    found = catalog.find(workspace, "mine").problem
    assert found is not None
    assert found.code == "model_missing"


def test_a_list_that_trusts_its_last_look_still_sees_what_came_or_went_and_fresh_sees_all(
    workspace: Workspace, model: Path
) -> None:
    catalog.add(workspace, model, "mine")
    os.utime(model, (1_700_000_000, 1_700_000_000))  # settled: not made just now

    def trusting() -> ModelCard:
        return catalog.models(workspace, 60.0)[-1]

    assert trusting().problem is None
    weights = model / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1])  # in place: neither came nor went
    assert trusting().problem is None
    (shown,) = catalog.fresh(workspace, [trusting()])
    assert shown.problem is not None
    assert trusting().problem is not None  # what was seen is known from then on
    weights.write_bytes(good)
    assert catalog.models(workspace)[-1].problem is None
    weights.unlink()
    assert trusting().problem is not None
    catalog.remove(workspace, "mine")
    assert catalog.fresh(workspace, [shown]) == [shown]
    assert [card.name for card in catalog.models(workspace, 60.0)] == ["starter"]


def test_a_folder_that_was_made_just_now_is_not_trusted(workspace: Workspace, model: Path) -> None:
    catalog.add(workspace, model, "mine")
    os.utime(model, (time.time() + 60, time.time() + 60))
    weights = model / "model.safetensors"
    catalog.models(workspace, 60.0)
    weights.write_bytes(weights.read_bytes()[:-1])
    assert catalog.models(workspace, 60.0)[-1].problem is not None


def test_a_damaged_entry_is_passed_over(workspace: Workspace, model: Path) -> None:
    catalog.add(workspace, model, "mine")
    (workspace.models / "bad.json").write_text("{")
    (workspace.models / "odd.json").write_text('{"name": 3}')
    (workspace.models / "a folder").mkdir()
    assert [c.name for c in catalog.models(workspace)] == ["starter", "mine"]


def test_a_list_of_1000_models_opens_no_weights_again(
    workspace: Workspace, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1000):
        catalog.add(workspace, model, f"m{number:04d}")
    read: list[Path] = []
    real = cards_module.read_weights
    monkeypatch.setattr(cards_module, "read_weights", lambda folder, q: (read.append(folder), real(folder, q))[1])
    assert len(catalog.models(workspace)) == 1001
    # A process that starts now reads the cards from the entries.
    monkeypatch.setattr("backend.catalog.entries._cards", {})
    cards = catalog.models(workspace)
    assert len(cards) == 1001
    assert cards[-1].parameters
    assert read == [ROOT / "models" / "starter"]


def test_the_catalog_needs_neither_torch_nor_transformers() -> None:
    code = "import sys, backend.catalog, backend.engines.serving; print({'torch','transformers','numpy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


# --- the command line


def test_the_command_line_adds_lists_shows_and_removes(
    workspace: Workspace, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["models", "add", str(model), "--name", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    assert cli(["models", "list", "--json"]) == 0
    assert [m["name"] for m in json.loads(capsys.readouterr().out)] == ["starter", "mine"]
    assert cli(["models", "card", "mine"]) == 0
    assert "LlamaForCausalLM" in capsys.readouterr().out
    assert cli(["models", "remove", "mine", "--json"]) == 0
    capsys.readouterr()
    assert cli(["models", "card", "mine", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "model_unknown"


def test_the_command_line_says_what_is_wrong_with_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["models", "card", str(tmp_path), "--json"]) == 1
    card = json.loads(capsys.readouterr().out)
    assert (card["problem"]["code"], card["path"]) == ("model_no_config", str(tmp_path))
    assert "is not a model" in card["problem"]["text"]
    assert cli(["models", "add", str(tmp_path)]) == 1
    assert "is not a model" in capsys.readouterr().err
