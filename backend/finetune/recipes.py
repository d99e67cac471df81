"""Recipes by what is to be learned, as a GPU takes them: those of the course notes that TuneDeck grew out of (Llama 3 8B on one
A100 or H800). What a machine or a model changes of them: presets.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.i18n import N_
from backend.specs.finetune import Purpose


@dataclass(frozen=True)
class Preset:
    """title, description, source: texts marked with ``N_``; source: whose recipe it is. fields: of the spec, on a GPU."""

    purpose: Purpose
    title: str
    description: str
    source: str
    fields: dict[str, Any]


PRESETS: dict[Purpose, Preset] = {
    "identity": Preset(
        "identity",
        N_("An identity"),
        N_("A name and a maker: who it is when somebody asks."),
        N_("the self-cognition recipe of the course notes (XTuner, Llama 3 8B, 12 to 24 minutes on one GPU)"),
        {
            "method": "qlora",
            "max_length": 512,
            "packing": True,
            "batch_size": 1,
            "accumulation": 16,
            "epochs": 3.0,
            "learning_rate": 2e-4,
            "warmup_ratio": 0.03,
            "lora_rank": 16,
            "lora_alpha": 16,
            "lora_dropout": 0.1,
        },
    ),
    "style": Preset(
        "style",
        N_("A style or a role"),
        N_("How it speaks: a character, a tone, a way of answering."),
        N_("the recipe of the course notes for plain transformers and peft (a persona, rows of 384 tokens)"),
        {
            "method": "lora",
            "max_length": 384,
            "packing": False,
            "batch_size": 4,
            "accumulation": 4,
            "epochs": 3.0,
            "learning_rate": 1e-4,
            "warmup_ratio": 0.03,
            "lora_rank": 8,
            "lora_alpha": 32,
            "lora_dropout": 0.1,
        },
    ),
    "tools": Preset(
        "tools",
        N_("The use of tools"),
        N_("When to call a function, and with which arguments."),
        N_("the Agent-FLAN recipe of the course notes (QLoRA, 4,096 tokens packed, a night on one GPU)"),
        {
            "method": "qlora",
            "max_length": 4096,
            "packing": True,
            "batch_size": 1,
            "accumulation": 16,
            "epochs": 1.0,
            "learning_rate": 2e-4,
            "warmup_ratio": 0.03,
            "lora_rank": 64,
            "lora_alpha": 16,
            "lora_dropout": 0.1,
        },
    ),
    "documents": Preset(
        "documents",
        N_("Longer documents"),
        N_("Rows as long as they are, up to what the model reads: reports, laws, manuals."),
        N_("the recipe of the course notes for transformers and peft, with rows as long as yours are"),
        {
            "method": "lora",
            "max_length": 4096,
            "packing": True,
            "batch_size": 1,
            "accumulation": 16,
            "epochs": 2.0,
            "learning_rate": 1e-4,
            "warmup_ratio": 0.03,
            "lora_rank": 32,
            "lora_alpha": 32,
            "lora_dropout": 0.05,
        },
    ),
    "own": Preset(
        "own",
        N_("My own settings"),
        N_("A cautious beginning, to be changed at will."),
        N_("the settings that the fields have by themselves"),
        {"method": "lora", "max_length": 2048, "packing": True, "epochs": 3.0},
    ),
}
