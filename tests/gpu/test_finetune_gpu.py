"""Fine-tuning on a real card: LoRA, QLoRA and a whole model in bfloat16, each rehearsed, saved and gone on from.

Needs torch with CUDA, transformers and peft; no panel runs, and all jobs share this process, whose libraries take longer to load
than they take to train. QLoRA is skipped where bitsandbytes is not installed.
"""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import pytest

from backend.finetune import files
from backend.queue.resources import Card, cards
from backend.workspace import ROOT, open_workspace
from jobs import finetune
from jobs.harness import main
from tests.support.finetune_jobs import SPEC, finish, losses, rows, start

HERE: dict[str, Any] = {
    **SPEC,
    "model": str(ROOT / "models" / "starter"),
    "device": "cuda",
    "dtype": "auto",
    "max_length": 256,
    "max_steps": 8,
    "learning_rate": 1e-3,
    "lora_dropout": 0.1,
    "rehearse": True,
    "gradient_checkpointing": True,
}


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """Nothing of the job before: accelerate keeps its precision for a whole process."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


def job(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, Any]:
    """The result of a whole job with ``changes``, here."""
    rows(open_workspace(), count=40)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps({**HERE, **changes}))
    monkeypatch.setenv("TUNEDECK_JOB_DIR", str(folder))
    began = time.monotonic()
    code = main("finetune", finetune.run, [str(folder / "spec.json")])
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    assert code == 0, result
    print(f"\n{folder.name}: {time.monotonic() - began:.1f} s, {result['s_per_step']:.3f} s a step")
    return result


def taught(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """A small training on the card, which learned something and held memory there."""
    job(folder, monkeypatch, **changes)
    found = losses(folder)
    assert min(found[step] for step in (6, 7, 8)) < found[1]
    record = files.read(folder / files.REHEARSAL, files.Rehearsal)
    assert record is not None
    assert record.device != "cpu"
    assert 0 < record.peak_bytes <= record.held_bytes
    print(
        f"{record.device}: step {record.step_s:.3f} s, at most {record.peak_bytes / (1 << 20):.0f} MiB, load {record.load_s} s, "
        f"save {record.save_s} s, restore {record.restore_s} s, losses {[round(one, 3) for one in found.values()]}"
    )


def test_a_lora_learns_in_bfloat16_and_goes_on(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taught(tmp_path / "lora", monkeypatch, dtype="bfloat16")
    begin = files.checkpoints(tmp_path / "lora")[-1].path
    _again()
    job(tmp_path / "further", monkeypatch, dtype="bfloat16", rehearse=False, start_from=begin, max_steps=10)
    assert list(losses(tmp_path / "further")) == [9, 10]


def test_a_whole_model_learns_in_bfloat16(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taught(tmp_path / "full", monkeypatch, method="full", dtype="bfloat16", learning_rate=3e-4)
    assert (tmp_path / "full" / "model" / "model.safetensors").is_file()


def test_a_lora_learns_in_float16_with_scaled_gradients(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught(tmp_path / "scaled", monkeypatch, dtype="float16")
    assert Path(files.checkpoints(tmp_path / "scaled")[-1].path, "scaler.pt").is_file()


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_a_qlora_learns_on_a_base_in_four_bits(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taught(tmp_path / "qlora", monkeypatch, method="qlora", dtype="bfloat16")
    assert (tmp_path / "qlora" / "adapter" / "adapter_model.safetensors").is_file()


def _again() -> None:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


def test_several_cards_learn_what_one_learns(tmp_path: Path) -> None:
    """A process for each card, over NCCL, against one card with batches of as many times the size."""
    found = cards()
    if len(found) < 2:
        pytest.skip("this machine shows one NVIDIA GPU")
    same = {**HERE, "rehearse": False, "lora_dropout": 0.0, "accumulation": 1, "packing": False, "sample_every": 100}
    rows(open_workspace(), count=40)
    for name, changes in (("one", {"batch_size": 4}), ("two", {"batch_size": 2, "gpus": 2})):
        process = start(tmp_path / name, **{**same, **changes})
        assert finish(process) == 0, (tmp_path / name / "log").read_text()
    for step, loss in losses(tmp_path / "one").items():
        assert losses(tmp_path / "two")[step] == pytest.approx(loss, rel=0.02), step
