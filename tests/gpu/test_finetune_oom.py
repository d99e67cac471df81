"""Running out of memory on a real card: a training whose card is filled by a second process, and one that is too large by itself.

Runs with the panel's environment, and with nothing but Python, torch, transformers and peft::

    python3 -m tests.gpu.test_finetune_oom
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backend.errors import PanelError
from backend.finetune import files, out_of_memory
from backend.finetune.files import OutOfMemory
from jobs.finetuning.running_out import Phases, watching

if TYPE_CHECKING:
    from backend.queue.resources import Card

MIB, GIB = 1 << 20, 1 << 30
ROOM = 6 * GIB
"""What is left of the card for the training at first."""
NEIGHBOUR = """
import sys, torch
leave = int(sys.argv[1])
free, total = torch.cuda.mem_get_info()
held = [torch.ones(max(0, free - leave), dtype=torch.uint8, device="cuda")]
torch.cuda.synchronize()
print("held", flush=True)
for line in sys.stdin:
    take = int(line)
    held.append(torch.ones(take, dtype=torch.uint8, device="cuda"))
    torch.cuda.synchronize()
    print("took", flush=True)
"""


class Neighbour:
    """Another program on the card, which leaves ``leave`` bytes of it and takes more when it is told to."""

    def __init__(self, leave: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", NEIGHBOUR, str(leave)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._said("held")

    def take(self, size: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{size}\n")
        self.process.stdin.flush()
        self._said("took")

    def _said(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word, "the neighbour could not take its memory"

    def __enter__(self) -> Neighbour:
        return self

    def __exit__(self, *unused: object) -> None:
        self.process.communicate(timeout=60)


def model(layers: int = 8, width: int = 1024) -> Any:
    """A Llama that was not trained, with a LoRA, on the card."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32000,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=8,
    )
    with torch.device("cuda"):
        made = LlamaForCausalLM(config).to(torch.bfloat16)
    return get_peft_model(made, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))


def train(phases: Phases, batch: int, length: int, steps: int, after: Any = None) -> None:
    """Steps of a training, as the job does them."""
    import torch

    with phases("load"):
        taught = model()
        optimizer = torch.optim.AdamW([each for each in taught.parameters() if each.requires_grad], lr=1e-4)
    with phases("train"):
        for step in range(steps):
            rows = torch.randint(32000, (batch, length), device="cuda")
            taught(input_ids=rows, labels=rows).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            phases.step = step + 1
            if after is not None:
                after(step + 1)


def outcome(folder: Path, batch: int, length: int, steps: int = 4, after: Any = None) -> OutOfMemory | None:
    """How such a training ended: None where it got through."""
    import torch

    try:
        with watching(folder, device="cuda") as phases:
            train(phases, batch, length, steps, after)
    except PanelError as error:
        print(f"{error.code}: {error}", flush=True)
        record = files.read(folder / files.OUT_OF_MEMORY, OutOfMemory)
        torch.cuda.empty_cache()
        return record
    torch.cuda.empty_cache()
    return None


def too_large(folder: Path) -> dict[str, Any]:
    """Beside a neighbour that stays as it is, a batch that is too large ends in a phase of its own, and smaller ones run."""
    with Neighbour(ROOM):
        assert outcome(folder, 1, 1024, steps=1) is None, "one row fits"
        record = outcome(folder, 64, 1024)
        assert record is not None, "64 rows of 1024 tokens do not fit into 6 GiB"
        assert record.phase in ("forward", "backward"), record
        assert record.asked, record.line
        assert record.free is not None
        assert record.free < record.asked
        assert record.reserved
        assert record.allocated is not None
        assert record.others_then is not None
        assert record.others_before is not None
        assert record.others_then - record.others_before < out_of_memory.GREW, "the neighbour stayed as it was"
        batch = next(size for size in (32, 16, 8, 4, 2) if outcome(folder, size, 1024, steps=2) is None)
    return {"record": vars(record), "fits": batch}


def neighbour_grows(folder: Path) -> dict[str, Any]:
    """A neighbour that takes what had been free is named, with how much it took."""
    import torch

    with Neighbour(ROOM) as neighbour:

        def grow(step: int) -> None:
            if step == 2:
                torch.cuda.empty_cache()
                neighbour.take(torch.cuda.mem_get_info()[0] - 64 * MIB)

        record = outcome(folder, 4, 1024, after=grow)
    assert record is not None, "64 MiB are not enough for a step"
    assert record.phase == "neighbour", record
    assert record.during in ("forward", "backward", "optimizer"), record
    assert record.step == 2
    assert record.others_before is not None
    assert record.others_then is not None
    assert record.others_then - record.others_before > GIB
    told = out_of_memory.told(record)
    assert "Other programs took memory" in told.sentence
    return {"record": vars(record), "told": told.figures}


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """Both, in one process of its own: a CUDA context stays with the one that made it, and torch is slow to start."""
    from backend.queue.resources import cards

    if not cards():
        pytest.skip("this machine shows no NVIDIA GPU")
    command = [sys.executable, "-m", "tests.gpu.test_finetune_oom"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return {
        name: found
        for line in done.stdout.splitlines()
        if line.startswith("{")
        for name, found in json.loads(line).items()
    }


def test_a_batch_that_is_too_large_is_told_from_a_neighbour_and_a_smaller_one_runs(
    card: Card, measured: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found = measured["too_large"]
    with capsys.disabled():
        print(f"\n{card.uuid}: {found}")
    assert 2 <= found["fits"] < 64


def test_a_neighbour_that_takes_what_was_free_is_named(
    card: Card, measured: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found = measured["neighbour_grows"]
    with capsys.disabled():
        print(f"\n{card.uuid}: {found}")
    assert found["record"]["phase"] == "neighbour"


if __name__ == "__main__":
    for check in (too_large, neighbour_grows):
        print(json.dumps({check.__name__: check(Path(tempfile.mkdtemp()))}), flush=True)
