"""Trainings that run out of memory, with the real Trainer on the CPU.

``python -m tests.support.short_of_memory FOLDER KIND...`` tries each kind again and again within a limit that grows, in one
process, until it gets through; ``... FOLDER KIND LIMIT BATCH ACCUMULATION`` tries it once with these. What is printed
is one JSON object a try: ``{"kind", "limit", "phase", ...}`` with what out-of-memory.json holds; phase null: it got through.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from backend.errors import PanelError
from backend.finetune import files
from backend.workspace import read_json
from jobs.finetuning.running_out import LIMIT, Phases, watching

VOCABULARY, ROW = 4096, 128
KINDS = {"rows": 24, "weights": 48, "evaluate": 24, "save": 36}
"""What is large in each kind, and by how many MiB its limit grows from try to try."""
MOST_MIB = 400


class Rows(torch.utils.data.Dataset):
    """Random rows of one length."""

    def __init__(self, count: int, length: int) -> None:
        self.rows = torch.randint(VOCABULARY, (count, length), generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return {"input_ids": self.rows[place], "labels": self.rows[place]}


class Gathering(Trainer):
    """Gathers the weights before they are written, as several GPUs do."""

    def _save(self, *args: Any, **options: Any) -> None:
        gathered = torch.zeros(64 << 18)  # 64 MiB
        assert len(gathered)
        super()._save(*args, **options)


def train(folder: Path, model: Path, phases: Phases, kind: str, batch: int, accumulation: int) -> None:
    """One step of a small Llama, all weights, an evaluation and a save."""
    with phases("load"):
        loaded = LlamaForCausalLM.from_pretrained(model)
    arguments = TrainingArguments(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        per_device_eval_batch_size=16,
        max_steps=1,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        save_strategy="steps" if kind == "save" else "no",
        save_steps=1,
        eval_strategy="steps" if kind == "evaluate" else "no",
        eval_steps=1,
    )
    trainer = (Gathering if kind == "save" else Trainer)(
        model=loaded, args=arguments, train_dataset=Rows(16, ROW if kind == "rows" else 16), eval_dataset=Rows(16, ROW)
    )
    with phases("train"):
        trainer.train()
        phases.step = trainer.state.global_step


def once(folder: Path, model: Path, kind: str, limit: int, batch: int = 0, accumulation: int = 1) -> dict[str, Any]:
    """One try within ``limit`` MiB more than the process holds."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[LIMIT] = str(limit)
    said: dict[str, Any] = {"kind": kind, "limit": limit, "model": str(model), "phase": None}
    try:
        with watching(folder, Phases(), device="cpu") as phases:
            train(folder, model, phases, kind, batch or (16 if kind == "rows" else 1), accumulation)
    except PanelError as error:
        said |= {"code": error.code, **read_json(folder / files.OUT_OF_MEMORY)}
    print(json.dumps(said), flush=True)
    return said


def main() -> None:
    torch.set_num_threads(1)
    threading.stack_size(256 << 10)  # of the threads that load the weights: or their stacks are what does not fit
    root = Path(sys.argv[1])
    if len(sys.argv) == 6 and sys.argv[3].isdigit():
        kind, numbers = sys.argv[2], [int(word) for word in sys.argv[3:]]
        once(root, made(root, kind), kind, *numbers)
        return
    for kind in sys.argv[2:]:
        model = made(root, kind)
        for limit in range(KINDS[kind], MOST_MIB, KINDS[kind]):
            gc.collect()  # what a try before this one held must not become room for the next
            if once(root / f"{kind}-{limit}", model, kind, limit)["phase"] is None:
                break


def made(root: Path, kind: str) -> Path:
    """A model for ``kind``, not trained."""
    width = 1024 if kind == "weights" else 64
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(root / f"model-{kind}")
    return root / f"model-{kind}"


if __name__ == "__main__":
    main()
