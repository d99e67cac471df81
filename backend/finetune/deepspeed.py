"""DeepSpeed's settings as one file, the same for XTuner and for transformers' Trainer: which part of a training is spread.

Stage 1 spreads the optimizer over the GPUs, 2 also the gradients, 3 also the weights; *offload* keeps what is spread in main
memory. Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020. What is ``auto`` both
engines fill in by themselves; the values are those that XTuner ships (xtuner 0.2.0, ``configs/deepspeed``), but for the
precision, which XTuner would take from the GPU and not from what was asked for.
"""

from __future__ import annotations

from typing import Any

from backend.specs.finetune import FinetuneSpec

FILE = "deepspeed.json"
KINDS = ("zero1", "zero2", "zero2_offload", "zero3", "zero3_offload")
"""As :attr:`backend.specs.finetune.FinetuneSpec.deepspeed` names them."""


def config(kind: str, dtype: str) -> dict[str, Any]:
    """The settings of ``kind``, one of :data:`KINDS`, for a training that computes in ``dtype``."""
    stage, _, offload = kind.removeprefix("zero").partition("_")
    spread: dict[str, Any] = {"stage": int(stage), "overlap_comm": True}
    host = {"device": "cpu", "pin_memory": True}
    if offload:
        spread["offload_optimizer"] = host
    if stage == "3":
        if offload:
            spread["offload_param"] = host
        # Else a checkpoint would have no weights in it that anything but DeepSpeed reads.
        spread["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "gradient_accumulation_steps": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_clipping": "auto",
        # Offloading would want DeepSpeed's own Adam, which is compiled on the first start.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": spread,
        "fp16": {"enabled": dtype == "float16", "initial_scale_power": 16},
        "bf16": {"enabled": dtype == "bfloat16"},
    }


def of(spec: FinetuneSpec) -> dict[str, Any] | None:
    """The settings that ``spec`` asks for; None where it asks for none. Its precision has been settled."""
    return config(spec.deepspeed, spec.dtype) if spec.deepspeed else None
