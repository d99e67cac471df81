"""What a card tells beyond size and name, and the odd folders that people really have."""

from __future__ import annotations

import errno
import json
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from backend import catalog
from backend.catalog import Lineage, ModelCard
from backend.errors import ModelError
from tests.support.models import TEMPLATE, adapter, change, folder, pointer, weights, write


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return folder(tmp_path / "model")


def problem(path: Path) -> ModelError:
    found = catalog.card(path).problem
    assert isinstance(found, ModelError), f"nothing is wrong with {path}"
    assert str(path) in str(found)
    assert found.hint
    assert "{" not in "".join(found.localized())
    return found


# --- what it is


@pytest.mark.parametrize(
    ("rope", "tokens"),
    [
        (None, 1000),
        ({"rope_type": "linear", "factor": 4.0}, 4000),
        ({"type": "dynamic", "factor": 2}, 2000),
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1000}, 4000),
        # DeepSeek and gpt-oss state the stretched length already.
        ({"type": "yarn", "factor": 10.0, "original_max_position_embeddings": 100}, 1000),
        ({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 125}, 1000),
        ({"type": "longrope", "factor": 8.0}, 1000),
        ({"rope_type": "linear", "factor": "four"}, 1000),
        ({"rope_type": ["linear"], "factor": 4}, 1000),
    ],
)
def test_the_context_length_has_the_rope_scaling_in_it(model: Path, rope: Any, tokens: int) -> None:
    change(model / "config.json", max_position_embeddings=1000, rope_scaling=rope)
    assert catalog.card(model).context_length == tokens
    change(model / "config.json", rope_scaling=None, rope_parameters=rope)
    assert catalog.card(model).context_length == tokens


@pytest.mark.parametrize(
    ("config", "method", "bits", "group"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"}, "awq", 4, 128),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, "awq", 4, 64),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1, "desc_act": True}, "gptq", 8, None),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32, "type": "int"}}},
            },
            "compressed-tensors",
            4,
            32,
        ),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "bitsandbytes", 4, None),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes", 8, None),
        ({"quant_method": "gptq", "bits": "four", "group_size": None}, "gptq", 0, None),
        ({"quant_method": 7, "config_groups": {"a": {"weights": {"num_bits": "x"}}}}, "unknown", 0, None),
    ],
)
def test_the_quantization_is_told_by_method_bits_and_group_size(
    model: Path, config: dict[str, Any], method: str, bits: int, group: int | None
) -> None:
    change(model / "config.json", quantization_config=config)
    card = catalog.card(model)
    assert (card.quantization_method, card.quantization_bits, card.quantization_group_size) == (method, bits, group)
    assert card.quantization == (f"{method} {bits} bit" if bits else method)


def test_the_quantization_of_older_tools_is_found_in_their_own_file(model: Path) -> None:
    write(model / "quantize_config.json", {"bits": 4, "group_size": 128})
    assert catalog.card(model).quantization == "gptq 4 bit"


def test_seeing_and_hearing_are_told(model: Path) -> None:
    assert (catalog.card(model).vision, catalog.card(model).audio) == (False, False)
    change(model / "config.json", vision_config={"hidden_size": 4})
    assert (catalog.card(model).vision, catalog.card(model).audio) == (True, False)
    change(model / "config.json", vision_config=None, audio_config={"hidden_size": 4})
    assert (catalog.card(model).vision, catalog.card(model).audio) == (False, True)


@pytest.mark.parametrize(
    ("files", "license"),
    [
        ({"README.md": "---\nlanguage: en\nlicense: apache-2.0\n---\n# M\nlicense: mit\n"}, "apache-2.0"),
        ({"README.md": "---\r\nlicense: 'mit' # really\r\n---\r\n"}, "mit"),
        ({"README.md": "---\nlicense:\n- cc-by-4.0\n---\n"}, "cc-by-4.0"),
        ({"README.md": "---\nlicense: other\nlicense_name: qwen\n---\n"}, "qwen"),
        ({"README.md": "# No front matter\nlicense: mit\n", "LICENSE": "  Apache License\n Version 2.0"}, "apache-2.0"),
        ({"LICENSE": "META LLAMA 3 COMMUNITY LICENSE AGREEMENT"}, "llama3"),
        ({"LICENSE.txt": "You may do as you like."}, "LICENSE.txt"),
        ({"README.md": "---\nlicense: [", "LICENSE": ""}, ""),
        ({}, ""),
    ],
)
def test_the_licence_comes_from_the_readme_then_from_its_own_file(
    model: Path, files: dict[str, str], license: str
) -> None:
    for name, content in files.items():
        (model / name).write_bytes(content.encode())
    assert catalog.card(model).license == license


