"""A quantized model as a plain one in floating point, wherever: so its quality can be measured where nothing serves it.

Covered: AWQ ("gemm", 4 bits) and SmoothQuant (int8) of LMDeploy; compressed-tensors, which transformers unpacks by itself, as it does
when it serves them; and what is not quantized. Inputs that are rounded while the model computes are rounded here, too. Not covered: speed
and memory, which are those of a plain model; GPTQ of AutoGPTQ, bitsandbytes, FP8 of other makers.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from backend.catalog.files import read_object
from backend.catalog.quantization import read_quantization
from backend.errors import ModelError
from backend.i18n import N_
from jobs.quantizing import packing
from jobs.serving.loading import may_run_code

PLAIN = ("", "compressed-tensors")
"""What transformers loads by itself."""


def load(folder: Path, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Any:
    """The model in ``folder``, its weights in ``dtype`` on ``device``, in evaluation mode.

    Raises:
        ModelError: ``dequantize_unknown``; ``model_needs_code``. What transformers raises for a folder that is no model.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, logging
    from transformers.utils.quantization_config import CompressedTensorsConfig

    logging.disable_progress_bar()
    found = read_quantization(folder, read_object(folder / "config.json"))
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": may_run_code(str(folder))}
    if found.method in PLAIN:
        if device != "cpu":  # at once: what is unpacked stays where it was unpacked
            local["device_map"] = {"": device}
        if found.method:
            local["quantization_config"] = CompressedTensorsConfig(dequantize=True)
        with warnings.catch_warnings():
            # It tells that only this one setting is heeded, beside those of the folder: that is what is wanted.
            warnings.filterwarnings("ignore", "You passed `quantization_config`")
            model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype, use_safetensors=True, **local)
        return model.eval()
    stored = {name: value for file in sorted(folder.glob("*.safetensors")) for name, value in load_file(file).items()}
    rounding: list[str] = []
    if found.method == "awq" and found.bits == packing.BITS and any(name.endswith(".qzeros") for name in stored):
        weights = packing.awq_weights(stored)
    elif found.method == "smooth_quant":
        weights, rounding = packing.smooth_weights(stored)
    else:
        raise ModelError(
            "dequantize_unknown",
            N_("The weights of '{model}' are {how}, which can only be read by the engine that serves them."),
            N_("Measure it where it is served: on a machine whose engine takes this format."),
            model=folder.name,
            how=found.label,
        )
    del stored
    config = AutoConfig.from_pretrained(str(folder), **local)
    del config.quantization_config
    weights = {name: value.to(dtype) if value.is_floating_point() else value for name, value in weights.items()}
    model = _class(config, folder).from_pretrained(None, config=config, state_dict=weights, dtype=dtype)
    for place in rounding:
        model.get_submodule(place).register_forward_pre_hook(packing.round_inputs)
    if (folder / "generation_config.json").is_file():
        from transformers import GenerationConfig

        model.generation_config = GenerationConfig.from_pretrained(str(folder))
    return model.to(device).eval()


def _class(config: Any, folder: Path) -> Any:
    """The class that computes with weights of ``config``: one of transformers, or from code in the folder that a person allowed."""
    from transformers import AutoModelForCausalLM
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    named = (getattr(config, "auto_map", None) or {}).get("AutoModelForCausalLM")
    if named and may_run_code(str(folder)):
        return get_class_from_dynamic_module(named, str(folder))
    return AutoModelForCausalLM._model_mapping[type(config)]
