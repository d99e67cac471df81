"""``memory estimate`` and ``memory estimate-train`` as a script and as a person see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from tests.support import models
from tests.support.forecast_models import llama3

KEYS = {"p50_mib", "p95_mib", "allocated_p50_mib", "allocated_p95_mib", "terms", "fits"}


def ask(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict[str, Any]:
    assert main(["memory", *args, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(llama3(tmp_path_factory.mktemp("models") / "llama", shards=4))


def test_a_server_on_lmdeploy(capsys: pytest.CaptureFixture[str], llama: str) -> None:
    found = ask(
        capsys, "estimate", "--model", llama, "--engine", "lmdeploy", "--total-mib", "37588", "--cache-ratio", "0.5"
    )
    assert found.keys() >= KEYS
    assert found["p50_mib"] == pytest.approx(26_708, rel=0.02)
    assert sum(found["terms"].values()) == pytest.approx(found["p50_mib"], abs=1)
    assert found["terms"]["weights"] == pytest.approx(15_316.5, abs=1)
    assert found["fits"] is True
    assert found["verdict"] == "fits"
    assert {detail["term"] for detail in found["details"]} == set(found["terms"])


def test_an_absolute_cache_a_used_card_and_fewer_bits(capsys: pytest.CaptureFixture[str], llama: str) -> None:
    plan = ["estimate", "--model", llama, "--total-mib", "24576", "--cache-gib", "2", "--kv-bits", "8"]
    found = ask(capsys, *plan)
    assert found["terms"]["kv_cache"] == pytest.approx(2048, abs=8)
    assert found["fits"] is True
    assert found["largest"]["cache_ratio"] > 0
    beside = ask(capsys, *plan, "--used-mib", "10000")
    assert beside["fits"] is False
    assert beside["free_mib"] == 14_576
    assert beside["why"].startswith("It needs about")


def test_a_server_on_transformers(capsys: pytest.CaptureFixture[str], llama: str) -> None:
    plan = ["estimate", "--model", llama, "--engine", "transformers", "--total-mib", "24576"]
    found = ask(capsys, *plan, "--session-len", "8192", "--concurrency", "2")
    assert found["terms"]["kv_cache"] == 2048
    assert found["fits"] is True
    more = ask(capsys, *plan, "--session-len", "8192", "--concurrency", "5")
    assert more["fits"] is False
    assert any("people at once" in change["change"] for change in more["changes"])


def test_a_training(capsys: pytest.CaptureFixture[str], llama: str) -> None:
    plan = ["estimate-train", "--model", llama, "--method", "qlora", "--seq", "512", "--batch", "1"]
    found = ask(capsys, *plan, "--rank", "16", "--packing", "--checkpointing", "--total-mib", "24576")
    assert found.keys() >= KEYS
    assert found["allocated_p50_mib"] == pytest.approx(10_198, rel=0.05)  # XTuner's log, the whole run
    assert found["fits"] is True
    zero = ask(capsys, *plan, "--zero", "2", "--offload", "--optimizer", "adamw_8bit", "--total-mib", "24576")
    assert "optimizer" not in zero["terms"]
    some = ask(capsys, *plan, "--targets", "q_proj,v_proj", "--total-mib", "24576")
    assert some["terms"]["adapter"] < found["terms"]["adapter"]


def test_without_a_total_the_machine_itself_is_the_budget(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = str(models.folder(tmp_path / "tiny"))
    found = ask(capsys, "estimate", "--model", folder, "--engine", "transformers", "--device", "cpu")
    assert found["fits"] is True
    assert found["free_mib"] > 0
    assert ask(capsys, "estimate-train", "--model", folder, "--method", "full", "--seq", "64")["fits"] in (True, False)


def test_a_person_gets_a_table(capsys: pytest.CaptureFixture[str], llama: str) -> None:
    assert main(["memory", "estimate", "--model", llama, "--total-mib", "16000", "--session-len", "8192"]) == 0
    text = capsys.readouterr().out
    assert "KV cache" in text
    assert "15,316 MiB" in text
    assert "less than one conversation of 8192" in text
    assert "What would fit:\n  Serve a copy with weights in 4 bits." in text


def test_slips_are_told_in_a_sentence(capsys: pytest.CaptureFixture[str], llama: str, tmp_path: Path) -> None:
    train = ["estimate-train", "--model", llama, "--method", "lora", "--seq", "64"]
    for args, code, words in (
        (["estimate", "--model", str(tmp_path / "none")], "model_missing", "There is no model folder"),
        (
            ["estimate", "--model", llama, "--cache-ratio", "0.5", "--cache-gib", "2"],
            "usage",
            "Both a share and a size",
        ),
        (["estimate", "--model", llama, "--cache-ratio", "1.5"], "usage", "--cache-ratio"),
        (["estimate", "--model", llama, "--kv-bits", "7"], "usage", "--kv-bits"),
        (["estimate", "--model", llama, "--total-mib", "0"], "usage", "--total-mib"),
        (["estimate", "--model", llama, "--quantize", "nf4"], "usage", "does not load weights as nf4"),
        ([*train, "--offload"], "usage", "Only DeepSpeed"),
        ([*train, "--zero", "4"], "usage", "--zero"),
        ([*train, "--batch", "0"], "usage", "--batch"),
        ([*train, "--targets", "wqkv"], "lora_targets_unknown", "no matrices called wqkv"),
    ):
        error = ask(capsys, *args, code=1)["error"]
        assert error["code"] == code, args
        assert words in error["message"], args
