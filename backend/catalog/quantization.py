"""How a model is quantized, from ``quantization_config`` in its ``config.json`` or the files that older tools wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.catalog.files import read_optional

# Before transformers took the settings into config.json, AutoGPTQ and AutoAWQ kept them in files of their own.
OLD_FILES = {"quantize_config.json": "gptq", "quant_config.json": "awq"}


@dataclass(frozen=True)
class Quantization:
    """method: as ``quant_method`` names it (awq, gptq, compressed-tensors, bitsandbytes, fp8 …); empty for none.
    bits: per weight, 0 where it is not said. group_size: weights that share one scale; None for a whole row or unknown."""

    method: str = ""
    bits: int = 0
    group_size: int | None = None

    @property
    def label(self) -> str:
        """For people: ``awq 4 bit``."""
        return f"{self.method} {self.bits} bit" if self.bits else self.method


def read_quantization(folder: Path, config: dict[str, Any]) -> Quantization:
    """The quantization of the model in ``folder``, whose ``config.json`` is ``config``.

    Raises:
        ModelError: one of the older files is there and cannot be read.
    """
    settings = config.get("quantization_config") or config.get("compression_config")
    if isinstance(settings, dict) and settings:
        return parse(settings)
    for name, method in OLD_FILES.items():
        old = read_optional(folder / name)
        if old:
            return parse({"quant_method": method, **old})
    return Quantization()


def parse(settings: dict[str, Any]) -> Quantization:
    """``quantization_config`` as a :class:`Quantization`; values of a wrong type count as not said."""
    method = settings.get("quant_method")
    if not isinstance(method, str) or not method:
        method = "bitsandbytes" if settings.get("load_in_4bit") or settings.get("load_in_8bit") else "unknown"
    if settings.get("load_in_4bit"):
        return Quantization(method, 4)
    if settings.get("load_in_8bit"):
        return Quantization(method, 8)
    source = _group_weights(settings) or settings
    bits = number(source.get("num_bits")) or number(source.get("bits")) or number(source.get("w_bit"))
    return Quantization(method, bits or 0, number(source.get("group_size")) or number(source.get("q_group_size")))


def _group_weights(settings: dict[str, Any]) -> dict[str, Any]:
    """compressed-tensors: the weights' settings of the first group that has any."""
    groups = settings.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        if isinstance(weights, dict):
            return weights
    return {}


def number(value: Any) -> int | None:
    """``value`` if it is a positive whole number, else None: configs hold null, text and -1 as well."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
