"""Fine-tuning on a bad day: a loss that is no number, a disk that fills up, a checkpoint that fits nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from backend.errors import PanelError
from backend.workspace import open_workspace
from tests.jobs.test_disk_faults import can_mount, on_disk
from tests.support.finetune_jobs import TINY, losses, rows, run


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A model with a weight that is no number."""
    folder = tmp_path / "spoilt"
    shutil.copytree(TINY, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_a_loss_that_is_no_number_stops_it_with_words(tmp_path: Path, spoilt: Path) -> None:
    rows(open_workspace())
    result = run(tmp_path / "job", model=str(spoilt), packing=False)
    error = result["error"]
    assert error["code"] == "finetune_nan", error
    assert error["params"] == {"step": 1, "name": "loss"}
    assert "learning rate" in error["hint"]
    # The page has to see it, too.
    assert [str(loss) for loss in losses(tmp_path / "job").values()] == ["nan"]
    assert not list((tmp_path / "job" / "checkpoints").glob("step-*"))


def test_a_checkpoint_of_another_kind_is_refused_with_words(tmp_path: Path) -> None:
    rows(open_workspace())
    first = run(tmp_path / "first", max_steps=1, validation_share=0)
    assert first["ok"]
    assert first["eval_loss"] is None
    begin = str(tmp_path / "first" / "checkpoints" / "step-00000001")
    second = run(tmp_path / "second", start_from=begin, max_steps=3, lora_rank=8)
    assert second["error"]["code"] == "finetune_refused", second
    assert "LoRA rank" in str(PanelError.from_dict(second["error"]))
    assert not losses(tmp_path / "second")


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_a_disk_that_fills_up_costs_one_checkpoint_and_none_of_those_before(tmp_path: Path) -> None:
    found = on_disk(
        tmp_path / "small",
        "size=24m",
        """
import shutil
from backend.finetune import files
from tests.support.finetune_jobs import finish, losses, rows, start
workspace = open_workspace()
rows(workspace)
folder = workspace.root / "job"
process = start(folder, max_steps=2000, save_every=1, eval_every=1000, sample_every=1000, validation_share=0)
until(lambda: len(files.checkpoints(folder)) >= 2 or process.poll() is not None, 80, "two checkpoints")
# Room for what it says, and for no checkpoint.
with (workspace.root / "filler").open("wb", buffering=0) as filler:
    while (free := shutil.disk_usage(workspace.root).free) > 100_000:
        filler.write(bytes(min(1 << 16, free - 90_000)))
code = finish(process, 80)
error = json.loads((folder / "result.json").read_text())["error"]
whole = [one.step for one in files.checkpoints(folder)]
left = sorted(path.name for path in (folder / "checkpoints").iterdir())
print(json.dumps({"code": code, "error": error, "whole": whole, "left": left, "steps": max(losses(folder))}))
""",
    )
    assert found["code"] == 1
    assert found["error"]["code"] == "checkpoint_disk_full", found["error"]
    failed = found["error"]["params"]["step"]
    assert found["whole"] == [failed - 2, failed - 1]
    assert found["error"]["params"]["last"] == failed - 1
    # Not a trace of the one that found no room.
    assert found["left"] == [f"step-{step:08d}" for step in found["whole"]]
    assert found["steps"] == failed
