"""The same LoRA training with transformers' Trainer alone, as somebody would write it in a script; for bench_finetune.

``python -m tests.support.bare_finetune SPEC.json ROWS.npz OUT.json``: the rows are those of a job, as tokens. Says when the first
step was done (epoch seconds), and tokens and seconds of each step.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed


def main(spec_file: str, rows_file: str, out: str) -> None:
    """Train, and say how quick it was."""
    spec = json.loads(Path(spec_file).read_text())
    set_seed(spec["seed"])
    held = np.load(rows_file)
    edges = held["edges"]
    rows = []
    for group in _joined(np.diff(edges).tolist(), spec["max_length"]):
        ids, labels, positions = list[int](), list[int](), list[int]()
        for number in group:
            part = slice(int(edges[number]), int(edges[number + 1]))
            mine, learned = held["ids"][part].tolist(), held["learned"][part]
            ids += mine
            labels += [-100] + [t if flag else -100 for t, flag in zip(mine[1:], learned[1:], strict=True)]
            positions += range(len(mine))
        rows.append({"input_ids": ids, "labels": labels, "position_ids": positions})

    def collate(batch: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in batch)
        fill = {"input_ids": 0, "labels": -100, "position_ids": 0}
        return {
            name: torch.tensor([row[name] + [value] * (width - len(row[name])) for row in batch])
            for name, value in fill.items()
        }

    model = AutoModelForCausalLM.from_pretrained(spec["model"], dtype=torch.float32)
    lora = LoraConfig(
        r=spec["lora_rank"],
        lora_alpha=spec["lora_alpha"],
        lora_dropout=spec["lora_dropout"],
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, lora)
    clock = _Clock()
    arguments = TrainingArguments(
        output_dir=str(Path(out).parent / "bare"),
        max_steps=spec["max_steps"],
        per_device_train_batch_size=spec["batch_size"],
        gradient_accumulation_steps=spec["accumulation"],
        learning_rate=spec["learning_rate"],
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        remove_unused_columns=False,
        seed=spec["seed"],
    )
    Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate, callbacks=[clock]).train()
    tokens = sum(len(row["input_ids"]) for row in rows) / len(rows) * spec["batch_size"] * spec["accumulation"]
    Path(out).write_text(json.dumps({"first": clock.first, "wall_s": clock.wall, "tokens": tokens}))


class _Clock(TrainerCallback):
    def __init__(self) -> None:
        self.first, self.began, self.wall = 0.0, 0.0, list[float]()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.monotonic()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.wall.append(time.monotonic() - self.began)
        self.first = self.first or time.time()


def _joined(lengths: list[int], width: int) -> list[list[int]]:
    from jobs.finetuning.packing import pack

    return pack(lengths, width, 42)


if __name__ == "__main__":
    main(*sys.argv[1:])
