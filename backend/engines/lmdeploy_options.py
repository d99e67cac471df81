"""LMDeploy's settings: which core serves a model, what does not fit together, and how they are written as flags.

What a core loads is read from its source: turbomind/converter.py (get_tm_config, _SUPPORTED_GROUP_SIZES) and
pytorch/config.py (QuantizationConfig, _patch_quantization_config), both of 0.18.
"""

from __future__ import annotations

import re
from pathlib import Path

from backend.catalog.cards import ModelCard
from backend.engines import kv
from backend.engines.base import Problem
from backend.engines.lmdeploy_env import facts
from backend.i18n import _
from backend.specs.serve import ServeSpec

QUANTIZED = {
    "turbomind": ("awq", "gptq", "compressed-tensors", "fp8", "mxfp4"),
    "pytorch": ("awq", "compressed-tensors", "fp8", "smooth_quant"),
}
"""Quantized weights that each core loads."""
GROUP_SIZES = {"awq": (128,), "gptq": (128,), "compressed-tensors": (32, 128)}
"""Weights with one scale that TurboMind takes."""
PYTORCH_GROUP = 32
"""And the PyTorch core, of compressed-tensors."""
NOT_FOR_CHAT = re.compile(r"Reward|MTP|Draft|Eagle")
"""Architectures that LMDeploy lists but that score texts, or only help another model."""
FEWEST_BLOCKS = 16
"""The PyTorch core refuses fewer (pytorch/engine/engine_checker.py); with 64 tokens each they are a short conversation."""
ADAPTER_NAME = re.compile(r"[\w.][\w.-]{0,95}")
CORES = {"turbomind": "TurboMind", "pytorch": "PyTorch"}
MIB = 1 << 20


def knows(card: ModelCard, core_name: str) -> bool:
    """Whether this core has the architecture of ``card``."""
    return card.architecture in facts()[core_name] and not NOT_FOR_CHAT.search(card.architecture)


def core(spec: ServeSpec, card: ModelCard) -> str:
    """``turbomind`` or ``pytorch``: the one asked for, else TurboMind where it can do all that is asked for."""
    if spec.backend != "auto":
        return spec.backend
    if spec.adapters or spec.eager_mode or not knows(card, "turbomind"):
        return "pytorch"
    on_the_fly = spec.model_format == "fp8" and not card.quantization_method
    return "pytorch" if on_the_fly or not _turbomind_loads(card) else "turbomind"


def _turbomind_loads(card: ModelCard) -> bool:
    method = card.quantization_method
    if not method:
        return True
    if method not in QUANTIZED["turbomind"] or (
        method == "compressed-tensors" and card.quantization_bits not in (0, 4)
    ):
        return False
    sizes = GROUP_SIZES.get(method)
    return sizes is None or card.quantization_group_size in (None, *sizes)


def _loads(card: ModelCard, chosen: str) -> bool:
    """Whether the weights of ``card`` are quantized as this core knows it, or not at all."""
    method = card.quantization_method
    if not method:
        return True
    if method not in QUANTIZED[chosen]:
        return False
    if chosen == "turbomind":
        return _turbomind_loads(card)
    # pytorch/config.py, _parse_compressed_tensors_config: 4 bits in groups of 32, and nothing else of that format.
    fits = card.quantization_bits in (0, 4) and card.quantization_group_size in (None, PYTORCH_GROUP)
    return method != "compressed-tensors" or fits


def problems(spec: ServeSpec, card: ModelCard, gpus: int | None) -> list[Problem]:
    """See :meth:`backend.engines.base.Engine.problems`; the shares of a GPU's memory apart."""
    chosen = core(spec, card)
    found = [*_machine(spec, gpus), *_weights(spec, card, chosen), *_cache(spec, card, chosen), *_talk(spec, card)]
    if chosen == "turbomind" and spec.adapters:
        found.append(Problem("adapters", _("Only the PyTorch core serves adapters: choose it, or auto.")))
    if chosen == "turbomind" and spec.eager_mode:
        found.append(Problem("eager_mode", _("This is a setting of the PyTorch core only.")))
    return found


def _machine(spec: ServeSpec, gpus: int | None) -> list[Problem]:
    found = []
    if spec.device == "cpu":
        found.append(Problem("device", _("LMDeploy computes on NVIDIA GPUs only.")))
    if spec.dtype == "float32":
        found.append(Problem("dtype", _("LMDeploy computes in 16 bits: choose auto, bfloat16 or float16.")))
    if spec.tp & (spec.tp - 1):
        found.append(Problem("tp", _("The number of GPUs must be 1, 2, 4, 8 and so on.")))
    if gpus is not None and spec.tp > gpus:
        text = _("GPUs in this machine: {gpus}; asked for: {tp}.")
        found.append(Problem("tp", text.format(gpus=gpus, tp=spec.tp)))
    if spec.gpu_mib and spec.tp > 1:
        found.append(
            Problem("gpu_mib", _("A part of a GPU can be reserved on one GPU only: reserve 0, or use one GPU."))
        )
    return found


