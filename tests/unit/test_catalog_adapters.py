"""Adapters and their bases: which model on the list is meant, whether the two fit by their headers, and what they are as one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.catalog.fitting import spare_tokens
from backend.catalog.weights import pickled_files
from backend.cli import main as cli
from backend.engines import ENGINES, refusal
from backend.errors import ConflictError
from backend.queue.store import open_store
from backend.workspace import Workspace
from tests.support.models import adapter, change, folder, lora_shapes, write

TOP = "base_model.model"


@pytest.fixture
def base(workspace: Workspace, tmp_path: Path) -> catalog.ModelCard:
    """64 tokens, width 16, two layers, one matrix for both ends."""
    return catalog.add(workspace, folder(tmp_path / "base-8B"))


def joined(workspace: Workspace, path: Path) -> catalog.ModelCard:
    return catalog.find(workspace, catalog.add(workspace, path).name)


def test_an_adapter_is_served_as_its_base_with_it_on_top(
    workspace: Workspace, base: catalog.ModelCard, tmp_path: Path
) -> None:
    card = joined(workspace, adapter(tmp_path / "lora", "Org/base-8B", shapes=lora_shapes()))
    assert card.base == base
    assert card.unfit is None
    assert refusal(card) is None
    one = card.served
    assert (one.name, one.path, one.adapter_of) == ("lora", tmp_path / "lora", "Org/base-8B")
    assert (one.architecture, one.context_length, one.dtype) == ("LlamaForCausalLM", 128, "bfloat16")
    assert (one.chat_template, one.template_fingerprint) == (True, base.template_fingerprint)
    assert one.size_bytes == base.size_bytes + card.size_bytes
    assert card.parameters == 2 * 8 * 16
    assert one.parameters == (base.parameters or 0) + 2 * 8 * 16
    parts, alone = (ENGINES["transformers"].memory_bytes(each, 100) for each in (card, base))
    assert parts["weights"] == alone["weights"] + card.size_bytes
    assert parts["kv_cache"] == alone["kv_cache"] > 0
    # The list, and what is drawn of it, say the same; what is stored of it does not hold the base.
    (listed,) = [each for each in catalog.models(workspace) if each.name == "lora"]
    (drawn,) = catalog.fresh(workspace, [listed])
    assert listed is drawn is catalog.find(workspace, str(tmp_path / "lora"))
    assert base.served is base
    stored = card.to_dict()
    assert (stored["base"], stored["unfit"]) == ("base-8B", None)
    assert catalog.ModelCard.from_dict(stored) == card


FITTING: dict[str, dict[str, Any]] = {
    "one module": {"shapes": lora_shapes()},
    "an embedding": {
        "shapes": {
            f"{TOP}.model.embed_tokens.lora_embedding_A": [8, 64],
            f"{TOP}.model.embed_tokens.lora_embedding_B": [16, 8],
        }
    },
    "a head that is the embedding": {
        "shapes": {f"{TOP}.lm_head.lora_A.weight": [8, 16], f"{TOP}.lm_head.lora_B.weight": [64, 8]}
    },
    "a whole copy": {"shapes": {**lora_shapes(), f"{TOP}.model.embed_tokens.modules_to_save.weight": [64, 16]}},
    "a rank of its own": {"shapes": lora_shapes(4), "rank_pattern": {"q_proj": 4}},
    "no task": {"shapes": lora_shapes(), "task_type": None},
    "settings of a wrong type": {"shapes": lora_shapes(), "r": ["many"], "rank_pattern": 7},
    "names of another version": {
        "shapes": {"base_model.model.model.language_model.layers.1.up_proj.lora_A.weight": [8, 16]}
    },
}


@pytest.mark.parametrize("made", FITTING.values(), ids=FITTING)
def test_what_fits_is_taken(
    workspace: Workspace, base: catalog.ModelCard, tmp_path: Path, made: dict[str, Any]
) -> None:
    card = joined(workspace, adapter(tmp_path / "lora", "base-8B", **made))
    assert (card.base, card.unfit) == (base, None)


MISFITS: list[tuple[str, dict[str, Any], str]] = [
    ("adapter_kind_unknown", {"peft_type": "PREFIX_TUNING"}, "kind PREFIX_TUNING"),
    ("adapter_task", {"task_type": "SEQ_CLS"}, "for the task SEQ_CLS"),
    ("adapter_other_architecture", {"shapes": lora_shapes(module="layers.0.wqkv")}, "layers.0.wqkv, and its base"),
    ("adapter_other_architecture", {"shapes": lora_shapes(module="layers.7.q_proj")}, "layers.7.q_proj, and its base"),
    ("adapter_other_size", {"shapes": lora_shapes(width=32)}, "is 16 x 16 there, and the adapter is made for 32 x 32"),
    ("adapter_rank_wrong", {"shapes": lora_shapes(4)}, "say rank 8, its weights have rank 4 at"),
    ("adapter_rank_wrong", {"shapes": lora_shapes() | {f"{TOP}.model.layers.0.q_proj.lora_B.weight": [16, 4]}}, "rank 8 / 4"),
    ("adapter_vocabulary", {"shapes": lora_shapes() | {f"{TOP}.model.embed_tokens.weight": [70, 16]}}, "of 70 tokens, and its base 'base-8B' has 64"),
    ("adapter_vocabulary", {"shapes": {f"{TOP}.lm_head.lora_A.weight": [8, 16], f"{TOP}.lm_head.lora_B.weight": [70, 8]}}, "of 70 tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "made", "words"), MISFITS)
def test_what_does_not_fit_is_refused_with_what_differs(
    workspace: Workspace, base: catalog.ModelCard, tmp_path: Path, code: str, made: dict[str, Any], words: str
) -> None:
    path = adapter(tmp_path / "lora", "base-8B", **{"shapes": lora_shapes(), "task_type": "CAUSAL_LM", **made})
    card = joined(workspace, path)
    assert card.problem is None
    assert card.unfit is not None
    assert (card.unfit.code, refusal(card)) == (code, card.unfit)
    assert words in str(card.unfit)
    assert card.unfit.localized()[1]


def test_a_base_that_is_missing_unknown_broken_or_not_the_only_one_is_said(
    workspace: Workspace, tmp_path: Path
) -> None:
    def why() -> tuple[str, str]:
        found = catalog.find(workspace, "lora").unfit
        assert found is not None
        assert refusal(catalog.find(workspace, "lora")) is not None
        return found.code, " ".join(found.localized())

    path = adapter(tmp_path / "lora", "/root/model/Base-8B", shapes=lora_shapes())
    catalog.add(workspace, path)
    code, said = why()
    assert code == "adapter_base_missing"
    assert "adapter of /root/model/Base-8B, and that model is not on the list" in said
    assert "under the name Base-8B" in said
    for number in (1, 2):
        catalog.add(workspace, folder(tmp_path / f"store{number}" / "base-8b"), f"copy{number}")
    code, said = why()
    assert code == "adapter_base_ambiguous"
    assert "2 models on the list could be that: copy1, copy2" in said
    # What the hint says helps: under the very name, one of them is meant.
    catalog.add(workspace, tmp_path / "store2" / "base-8b", "Base-8B")
    found = catalog.find(workspace, "lora")
    assert found.base is not None
    assert (found.base.name, found.unfit) == ("Base-8B", None)
    shutil.move(tmp_path / "store2", tmp_path / "elsewhere")
    code, said = why()
    assert code == "adapter_base_unusable"
    assert "There is no model folder at" in said
    shutil.move(tmp_path / "elsewhere", tmp_path / "store2")
    assert catalog.find(workspace, "lora").unfit is None
    change(path / "adapter_config.json", base_model_name_or_path=None)
    assert why()[0] == "adapter_base_unknown"


def test_two_names_of_one_folder_are_one_base(workspace: Workspace, tmp_path: Path) -> None:
    model = folder(tmp_path / "deep" / "base-8B")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "base-8B").symlink_to(model)
    for path, name in ((model, "one"), (tmp_path / "link" / "base-8B", "two")):
        catalog.add(workspace, path, name)
    card = joined(workspace, adapter(tmp_path / "lora", "org/base-8B", shapes=lora_shapes()))
    assert card.base is not None
    assert (card.base.name, card.unfit) == ("one", None)


def test_what_forbids_the_base_forbids_its_adapters(workspace: Workspace, tmp_path: Path) -> None:
    path = folder(
        tmp_path / "own",
        auto_map={"AutoModelForCausalLM": "modeling.Own"},
        architectures=["OwnForCausalLM"],
        model_type="own",
    )
    (path / "modeling.py").write_text("class Own: pass\n")
    catalog.add(workspace, path)
    lora = joined(workspace, adapter(tmp_path / "lora", "own", shapes=lora_shapes()))
    refused = refusal(lora)
    assert refused is not None
    assert (refused.code, refused.params["model"]) == ("model_needs_code", "own")
    catalog.allow_code(workspace, "own", catalog.find(workspace, "own").code_fingerprint)
    assert refusal(catalog.find(workspace, "lora")) is None


def test_a_tokenizer_of_its_own_wins_and_a_template_that_differs_is_said(
    workspace: Workspace, base: catalog.ModelCard, tmp_path: Path
) -> None:
    # Its answers end as its base says, in a file that an adapter seldom has.
    write(base.path / "generation_config.json", {"eos_token_id": [7, 9]})
    change(base.path / "config.json", eos_token_id=5, model_type="qwen2")
    change(base.path / "tokenizer_config.json", chat_template="{% for t in tools %}{{ t }}{% endfor %}")
    base = catalog.find(workspace, base.name)
    path = adapter(tmp_path / "lora", "base-8B", shapes=lora_shapes())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base.path / name, path / name)
    same = joined(workspace, path)
    assert same.own_tokenizer
    assert (same.template_fingerprint, same.template_differs) == (base.template_fingerprint, False)
    assert same.tools
    assert base.tools
    change(path / "tokenizer_config.json", chat_template="{{ 'other' }}")
    other = catalog.find(workspace, "lora")
    assert other.template_differs
    assert other.served.template_fingerprint == other.template_fingerprint != base.template_fingerprint
    # Without a template of its own it speaks through that of its base.
    change(path / "tokenizer_config.json", chat_template=None)
    plain = catalog.find(workspace, "lora")
    assert not plain.template_differs
    assert (plain.served.chat_template, plain.served.template_fingerprint) == (True, base.template_fingerprint)
    # Its program code would be that of the adapter's folder, which nobody allowed.
    change(
        path / "tokenizer_config.json",
        auto_map={"AutoTokenizer": ["own.Tokenizer", None]},
        chat_template="{{ 'other' }}",
    )
    coded = catalog.find(workspace, "lora")
    assert (coded.own_tokenizer, coded.template_differs) == (False, False)


def test_a_tokenizer_with_more_tokens_than_its_base_is_found(
    workspace: Workspace, base: catalog.ModelCard, tmp_path: Path
) -> None:
    path = adapter(tmp_path / "lora", "base-8B", shapes=lora_shapes())
    added = [{"id": 63, "content": "<x>"}]
    write(path / "tokenizer.json", {"model": {"vocab": {"a": 0, "b": 62}}, "added_tokens": added})
    assert spare_tokens(joined(workspace, path)) is None
    write(
        path / "tokenizer.json", {"model": {"vocab": {"a": 0}}, "added_tokens": [*added, {"id": 66, "content": "<y>"}]}
    )
    found = spare_tokens(catalog.find(workspace, "lora"))
    assert found is not None
    assert (found.code, found.params["ours"], found.params["theirs"]) == ("adapter_vocabulary", 67, 64)


def test_weights_under_another_name_or_pickled_are_never_loaded(
    workspace: Workspace, base: catalog.ModelCard, tmp_path: Path
) -> None:
    path = adapter(tmp_path / "lora", "base-8B", shapes=lora_shapes())
    catalog.add(workspace, path)
    (path / "adapter_model.safetensors").rename(path / "other.safetensors")
    (path / "adapter_model.bin").write_bytes(b"pickle")
    assert pickled_files(path) == ["adapter_model.bin"]
    named = catalog.find(workspace, "lora")
    assert named.unfit is not None
    assert named.unfit.code == "adapter_no_weights"
    (path / "other.safetensors").unlink()
    pickled = catalog.find(workspace, "lora")
    assert pickled.problem is not None
    assert (pickled.problem.code, pickled.adapter_of) == ("model_pickled", "base-8B")
    assert refusal(pickled) is pickled.problem


def test_the_command_line_tells_a_base_its_adapters_and_an_adapter_what_is_wrong(
    workspace: Workspace, base: catalog.ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def card(name: str, code: int = 0) -> dict[str, Any]:
        assert cli(["models", "card", name, "--json"]) == code
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    path = adapter(tmp_path / "lora", "base-8B", shapes=lora_shapes())
    catalog.add(workspace, path)
    assert card("base-8B")["adapters"] == ["lora"]
    told = card("lora")
    assert (told["base"], told["unfit"], told["adapters"]) == ("base-8B", None, [])
    change(path / "adapter_config.json", task_type="SEQ_CLS")
    assert card("lora")["unfit"]["code"] == "adapter_task"
    assert "for the task SEQ_CLS" in card(str(path))["unfit"]["text"]
    assert cli(["models", "card", "lora"]) == 0
    assert "for the task SEQ_CLS" in capsys.readouterr().err
    # Of a broken one what is known: its shape, its licence, its adapters; and what is wrong.
    (base.path / "model.safetensors").unlink()
    broken = card("base-8B", code=1)
    assert (broken["architecture"], broken["layers"], broken["adapters"]) == ("LlamaForCausalLM", 2, ["lora"])
    assert broken["problem"]["code"] == "model_no_weights"


def test_a_base_in_use_by_an_adapters_server_keeps_its_files(workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, folder(workspace.downloads / "base"))
    catalog.add(workspace, adapter(tmp_path / "lora", "base", shapes=lora_shapes()))
    store = open_store(workspace)
    job = store.submit("serve", {"model": "lora"})
    store.close()
    goes = catalog.removal(workspace, "base")
    assert (goes.adapters, goes.jobs) == (("lora",), (job.id,))
    with pytest.raises(ConflictError, match="in use by job"):
        catalog.remove(workspace, "base", delete_files=True)