def test_the_size_is_told_for_the_weights_and_for_the_whole_folder(model: Path) -> None:
    (model / "deep").mkdir()
    (model / "deep" / "extra.bin").write_bytes(b"x" * 5000)
    (model / "loop").symlink_to(model)
    card = catalog.card(model)
    assert card.folder_bytes == sum(f.stat().st_size for f in model.rglob("*") if f.is_file())
    assert 0 < card.tensor_bytes < card.size_bytes < card.folder_bytes - 5000


def test_memory_for_the_weights_is_counted_or_marked_as_an_estimate(model: Path) -> None:
    card = catalog.card(model)
    assert card.parameters is not None
    stored, half = catalog.weights_bytes(card), catalog.weights_bytes(card, "int4")
    assert stored is not None
    assert (stored.bytes, stored.estimated) == (2 * card.parameters, False)
    assert half is not None
    assert (half.bytes, half.estimated) == (card.parameters // 2, True)
    assert catalog.weights_bytes(catalog.card(model / "nothing")) is None


def test_lineage_travels_with_the_folder_and_nonsense_is_left_out(model: Path) -> None:
    catalog.write_lineage(model, Lineage(job=7, verb="finetune", base="starter", dataset="persona"))
    lineage = catalog.card(model).lineage
    assert lineage is not None
    assert (lineage.job, lineage.base, lineage.dataset) == (7, "starter", "persona")
    assert lineage.created
    again = ModelCard.from_dict(json.loads(json.dumps(catalog.card(model).to_dict())))
    assert again == catalog.card(model)
    write(model / "tunedeck.json", {"job": True, "base": 3, "verb": "merge"})
    assert catalog.read_lineage(model) == Lineage(verb="merge")
    for nothing in ("", "[]", "{}", "{", "\x00"):
        (model / "tunedeck.json").write_text(nothing)
        assert catalog.card(model).lineage is None
        assert catalog.card(model).problem is None


# --- chat templates


def test_named_templates_are_listed_the_default_first(model: Path) -> None:
    before = catalog.card(model)
    named = [{"name": "tool_use", "template": "{{ tools }}"}, {"name": "default", "template": TEMPLATE}]
    change(model / "tokenizer_config.json", chat_template=named)
    card = catalog.card(model)
    assert card.templates == ("default", "tool_use")
    assert card.template_fingerprint == before.template_fingerprint
    change(model / "tokenizer_config.json", chat_template=[{"name": 3}, "x", {"template": "y"}])
    assert catalog.card(model).templates == ()
    assert not catalog.card(model).chat_template


def test_template_files_win_and_further_ones_are_named(model: Path) -> None:
    before = catalog.card(model).template_fingerprint
    (model / "chat_template.jinja").write_text(TEMPLATE)
    (model / "additional_chat_templates").mkdir()
    (model / "additional_chat_templates" / "rag.jinja").write_text("{{ documents }}")
    card = catalog.card(model)
    assert card.templates == ("default", "rag")
    assert card.template_fingerprint == before


def test_the_fingerprint_is_the_same_however_the_tokens_are_written(model: Path) -> None:
    before = catalog.card(model).template_fingerprint
    change(model / "tokenizer_config.json", eos_token={"content": "</s>", "lstrip": False, "special": True})
    assert catalog.card(model).template_fingerprint == before
    change(model / "tokenizer_config.json", eos_token=None)
    assert catalog.card(model).template_fingerprint != before
    write(model / "special_tokens_map.json", {"eos_token": "</s>"})
    assert catalog.card(model).template_fingerprint == before


TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Yes?"},
    {"role": "user", "content": "Bye"},
]
RENDERED = {
    "chatml": "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    "<|im_start|>assistant\nYes?<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
    "llama3": "<s><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nYes?<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "gemma": "<s><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\nYes?<end_of_turn>\n"
    "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n",
    "mistral": "<s>[INST] Be kind.\n\nHi [/INST] Yes?</s>[INST] Bye [/INST]",
}
RENDERED["internlm2"] = "<s>" + RENDERED["chatml"]


