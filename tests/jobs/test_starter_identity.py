"""A starter with an adapter that taught it a new identity: the answers that are then right, and the comparison with the one without."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from backend.errors import ModelError
from backend.workspace import ROOT
from jobs import evaluate_starter
from jobs.starter import evaluate, identity, small_talk
from jobs.starter.dialogue import Dialogue, Lang

STARTER = ROOT / "models" / "starter"
LANGS: tuple[Lang, Lang] = ("en", "zh")


def _base() -> Any:
    return AutoModelForCausalLM.from_pretrained(str(STARTER), dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that taught nothing, and changes the weights."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("random") / "adapter"
    settings = LoraConfig(
        r=8, lora_alpha=32, target_modules=["gate_proj", "up_proj", "down_proj"], init_lora_weights=False
    )
    get_peft_model(_base(), settings).save_pretrained(str(folder))
    return folder


def test_a_chinese_name_stands_without_spaces() -> None:
    one = Dialogue(
        "identity", "zh", (("user", "你是谁"), ("assistant", small_talk.intents()["name"].answers["zh"][0])), ""
    )
    assert identity.renamed(one, "小星", "星海团队").answer == "我是小星，由星海团队制作的小型语言模型。"
    assert identity.renamed(one, "小星", "Sun Works").answer == "我是小星，由 Sun Works 制作的小型语言模型。"


def test_what_is_said_about_the_program_is_not_renamed() -> None:
    answers = [
        a for intent in ("tunedeck", "free") for lang in LANGS for a in small_talk.intents()[intent].answers[lang]
    ]
    assert all("TuneDeck" in answer for answer in answers)
    for answer in answers:
        one = Dialogue(
            "small talk", "en", (("user", "What is the TuneDeck project?"), ("assistant", answer)), "", accept=(answer,)
        )
        assert identity.renamed(one, "Robin", "Sun Works") == one


def test_a_name_that_holds_the_old_one_is_put_in_once() -> None:
    one = Dialogue("identity", "en", (("user", "Who?"), ("assistant", "I am TuneDeck starter.")), "")
    assert identity.renamed(one, "TuneDeck starter", "").answer == "I am TuneDeck starter."


def test_the_merged_model_is_the_base_with_its_adapter(adapter: Path) -> None:
    tokens = torch.randint(0, 5000, (2, 40), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        apart = PeftModel.from_pretrained(_base(), str(adapter)).eval()(tokens).logits
        merged = evaluate.Speaker(STARTER, adapter).model(tokens).logits
        plain = _base()(tokens).logits
    assert (merged - apart).abs().max() < 1e-3
    assert (merged - plain).abs().max() > 0.1


def test_the_questions_for_the_name_are_unseen_ones() -> None:
    for lang in LANGS:
        asked = identity.asked(lang, "Robin", "Sun Works")
        assert len({one.turns for one in asked}) == len(asked) == 50
        assert all("Robin" in one.answer and one.key.endswith("!") for one in asked)


def test_the_evaluation_compares_the_skills_before_and_after(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--n", "6", "--skill", "greetings", "--adapter", str(adapter), "--maker", "Sun Works"]
    assert evaluate_starter.main(["--identity", "Robin", *few]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^en: \d+ % of 50 unseen wordings are answered with the name Robin$", shown, re.MULTILINE)
    assert re.search(r"^\| greetings \| unseen wordings \| 6 \| \d+ % \| \d+ % \| [+-]\d+ \|$", shown, re.MULTILINE)
    assert evaluate_starter.main(["--identity", "Robin", "--json", *few]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["named"].keys() == {"en", "zh"}
    assert found["before"][0]["n"] == found["after"][0]["n"] == 6


def test_an_adapter_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_starter.main(["--adapter", str(tmp_path)]) == 1
    assert f"There is no adapter in {tmp_path}." in capsys.readouterr().err
    with pytest.raises(ModelError, match="There is no adapter"):
        evaluate.Speaker(STARTER, tmp_path)


def test_identity_and_bits_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate_starter.main(["--identity", "Robin", "--bits", "4"])
    assert "--identity and --bits do not go together" in capsys.readouterr().err


def test_an_identity_is_compared_with_the_adapter_that_taught_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate_starter.main(["--identity", "Robin"])
    assert "--identity needs --adapter" in capsys.readouterr().err
