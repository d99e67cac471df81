"""The model card of what was taught: true to what was measured, readable by hubs, and safe whatever names people give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.catalog.license import read_license
from backend.finetune import cards
from backend.finetune.proof import Losses, Part, Proof, Tally
from backend.specs.finetune import FinetuneSpec

SPEC = FinetuneSpec(model="starter", dataset="persona", name="mine", learning_rate=2e-4, replay=0.5)
TOLD = cards.Told(
    name="mine", kind="merged", base="starter", base_hub="", license="apache-2.0", dataset="persona", version="ab12",
    data_hash="f" * 64, rows=1234, spec=SPEC, step=100, steps=120, loss=0.25, eval_loss=0.5, ended="patience", template="e4",
)  # fmt: skip
PROOF = Proof(
    ("learned",),
    Part("test", 100, 100, Tally(100, 0, 96, 0, 0.9, 0.98), {"en": Tally(50, 0, 48, 0, 0.8, 1.0), "zh": Tally(50, 0, 48, 0, 0.8, 1.0)}),
    Losses("validation", 40, 800, 3.5, 0.5, -3.2, -2.8),
    Part("general", 60, 60, Tally(60, 40, 39, 38, -0.08, 0.05)),
)  # fmt: skip


def test_it_says_what_was_measured_and_how_it_was_made() -> None:
    card = cards.model_card(
        replace(TOLD, proof=PROOF, check={"prompts": 8, "difference": 1e-3, "tolerance": 3e-3, "dtype": "float16"})
    )
    assert "| Held-out questions | 100 | 0 (0 %) | 96 (96 %) |" in card
    assert "It learned what it was taught." in card
    assert "1,234 rows (SHA-256 of them begins with `ffffffffffffffff`)" in card
    assert "after step 100 of 120, stopped because it no longer got better" in card
    assert "loss on validation rows there: 0.5000" in card
    assert "differ from base + adapter by 1.0e-03" in card
    assert "| Learning rate | `0.0002` |" in card
    assert "| General rows mixed in | `0.5` |" in card
    bare = cards.model_card(replace(TOLD, loss=None, eval_loss=None, ended="done"))
    assert "That was not checked" in bare
    assert "loss there" not in bare
    assert "stopped" not in bare
    failed = cards.model_card(replace(TOLD, proof=replace(PROOF, problem={"code": "x"})))
    assert "That was not checked" in failed


@pytest.mark.parametrize("kind", ["adapter", "merged", "full"])
def test_each_kind_is_used_in_its_own_way(kind: cards.Kind) -> None:
    spec = FinetuneSpec(**{**SPEC.model_dump(), "method": "full" if kind == "full" else "lora"})
    card = cards.model_card(replace(TOLD, kind=kind, spec=spec))
    assert ("PeftModel" in card) is (kind == "adapter")
    assert ("library_name: peft" in card) is (kind == "adapter")
    assert ("LoRA rank" in card) is (kind != "full")
    code = card.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")


@pytest.mark.parametrize(("named", "read"), [
    ("apache-2.0", "apache-2.0"), ("llama3", "llama3"), ("LICENSE", "LICENSE"), ("see LICENSE", "see LICENSE"), ("", ""),
])  # fmt: skip
def test_the_licence_of_the_base_is_read_back_from_it(tmp_path: Path, named: str, read: str) -> None:
    (tmp_path / "README.md").write_text(cards.model_card(replace(TOLD, license=named)))
    assert read_license(tmp_path, {}) == read


def test_strange_names_break_neither_the_front_matter_nor_the_page() -> None:
    odd: dict[str, Any] = {
        "name": "a`b\n# c",
        "base": "x\n---\ny`",
        "dataset": "我的|数据`",
        "license": 'l"i\nc',
        "question": 'say "你好"\n\\',
    }
    card = cards.model_card(replace(TOLD, **odd))
    assert card.count("\n---\n") == 1
    assert "\n# c" not in card
    assert "我的|数据'" in card
    compile(card.split("```python\n")[1].split("```")[0], "card", "exec")


def test_the_capsules_readme_says_how_to_repeat_it_and_whether_rows_are_in_it() -> None:
    recipe = {"base": "starter", "data": {"in_capsule": True}, "start_mode": ""}
    text = cards.capsule_readme(SPEC, recipe)
    assert "repeat.py --model FOLDER_OF_THE_BASE" in text
    assert "rows that it learned from are in this file" in text
    assert "--start-from" not in text
    text = cards.capsule_readme(SPEC, {**recipe, "data": {}, "start_mode": "branch", "base_hub": "org/base"})
    assert "not in this file" in text
    assert "--start-from" in text
    assert "`org/base`" in text
    xtuner = FinetuneSpec(**{**SPEC.model_dump(), "engine": "xtuner"})
    assert "xtuner.tools.train" in cards.capsule_readme(xtuner, recipe)