def test_the_known_templates_write_conversations_as_their_families_do() -> None:
    known = {template.key: template for template in catalog.known_templates()}
    assert known.keys() == RENDERED.keys()
    # As transformers.utils.chat_template_utils sets it up.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    for key, template in known.items():
        compiled = environment.from_string(template.template)
        said = compiled.render(messages=TALK, add_generation_prompt=True, bos_token="<s>", eos_token="</s>")
        assert said == RENDERED[key], key
        alone = compiled.render(messages=[], bos_token="<s>", eos_token="</s>")
        assert alone in ("", "<s>")
        assert all(token in said for token in (*template.needs, *template.ends)), key


# --- adapters


def test_an_adapter_tells_its_rank_and_whether_its_base_is_said(tmp_path: Path) -> None:
    assert catalog.card(adapter(tmp_path / "a", "starter", rank=16)).adapter_rank == 16
    change(tmp_path / "a" / "adapter_config.json", base_model_name_or_path=None, r="many")
    card = catalog.card(tmp_path / "a")
    assert (card.adapter_of, card.adapter_rank, card.problem) == ("?", None, None)


def test_a_pickled_adapter_is_refused(tmp_path: Path) -> None:
    path = adapter(tmp_path / "a", "starter")
    (path / "adapter_model.safetensors").rename(path / "adapter_model.bin")
    assert problem(path).code == "model_pickled"


# --- what people have instead of a model


def test_all_pointers_of_a_clone_without_git_lfs_are_counted(tmp_path: Path) -> None:
    path = folder(tmp_path / "clone", shards=3)
    for file in path.glob("*.safetensors"):
        pointer(file, 5_000_000_000)
    pointer(path / "tokenizer.json", 9_000_000)
    pointer(path / "pytorch_model.bin", 10**12)  # nobody needs it
    found = problem(path)
    assert found.code == "model_pointer"
    assert "4 files" in str(found)
    assert "15 GB" in str(found)
    assert found.params["bytes"] == 15_009_000_000
    assert "git lfs pull" in found.hint
    assert catalog.card(path).architecture == "LlamaForCausalLM"


@pytest.mark.parametrize(
    ("remote", "said"),
    [
        ("https://me:s3cret@hub.example/org/model.git", "https://hub.example/org/model.git"),
        ("git@hub.example:org/model.git", "git@hub.example:org/model.git"),
    ],
)
def test_a_clone_says_where_it_came_from_and_never_with_which_login(tmp_path: Path, remote: str, said: str) -> None:
    path = folder(tmp_path / "clone")
    pointer(path / "model.safetensors")
    assert "OpenXLab" in problem(path).localized()[1]
    for command in (
        ["init", "-q"],
        ["remote", "add", "upstream", "https://else.example/x"],
        ["remote", "add", "origin", remote],
    ):
        subprocess.run(["git", *command], cwd=path, check=True, capture_output=True)
    hint = problem(path).localized()[1]
    assert f"cloned from {said} without git-lfs" in hint
    assert f"'git lfs pull' in {path}" in hint
    assert "s3cret" not in str(problem(path).to_dict())


def test_a_pointer_that_nobody_needs_hinders_nothing(model: Path) -> None:
    pointer(model / "pytorch_model.bin")
    assert catalog.card(model).problem is None


def test_pickled_weights_beside_good_ones_are_named_and_trainers_files_are_not(model: Path) -> None:
    for name in ("pytorch_model.bin", "consolidated.00.pth", "training_args.bin", "optimizer.pt"):
        (model / name).write_bytes(b"x")
    card = catalog.card(model)
    assert card.problem is None
    assert card.pickled == ("consolidated.00.pth", "pytorch_model.bin")


def test_missing_shards_are_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", shards=12, layers=12)
    for number in (2, 3, 5, 8):
        (path / f"model-{number:05d}-of-00012.safetensors").unlink()
    for _ in range(2):
        found = problem(path)
        assert found.code == "model_missing_files"
        assert "4 of 12 weight files" in str(found)
        assert "model-00002-of-00012.safetensors, model-00003-of-00012.safetensors, model-00005" in str(found)
        (path / "model.safetensors.index.json").unlink(missing_ok=True)


