"""All that a training with transformers and peft was begun with, so that it can be repeated elsewhere (:mod:`jobs.finetuning.repeat`).

``recipe.json`` is written when the training begins: what was settled then is not asked again at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TrainingArguments

from backend.specs.finetune import FinetuneSpec
from backend.workspace import write_json
from jobs.finetuning.devices import Place
from jobs.finetuning.packing import pack
from jobs.finetuning.tokens import Tokens

if TYPE_CHECKING:
    from jobs.finetuning.loading import Loaded

FILE = "recipe.json"
ARGUMENTS = (
    "max_steps", "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "learning_rate",
    "lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm", "gradient_checkpointing",
    "gradient_checkpointing_kwargs", "bf16", "fp16", "use_cpu", "optim", "seed", "data_seed", "eval_strategy",
    "save_strategy", "logging_strategy", "logging_steps", "logging_first_step", "logging_nan_inf_filter", "disable_tqdm",
    "report_to", "remove_unused_columns", "dataloader_pin_memory", "dataloader_num_workers",
)  # fmt: skip
"""Of the Trainer's arguments, those that :func:`jobs.finetuning.learner.arguments` sets."""


def note(
    job_dir: Path, spec: FinetuneSpec, place: Place, loaded: Loaded, given: TrainingArguments, pad: int, multiple: int
) -> None:
    """Write it down.

    Raises:
        WorkspaceError: the disk is full.
    """
    arguments = {name: _plain(getattr(given, name)) for name in ARGUMENTS}
    config = loaded.model.peft_config["default"] if loaded.adapted else None
    lora = {
        "r": spec.lora_rank,
        "lora_alpha": spec.lora_alpha,
        "lora_dropout": spec.lora_dropout,
        "target_modules": "all-linear" if spec.target_modules == ["all-linear"] else list(spec.target_modules),
        "task_type": "CAUSAL_LM",
    }
    quantization = {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": _plain(place.compute),
    }
    write_json(
        job_dir / FILE,
        {
            "format": 1,
            "engine": "peft",
            "seed": spec.seed,
            "weights": _plain(place.weights),
            "device": place.name,
            "threads": torch.get_num_threads(),
            "processes": spec.gpus,
            "products": "medium" if loaded.short else "highest",
            "arguments": arguments,
            "lora": lora if config is not None else None,
            "quantization": quantization if spec.method == "qlora" else None,
            "start_mode": spec.start_mode if spec.start_from else "",
            "joined": bool(spec.packing and loaded.apart),
            "max_length": spec.max_length,
            "pad": pad,
            "multiple": multiple,
        },
    )


def rows(job_dir: Path, recipe: dict[str, Any]) -> dict[str, np.ndarray] | None:
    """What rows.npz of the capsule holds: the rows as tokens, and which were joined; None where they are gone."""
    found: dict[str, np.ndarray] = {}
    for part in ("train", "validation"):
        try:
            with np.load(job_dir / "rows" / f"{part}.npz") as held:
                tokens = Tokens(held["ids"], held["learned"], held["edges"])
        except (OSError, ValueError, KeyError, EOFError):
            return None
        groups: Sequence[Sequence[int]] = [[number] for number in range(len(tokens))]
        if recipe.get("joined"):
            groups = pack(tokens.lengths, int(recipe["max_length"]), int(recipe["seed"]))
        found |= {
            f"{part}_ids": tokens.ids,
            f"{part}_learned": tokens.learned,
            f"{part}_edges": tokens.edges,
            f"{part}_numbers": np.array([number for group in groups for number in group], dtype=np.int64),
            f"{part}_groups": np.cumsum([0, *map(len, groups)]),
        }
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return getattr(value, "value", value)
