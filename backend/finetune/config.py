"""What a person takes along who leaves the panel: the command of the run, and the config that its engine is given."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.catalog.cards import ModelCard
from backend.data.tokens.model import TokenModel
from backend.engines import xtuner_edit
from backend.engines.xtuner_config import LLAMA3
from backend.envs import places
from backend.errors import PanelError
from backend.finetune import xtuner
from backend.finetune.faults import Faults
from backend.said import _
from backend.workspace import Workspace

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

SPEC = "SPEC.json"
"""Stands in a command that is shown before a job has been given its folder."""


def filled(workspace: Workspace, made: Plan, card: ModelCard, model: TokenModel | None, faults: Faults) -> Plan:
    """``made`` with command and config; what XTuner would refuse late is said."""
    spec = made.spec
    if spec.engine == "xtuner":
        return _xtuner(workspace, made, card, model, faults)
    shown = [sys.executable, "-m", f"jobs.{spec.verb}", SPEC]
    return replace(made, command=tuple(shown), config=json.dumps(arguments(made), ensure_ascii=False, indent=1))


def _xtuner(workspace: Workspace, made: Plan, card: ModelCard, model: TokenModel | None, faults: Faults) -> Plan:
    spec, folder = made.spec, Path(made.model_folder)
    python = None
    with contextlib.suppress(PanelError):  # that it is not installed is said elsewhere
        python = places.status(workspace, "xtuner").python
    shown = xtuner.command(python or Path("python"), spec)
    try:
        layout = xtuner.layout_of(model) if model is not None else LLAMA3
        begins = xtuner.checkpoint_in(Path(spec.start_from).expanduser()) if spec.start_mode == "branch" else None
        found = xtuner.settings(spec, folder, Path(xtuner.ROWS), made, layout, begins if spec.start_from else None)
    except PanelError as error:
        faults.of(error, "model")
        return replace(made, command=tuple(shown))
    for problem in xtuner.problems(found, spec, card.context_length):
        if not faults.has(problem.field):
            faults.add("finetune_xtuner", problem.field, problem.message, _("Change it, or train with peft."))
    made = replace(made, command=tuple(shown), config=spec.config_text or xtuner.config(found))
    if not spec.config_text:
        return made
    # A person who wrote the file says in it how long it trains.
    with contextlib.suppress(ValueError, SyntaxError):
        steps = xtuner_edit.read(spec.config_text).steps
        made = replace(made, steps=steps, steps_low=steps, steps_high=steps)
    return made


def arguments(made: Plan) -> dict[str, Any]:
    """What the engine of peft trains with, under the names of transformers' ``TrainingArguments`` and peft's ``LoraConfig``."""
    spec = made.spec
    training = {
        "per_device_train_batch_size": spec.batch_size,
        "per_device_eval_batch_size": spec.batch_size,
        "gradient_accumulation_steps": spec.accumulation,
        "max_steps": made.steps,
        "learning_rate": spec.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if spec.scheduler == "constant" else spec.scheduler,
        "warmup_steps": made.warmup_steps,
        "weight_decay": spec.weight_decay,
        "max_grad_norm": spec.max_grad_norm,
        "optim": "adamw_torch",
        "bf16": spec.dtype == "bfloat16",
        "fp16": spec.dtype == "float16",
        "gradient_checkpointing": spec.gradient_checkpointing,
        "eval_steps": spec.eval_every,
        "save_steps": spec.save_every,
        "seed": spec.seed,
        "use_cpu": spec.device == "cpu",
    }
    found: dict[str, Any] = {
        "model": made.model_folder,
        "dataset": f"{spec.dataset}@{spec.version}",
        "max_length": spec.max_length,
        "packing": spec.packing,
        "training": training,
    }
    if spec.method != "full":
        targets: Any = "all-linear" if "all-linear" in spec.target_modules else list(spec.target_modules)
        found["lora"] = {
            "r": spec.lora_rank,
            "lora_alpha": spec.lora_alpha,
            "lora_dropout": spec.lora_dropout,
            "target_modules": targets,
            "bias": "none",
            "task_type": "CAUSAL_LM",
        }
    if spec.method == "qlora":
        found["quantization"] = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": spec.dtype,
        }
    return found