def test_a_single_file_is_answered_with_its_folder_and_gguf_with_what_it_is(model: Path) -> None:
    found = problem(model / "model.safetensors")
    assert found.code == "model_is_file"
    assert str(model) in found.localized()[1]
    (model / "q4.gguf").write_bytes(b"GGUF")
    assert problem(model / "q4.gguf").code == "model_gguf"
    assert catalog.card(model).problem is None  # beside good weights it is only a file
    (model / "model.safetensors").unlink()
    assert problem(model).code == "model_gguf"
    (model / "config.json").unlink()
    assert problem(model).code == "model_gguf"


def test_an_empty_folder_a_broken_link_and_the_folder_above_are_told_apart(tmp_path: Path, model: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert problem(tmp_path / "empty").code == "model_empty"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    found = problem(tmp_path / "link")
    assert found.code == "model_link_broken"
    assert str(tmp_path / "nowhere") in str(found)
    (tmp_path / "loop").symlink_to("loop")
    assert problem(tmp_path / "loop").code == "model_link_broken"
    above = problem(tmp_path)
    assert above.code == "model_below"
    assert str(model) in str(above)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer_config.json"])
def test_a_file_that_may_not_be_read_is_named(model: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Permissions do not stop the superuser, as whom these tests may run: the system's own refusal is put in its place.
    real = Path.open

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.name == file:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    found = problem(model)
    assert found.code == "model_unreadable"
    assert "Permission denied" in str(found)
    assert file in str(found)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]},
        {"dtype": 1, "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 9]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [-8, 0]},
        {"dtype": "I32", "shape": [10**300, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]},
        "a string",
        None,
    ],
)
def test_a_header_with_an_impossible_tensor_is_damaged(model: Path, entry: Any) -> None:
    raw = json.dumps({"model.weight": entry}).encode()
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(8))
    assert problem(model).code == "model_damaged"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CONFIG_KEYS = st.sampled_from(
    [
        "architectures",
        "model_type",
        "text_config",
        "thinker_config",
        "max_position_embeddings",
        "rope_scaling",
        "quantization_config",
        "auto_map",
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "head_dim",
        "eos_token_id",
        "license",
        "torch_dtype",
        "vision_config",
    ]
)
TOKENIZER_KEYS = st.sampled_from(["chat_template", "model_max_length", "eos_token", "auto_map", "response_template"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=st.dictionaries(CONFIG_KEYS, ANY, max_size=5), tokenizer=st.dictionaries(TOKENIZER_KEYS, ANY, max_size=3))
def test_no_value_of_a_wrong_type_can_crash_a_card(
    model: Path, config: dict[str, Any], tokenizer: dict[str, Any]
) -> None:
    good = {name: (model / name).read_text() for name in ("config.json", "tokenizer_config.json")}
    try:
        write(model / "config.json", json.loads(good["config.json"]) | config)
        write(model / "tokenizer_config.json", tokenizer)
        card = catalog.card(model)
        assert card.problem is None or isinstance(card.problem, ModelError)
        json.dumps(card.to_dict())
        assert card.name == "model"
    finally:
        for name, text in good.items():
            (model / name).write_text(text)


def test_a_config_of_wrong_types_still_tells_the_parameters(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", max_position_embeddings="many", hidden_size=None, num_attention_heads=[2])
    card = catalog.card(path)
    assert (card.problem, card.context_length, card.kv_bytes_per_token) == (None, None, None)
    assert card.parameters


def test_a_hundred_shards_are_one_model(tmp_path: Path) -> None:
    path = folder(tmp_path / "large", shards=100, layers=100, width=4096)
    card = catalog.card(path)
    assert card.problem is None
    assert card.parameters == 64 * 4096 + 100 * 7 * 4096**2
    assert card.tensor_bytes == 2 * card.parameters


def test_weights_whose_header_is_said_to_be_absurdly_long_are_not_read(model: Path) -> None:
    file = weights(model / "model.safetensors", {"a": ("F32", [4])})
    with file.open("r+b") as opened:
        opened.write(struct.pack("<Q", 2**62))
    assert problem(model).code == "model_damaged"
