"""What is likely to help against a server that failed: the settings to try next."""

from __future__ import annotations

from typing import Any

from backend.catalog import ModelCard
from backend.deploy.planning import LEAST_CONTEXT
from backend.engines import ENGINES
from backend.memory.planned import DEFAULT_CONTEXT
from backend.specs.serve import ServeSpec

FIXES: dict[str, tuple[str, ...]] = {
    "less_memory": (
        "engine_out_of_memory",
        "engine_kv_cache_too_large",
        "engine_killed",
        "not_enough_memory",
        "not_enough_gpu_memory",
    ),
    "transformers": (
        "engine_gpu_unsupported",
        "engine_no_cuda",
        "engine_driver_too_old",
        "engine_architecture_unknown",
        "model_architecture_unknown",
    ),
    "own_template": ("engine_chat_template_bad",),
    "no_parsers": ("engine_parser_unknown",),
    "no_adapters": ("engine_adapter_bad",),
    "auto_format": ("engine_quantization_unknown",),
}
"""Another attempt that is likely to do better -> the failures (see :mod:`backend.engines.crashes`) that it is for."""
RESETS = {
    "own_template": ("chat_template",),
    "no_parsers": ("tool_call_parser", "reasoning_parser"),
    "no_adapters": ("adapters",),
    "auto_format": ("model_format",),
}


def fix(code: str, spec: dict[str, Any], card: ModelCard | None) -> tuple[str, dict[str, Any]] | None:
    """What is likely to help against the failure ``code`` of a server with the settings ``spec``: its name, one of
    :data:`FIXES`, and the settings to try next. None where only the same again can be tried."""
    name = next((name for name, codes in FIXES.items() if code in codes), "")
    if name == "less_memory":
        return name, {**spec, **less_memory(spec, card)}
    if name == "transformers":
        kept = ("model", "name", *ENGINES["transformers"].options())
        new = {**{field: spec[field] for field in kept if field in spec}, "engine": "transformers"}
        return None if spec.get("engine") == "transformers" else (name, new)
    if name:
        reset = {field: ServeSpec.model_fields[field].get_default() for field in RESETS[name]}
        return (name, {**spec, **reset}) if any(spec.get(field) for field in reset) else None
    return None


def less_memory(spec: dict[str, Any], card: ModelCard | None) -> dict[str, Any]:
    """Changes to the settings ``spec`` of a server that ran out of memory: half the KV cache where its size was given, and
    half the context; answers one at a time where that can be chosen."""
    context = int(spec.get("context_length") or 0) or (card.served.context_length if card else None) or DEFAULT_CONTEXT
    changes: dict[str, Any] = {"context_length": max(LEAST_CONTEXT, context // 2)}
    if spec.get("engine") == "lmdeploy":
        if spec.get("kv_cache_gib"):
            return {**changes, "kv_cache_gib": float(spec["kv_cache_gib"]) / 2}
        return {**changes, "cache_max_entry_count": float(spec.get("cache_max_entry_count") or 0.8) / 2}
    return {**changes, "continuous_batching": "off"}