def _weights(spec: ServeSpec, card: ModelCard, chosen: str) -> list[Problem]:
    found = []
    method, wanted, title = card.quantization_method, spec.model_format, CORES[chosen]
    if not knows(card, chosen):
        text = _("The {core} core does not know {architecture}: choose the other one, or auto.")
        found.append(Problem("backend", text.format(core=title, architecture=card.architecture or "?")))
    if not _loads(card, chosen):
        text = _(
            "The {core} core does not load weights quantized like these ({quantization}): choose the other one, or auto."
        )
        found.append(Problem("backend", text.format(core=title, quantization=_quantization(card))))
    if wanted not in ("auto", method or "hf") and not (wanted == "fp8" and not method and chosen == "pytorch"):
        text = _("The weights of this model are {stored}, not {format}: choose auto.")
        stored = method or _("not quantized")
        found.append(Problem("model_format", text.format(stored=stored, format=wanted)))
    heads = kv.shape(card)
    if chosen == "pytorch" and heads is not None and heads.kv_heads % spec.tp:
        text = _("The PyTorch core cannot share the {heads} KV heads of this model between {tp} GPUs.")
        found.append(Problem("tp", text.format(heads=heads.kv_heads, tp=spec.tp)))
    return found


def _quantization(card: ModelCard) -> str:
    size = card.quantization_group_size
    return f"{card.quantization}, group {size}" if size else card.quantization


def _cache(spec: ServeSpec, card: ModelCard, chosen: str) -> list[Problem]:
    if spec.kv_cache_gib is None:
        return []
    found = []
    if spec.cache_max_entry_count != ServeSpec.model_fields["cache_max_entry_count"].default:
        text = _("Give the KV cache either in GiB or as a share of the free memory, not both.")
        found.append(Problem("kv_cache_gib", text))
    if spec.gpu_mib and spec.kv_cache_gib * 1024 >= spec.gpu_mib:
        text = _("The KV cache alone would take more than the {mib} MiB of GPU memory reserved.")
        found.append(Problem("kv_cache_gib", text.format(mib=spec.gpu_mib)))
    return found + _too_small(spec, card, chosen, spec.kv_cache_gib, "kv_cache_gib")


def share_problems(spec: ServeSpec, card: ModelCard, fixed_bytes: int) -> list[Problem]:
    """What is wrong with ``spec.gpu_mib``, where weights and workspaces take ``fixed_bytes``."""
    left = (spec.gpu_mib << 20) - fixed_bytes
    if left <= 0:
        text = _("The weights and workspaces take about {needed} MiB; reserve more, or 0 for a whole GPU.")
        return [Problem("gpu_mib", text.format(needed=fixed_bytes // MIB))]
    if spec.kv_cache_gib is not None:
        return []
    return _too_small(spec, card, core(spec, card), left / kv.GIB, "gpu_mib")


def _too_small(spec: ServeSpec, card: ModelCard, chosen: str, gib: float, field: str) -> list[Problem]:
    shape = kv.shape(card)
    if shape is None:
        if chosen == "turbomind":
            return []
        text = _(
            "How much memory a conversation takes is not told by this model, so that the PyTorch core cannot be given GiB."
        )
        return [Problem(field, text)]
    fit = kv.blocks(shape, gib, spec.cache_block_seq_len, spec.quant_policy, spec.tp)
    if fit >= FEWEST_BLOCKS:
        return []
    text = _("This leaves room for {tokens} tokens of conversation; it takes at least {least}.")
    size = spec.cache_block_seq_len
    return [Problem(field, text.format(tokens=fit * size, least=FEWEST_BLOCKS * size))]


def _talk(spec: ServeSpec, card: ModelCard) -> list[Problem]:
    template = spec.chat_template
    if not template and card.template_chosen and not spec.completions_only:
        text = _(
            "The chat template that was chosen for this model is known to transformers only: name one that LMDeploy knows."
        )
        return [Problem("chat_template", text)]
    if not template or template in facts()["chat_templates"]:
        return []
    if Path(template).is_absolute() and Path(template).is_file():
        return []
    text = _("LMDeploy knows no chat template '{name}', and there is no such file. It knows: {known}.")
    return [Problem("chat_template", text.format(name=template, known=", ".join(facts()["chat_templates"])))]


def _speechless(spec: ServeSpec, card: ModelCard) -> bool:
    """It is to be served for completions, and its folder has no chat template, without which LMDeploy does not start."""
    return spec.completions_only and (not card.chat_template or bool(card.template_chosen))


def flags(spec: ServeSpec, card: ModelCard, chosen: str) -> list[str]:
    """All but the place, the KV cache's size and the adapters, as ``--flag=value``: a value may begin with a dash. What is
    LMDeploy's own default is left out."""
    context = min(card.context_length or spec.context_length, spec.context_length)
    template = spec.chat_template or ("base" if _speechless(spec, card) else "")
    # The PyTorch core quantizes to fp8 while it loads, and reads all else from the model itself.
    names_format = spec.model_format != "auto" and (chosen == "turbomind" or spec.model_format == "fp8")
    named = {
        "--dtype": spec.dtype if spec.dtype != "auto" else "",
        "--model-format": spec.model_format if names_format else "",
        "--tp": spec.tp if spec.tp > 1 else 0,
        "--session-len": context,
        "--max-batch-size": spec.max_batch_size,
        "--quant-policy": spec.quant_policy,
        "--cache-block-seq-len": spec.cache_block_seq_len if spec.cache_block_seq_len != 64 else 0,
        "--max-prefill-token-num": spec.max_prefill_token_num if spec.max_prefill_token_num != 8192 else 0,
        "--chat-template": template,
        "--tool-call-parser": spec.tool_call_parser,
        "--reasoning-parser": spec.reasoning_parser,
    }
    switches = {"--enable-prefix-caching": spec.enable_prefix_caching, "--eager-mode": spec.eager_mode}
    return [f"{flag}={value}" for flag, value in named.items() if value] + [f for f, on in switches.items() if on]
