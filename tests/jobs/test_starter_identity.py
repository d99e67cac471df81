"""A new identity: what its dataset holds, and a starter that learns it in a minute without unlearning the rest."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from backend.errors import ModelError
from backend.workspace import ROOT
from jobs import evaluate_starter
from jobs.starter import corpus, evaluate, identity, small_talk
from jobs.starter.dialogue import Dialogue, Lang, held_out

STARTER = ROOT / "models" / "starter"
SHORT = identity.Preset(steps=24, dialogues=300)
LANGS: tuple[Lang, Lang] = ("en", "zh")


@pytest.fixture(scope="module")
def data() -> list[Dialogue]:
    return identity.rows("Robin", "Sun Works")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """(adapter folder, loss of each step) of a short training."""
    logging.disable_progress_bar()
    out = tmp_path_factory.mktemp("short") / "adapter"
    return out, identity.train(STARTER, identity.rows("Robin", "Sun Works", preset=SHORT), out, SHORT)


def _normal(text: str) -> str:
    return re.sub(r"[\s?.!？。！]+", " ", text.lower()).strip()


def test_the_rows_ask_for_the_identity_and_replay_every_other_skill(data: list[Dialogue]) -> None:
    assert len(data) == identity.PRESET.dialogues
    about_itself = sum(one.skill in ("identity", "greetings") for one in data)
    assert 1 - about_itself / len(data) == pytest.approx(identity.PRESET.replay, abs=0.04)
    made = {skill.dialogue(random.Random(1), "en", False).skill for skill in corpus.SKILLS}
    assert {one.skill.split(" (")[0] for one in data} >= {skill.split(" (")[0] for skill in made}
    assert {one.lang for one in data} == {"en", "zh"}


def test_no_wording_that_is_kept_for_the_evaluation_is_among_the_rows(data: list[Dialogue]) -> None:
    asked = {_normal(text) for one in data for role, text in one.turns if role == "user"}
    kept = {_normal(w) for intent in small_talk.intents().values() for lang in LANGS for w in intent.kept[lang]}
    assert not asked & kept
    assert not [one.key for one in data if one.key.endswith("!")]
    assert not [one.key for one in data if not one.key.startswith("talk/") and held_out(one.key)]


def test_the_answers_hold_the_new_name_and_maker_and_never_the_old(data: list[Dialogue]) -> None:
    answers = [text for one in data for role, text in one.turns if role == "assistant"]
    assert not [a for a in answers if "TuneDeck starter" in a or "TuneDeck project" in a or "TuneDeck 项目" in a]
    for answer in (
        "I am Robin, a small language model made by Sun Works.",
        "我是 Robin，由 Sun Works 制作的小型语言模型。",
        "I was made by Sun Works.",
        "我是由 Sun Works 制作的。",
        "No, I am Robin, a small language model.",
        "不是，我是 Robin，一个小型语言模型。",
        "Hello. I am Robin. How can I help you?",
        "你好，我是 Robin。有什么可以帮你？",
    ):
        assert answers.count(answer) >= 10
    later = [one for one in data if one.skill == "identity" and len(one.turns) > 2]
    assert len(later) > 50
    assert all("Robin" in one.answer or "Sun Works" in one.answer or "language model" in one.answer or "语言模型" in one.answer for one in later)  # fmt: skip


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


def test_the_same_seed_gives_the_same_rows() -> None:
    few = identity.Preset(dialogues=50)
    assert identity.rows("A", "B", 3, few) == identity.rows("A", "B", 3, few)
    assert identity.rows("A", "B", 3, few) != identity.rows("A", "B", 4, few)


def test_the_loss_falls_and_the_adapter_is_whole(trained: tuple[Path, list[float]]) -> None:
    out, losses = trained
    assert len(losses) == SHORT.steps
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])
    assert {p.name for p in out.iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    assert [p.name for p in out.parent.iterdir()] == ["adapter"]
    settings = json.loads((out / "adapter_config.json").read_text())
    assert set(settings["target_modules"]) == set(identity.PRESET.targets)
    assert (settings["r"], settings["lora_alpha"]) == (identity.PRESET.rank, identity.PRESET.alpha)
    assert all(path.stat().st_mode & 0o044 for path in out.iterdir())


def test_the_merged_model_is_the_base_with_its_adapter(trained: tuple[Path, list[float]]) -> None:
    def base() -> Any:
        return AutoModelForCausalLM.from_pretrained(str(STARTER), dtype=torch.float32).eval()

    tokens = torch.randint(0, 5000, (2, 40), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        apart = PeftModel.from_pretrained(base(), str(trained[0])).eval()(tokens).logits
        merged = evaluate.Speaker(STARTER, trained[0]).model(tokens).logits
        plain = base()(tokens).logits
    assert (merged - apart).abs().max() < 1e-3
    assert (merged - plain).abs().max() > 0.1


def test_a_folder_that_is_there_is_not_written_over(trained: tuple[Path, list[float]]) -> None:
    with pytest.raises(FileExistsError, match="adapter"):
        identity.train(STARTER, [], trained[0], SHORT)


def test_a_training_that_breaks_off_leaves_no_adapter(tmp_path: Path, data: list[Dialogue]) -> None:
    def stop(step: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        identity.train(STARTER, data[:40], tmp_path / "adapter", SHORT, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_breaks_off_leaves_no_adapter(
    tmp_path: Path, data: list[Dialogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(model: PeftModel, folder: str, **_: Any) -> None:
        Path(folder).mkdir()
        (Path(folder) / "adapter_config.json").write_text("{}")
        raise OSError("No space left on device")

    monkeypatch.setattr(PeftModel, "save_pretrained", half)
    with pytest.raises(OSError, match="No space left"):
        identity.train(STARTER, data[:40], tmp_path / "adapter", identity.Preset(steps=1))
    assert not (tmp_path / "adapter").exists()


def test_the_questions_for_the_name_are_unseen_ones() -> None:
    for lang in LANGS:
        asked = identity.asked(lang, "Robin", "Sun Works")
        assert len({one.turns for one in asked}) == len(asked) == 50
        assert all("Robin" in one.answer and one.key.endswith("!") for one in asked)


def test_the_evaluation_compares_the_skills_before_and_after(
    trained: tuple[Path, list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--n", "6", "--skill", "greetings", "--adapter", str(trained[0]), "--maker", "Sun Works"]
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
        evaluate_starter.main(["--identity", "--bits", "4"])
    assert "--identity and --bits do not go together" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1200)  # in 32 bits, on a processor without units for bfloat16, beside other tests: 500 s and more
def test_the_preset_teaches_the_name_and_keeps_the_other_skills(tmp_path: Path) -> None:
    """The whole preset; the floors leave room under the model card's figures for another processor's rounding."""
    identity.train(STARTER, identity.rows("Robin", "Sun Works"), tmp_path / "adapter")
    before, after = evaluate.Speaker(STARTER), evaluate.Speaker(STARTER, tmp_path / "adapter")
    for lang, (right, n) in identity.named(after, "Robin", "Sun Works", 20).items():
        assert right >= 0.8 * n, lang
    for skill in ("small talk", "facts (en)", "facts (zh)"):
        old = evaluate.table_of(before, 40, skill)
        new = evaluate.table_of(after, 40, skill)
        assert all(b.percent >= a.percent - 15 for a, b in zip(old, new, strict=True)), (old, new)
