"""Repeat a training from its capsule, without TuneDeck: ``python repeat.py --model FOLDER [--out FOLDER]``.

Needs torch, transformers and peft (versions: requirements.txt), and the base model as a folder. It reads recipe.json (all
settings), rows.npz (the rows as tokens, joined as the run joined them) and figures.csv (the losses that the run had), learns in
the same way, and says how far its losses are from those. On the same kind of machine with the same versions they are the same;
elsewhere sums come in another order, and they differ a little.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from torch.utils.data import Dataset
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback

HERE = Path(__file__).resolve().parent
IGNORE = -100
"""The label of a token that is not learned."""
RANK = int(os.environ.get("RANK", "0"))
"""Which of the processes this is, where torchrun has started several on this machine."""


class Rows(Dataset[dict[str, Any]]):
    """The rows of one part of rows.npz, several joined as one; each counts its positions from 0, so none sees another."""

    def __init__(self, file: Any, part: str) -> None:
        self.ids, self.learned, self.edges = (file[f"{part}_{name}"] for name in ("ids", "learned", "edges"))
        self.numbers, self.groups = file[f"{part}_numbers"], file[f"{part}_groups"]

    def __len__(self) -> int:
        return len(self.groups) - 1

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids, labels, positions = [], [], []
        for number in self.numbers[self.groups[index] : self.groups[index + 1]]:
            place = slice(int(self.edges[number]), int(self.edges[number + 1]))
            tokens = self.ids[place]
            label = np.where(self.learned[place], tokens, IGNORE)
            label[:1] = IGNORE
            ids.append(tokens)
            labels.append(label)
            positions.append(np.arange(len(tokens)))
        return {"ids": np.concatenate(ids), "labels": np.concatenate(labels), "positions": np.concatenate(positions)}


class Collate:
    """Batches: ids and positions, at which places a token is predicted that is learned, and which one."""

    def __init__(self, pad: int, multiple: int) -> None:
        self.pad, self.multiple = pad, multiple

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        width = max(len(row["ids"]) for row in rows)
        width += -width % self.multiple
        ids = np.full((len(rows), width), self.pad, dtype=np.int64)
        labels = np.full((len(rows), width), IGNORE, dtype=np.int64)
        positions = np.empty((len(rows), width), dtype=np.int64)
        for number, row in enumerate(rows):
            long = len(row["ids"])
            ids[number, :long], labels[number, :long] = row["ids"], row["labels"]
            positions[number, :long], positions[number, long:] = row["positions"], np.arange(width - long)
        keep = np.flatnonzero((labels[:, 1:] != IGNORE).any(axis=0))
        return {
            "input_ids": torch.from_numpy(ids),
            "position_ids": torch.from_numpy(positions),
            "keep": torch.from_numpy(keep),
            "targets": torch.from_numpy(labels[:, keep + 1]),
        }


def say(text: str) -> None:
    """Printed once, however many train together."""
    if RANK == 0:
        print(text, flush=True)  # noqa: T201


class Learner(Trainer):
    """transformers' Trainer with the sum of the losses of all learned tokens, divided by how many of them a step has."""

    places = True
    products = "highest"

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As transformers has it, with the numbers in which the run multiplied matrices."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(self.products)
        try:
            return super().training_step(*args, **kwargs)
        finally:
            torch.set_float32_matmul_precision(before)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """See the class."""
        count = num_items_in_batch if num_items_in_batch is not None else inputs["targets"].ne(IGNORE).sum()
        loss = self.total(model, inputs) / count
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        return loss

    def total(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The sum alone."""
        given = {"input_ids": inputs["input_ids"], "position_ids": inputs["position_ids"], "use_cache": False}
        if self.places:
            found = model(**given, logits_to_keep=inputs["keep"]).logits
        else:
            found = model(**given).logits[:, inputs["keep"]]
        return F.cross_entropy(
            found.float().flatten(0, 1), inputs["targets"].flatten(), ignore_index=IGNORE, reduction="sum"
        )

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        count = sum(batch["targets"].ne(IGNORE).sum() for batch in batch_samples)
        if not torch.is_tensor(count):
            return None
        count = count.to(device)
        return self.accelerator.gather(count).sum() if self.args.world_size > 1 else count

    def measure(self, rows: Rows) -> float:
        """Mean loss of a learned token of ``rows``; draws no random number."""
        self.model.eval()
        total, count = 0.0, 0
        with torch.no_grad(), self.accelerator.autocast():
            for first in range(0, len(rows), self.args.per_device_eval_batch_size):
                last = min(len(rows), first + self.args.per_device_eval_batch_size)
                batch = self._prepare_inputs(self.data_collator([rows[number] for number in range(first, last)]))
                total += float(self.total(self.model, batch))
                count += int(batch["targets"].ne(IGNORE).sum())
        self.model.train()
        return total / max(1, count)


class Compare(TrainerCallback):
    """Holds every loss against the one that the run had; stops where the run was stopped."""

    def __init__(self, recorded: dict[int, dict[str, float]], measured: Rows | None) -> None:
        self.recorded, self.measured = recorded, measured
        self.learner: Learner | None = None
        self.rows: list[dict[str, float]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """An evaluation, where the run had one."""
        then = self.recorded.get(state.global_step, {})
        if "eval_loss" in then and self.measured is not None and self.learner is not None:
            self.compare(state.global_step, "eval_loss", self.learner.measure(self.measured))
        if self.recorded and state.global_step >= max(self.recorded):
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        """The loss of a step."""
        if "loss" in logs:
            self.compare(state.global_step, "loss", float(logs["loss"]))

    def compare(self, step: int, name: str, value: float) -> None:
        """Say it and remember it."""
        then = self.recorded.get(step, {}).get(name)
        told = "" if then is None else f"  then {then:.5f}  difference {value - then:+.1e}"
        say(f"step {step}  {name} {value:.5f}{told}")
        if then is not None:
            self.rows.append({"step": step, "name": name, "then": then, "now": value})  # type: ignore[dict-item]


def figures() -> dict[int, dict[str, float]]:
    """Step -> name -> value of what the run measured."""
    with (HERE / "figures.csv").open(newline="", encoding="utf-8") as file:
        return {
            int(row["step"]): {name: float(row[name]) for name in ("loss", "eval_loss") if row.get(name)}
            for row in csv.DictReader(file)
        }


def load(recipe: dict[str, Any], asked: argparse.Namespace) -> tuple[Any, bool]:
    """The model, ready to learn; and whether it computes logits at named places only."""
    set_seed(recipe["seed"])
    branch = recipe["start_mode"] == "branch" and asked.start_from
    folder = asked.start_from if branch and recipe["lora"] is None else asked.model
    given: dict[str, Any] = {
        "dtype": getattr(torch, recipe["weights"]),
        "use_safetensors": True,
        "trust_remote_code": asked.trust_remote_code,
    }
    if not recipe["arguments"]["use_cpu"]:
        given["device_map"] = {"": torch.cuda.current_device()}
    if recipe["quantization"]:
        settings = dict(recipe["quantization"])
        settings["bnb_4bit_compute_dtype"] = getattr(torch, settings["bnb_4bit_compute_dtype"])
        given["quantization_config"] = BitsAndBytesConfig(**settings)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, **given)
    places = "logits_to_keep" in inspect.signature(model.forward).parameters
    model.config.use_cache = False
    if recipe["lora"] is None:
        return model.requires_grad_(True), places
    if recipe["quantization"]:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if branch:
        model = PeftModel.from_pretrained(model, asked.start_from, is_trainable=True)
    else:
        model = get_peft_model(model, LoraConfig(**recipe["lora"]))
    if recipe["arguments"]["gradient_checkpointing"]:
        model.enable_input_require_grads()
    return model, places


def check_base(recipe: dict[str, Any], folder: Path) -> None:
    """Say where the base is not the one that the run had."""
    for name, told in recipe["base_files"].items():
        file = folder / name
        same = file.is_file() and file.stat().st_size == told["bytes"]
        if same and told["sha256"]:
            with file.open("rb") as opened:
                same = hashlib.file_digest(opened, "sha256").hexdigest() == told["sha256"]
        if not same:
            say(f"note: {file} is not the file that the run used")


def main() -> int:
    """The program."""
    recipe = json.loads((HERE / "recipe.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description="Repeat a training from its capsule.")
    parser.add_argument("--model", required=True, help=f"folder of the base model ({recipe['base']})")
    parser.add_argument("--out", default=str(HERE / "repeated"), help="folder for what is made")
    parser.add_argument("--rows", default=str(HERE / "rows.npz"), help="the rows as tokens, where they are elsewhere")
    parser.add_argument(
        "--start-from", default="", help="the checkpoint that the run began from, where it began from one"
    )
    parser.add_argument("--trust-remote-code", action="store_true", help="run program code from the model's folder")
    asked = parser.parse_args()
    if recipe["start_mode"] and not asked.start_from:
        parser.error("this run began from a checkpoint of an earlier one: give its folder with --start-from")
    together = recipe.get("processes", 1)
    if int(os.environ.get("WORLD_SIZE", "1")) != together:
        parser.error(
            f"{together} processes trained together: torchrun --standalone --nproc-per-node {together} repeat.py …"
        )
    check_base(recipe, Path(asked.model))
    if not recipe["arguments"]["use_cpu"]:
        torch.cuda.set_device(RANK)
    if recipe["arguments"]["use_cpu"]:
        torch.set_num_threads(recipe["threads"])
    file = np.load(asked.rows)
    model, places = load(recipe, asked)
    measured = Rows(file, "validation")
    watch = Compare(figures(), measured if len(measured) else None)
    learner = Learner(
        model=model,
        args=TrainingArguments(output_dir=str(Path(asked.out) / "trainer"), **recipe["arguments"]),
        data_collator=Collate(recipe["pad"], recipe["multiple"]),
        train_dataset=Rows(file, "train"),
        callbacks=[watch],
    )
    learner.remove_callback(PrinterCallback)
    learner.model_accepts_loss_kwargs = True
    learner.places, learner.products, watch.learner = places, recipe.get("products", "highest"), learner
    torch.manual_seed(recipe["seed"])
    learner.train(resume_from_checkpoint=asked.start_from if recipe["start_mode"] == "continue" else None)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # nobody leaves while another one still asks something of it
        torch.distributed.destroy_process_group()
    if RANK:
        return 0
    learner.accelerator.unwrap_model(learner.model).save_pretrained(asked.out)
    apart = max((abs(row["now"] - row["then"]) for row in watch.rows), default=float("nan"))
    summary = {"points": len(watch.rows), "largest_difference": apart, "out": asked.out}
    (Path(asked.out) / "compared.json").write_text(json.dumps({**summary, "figures": watch.rows}, indent=1))
    say(json.dumps(summary))
    return 0


if __name__ == "__main__":
    ended = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if "WORLD_SIZE" in os.environ:
        # What held the group outlives it, and with it gloo's threads: where Python takes them down at its end, they may abort the process.
        os._exit(ended)
    raise SystemExit(ended)
