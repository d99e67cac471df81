"""What an adapter (LoRA) adds to each matrix of its base, read from its files tensor by tensor; no model is built for it.

Arithmetic as peft's (``peft/tuners/lora/layer.py``, ``get_delta_weight``): scale x B A, in float32, where scale is alpha / r, or
alpha / sqrt(r) with rank-stabilized LoRA (Kalajdzievski 2023, arXiv:2312.03732); transposed where the base keeps its matrices
turned (GPT-2).

Covered: linear layers, embeddings, ranks and alphas by pattern, whole copies of a module (``modules_to_save``). Not covered,
and refused: DoRA, trained biases, experts in one piece, other kinds of adapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import safe_open

from backend.catalog.files import read_object
from backend.errors import ModelError
from backend.i18n import N_

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_PART = re.compile(r"(?P<module>.+)\.lora_(?P<embedding>embedding_)?(?P<part>[AB])(?:\.default)?(?:\.weight)?")
_WRAPPERS = re.compile(r"\.(?:base_layer|modules_to_save|original_module)(?:\.default)?\b")
_LAYER = re.compile(r"(?:^|\.)((?:layers|h|blocks?)\.\d+\..+)$")


@dataclass(frozen=True)
class Lora:
    """The two matrices on one module, by their names in the file."""

    a: str
    b: str
    embedding: bool


class Adapter:
    """An adapter on the disk; used as a context, its file stays open."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        ModelError: ``merge_kind``: it is none that can be written into weights here.
        """
        self.folder = folder
        self.settings = read_object(folder / "adapter_config.json")
        self._file: Any = None
        self.loras: dict[str, Lora] = {}
        self.whole: dict[str, str] = {}
        parts: dict[str, dict[str, tuple[str, bool]]] = {}
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            names = list(file.keys())
        for name in names:
            plain = _WRAPPERS.sub("", name.removeprefix(_PREFIX))
            if found := _PART.fullmatch(plain):
                parts.setdefault(found["module"], {})[found["part"]] = (name, bool(found["embedding"]))
            elif "lora_" in plain:
                raise self._refused(name)
            else:
                self.whole[plain] = name
        for module, both in parts.items():
            if both.keys() != {"A", "B"}:
                raise self._refused(module)
            self.loras[module] = Lora(both["A"][0], both["B"][0], both["A"][1])
            self.whole.pop(f"{module}.weight", None)  # what lies under it, saved along: the base's own
        self._refuse_kinds()

    def __enter__(self) -> Adapter:
        self._file = safe_open(self.folder / WEIGHTS, framework="pt").__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)
        self._file = None

    def places(self, there: Iterable[str]) -> dict[str, str]:
        """Tensor of the base -> module or tensor of the adapter that changes it; ``there`` are the names in the base's files.
        A tied ``lm_head`` that has no tensor of its own stands under the name ``lm_head.weight``.

        Raises:
            ModelError: ``merge_no_place``: the base has no such part.
        """
        names = set(there)
        by_tail: dict[str, list[str]] = {}
        for name in names:
            by_tail.setdefault(_tail(name), []).append(name)
        found: dict[str, str] = {}
        for ours in (*self.loras, *self.whole):
            wanted = f"{ours}.weight" if ours in self.loras else ours
            fitting = [wanted] if wanted in names else by_tail.get(_tail(wanted), [])
            if not fitting and _tail(wanted) == "lm_head.weight":
                fitting = [wanted]
            if len(fitting) != 1:
                raise ModelError(
                    "merge_no_place",
                    N_("The adapter changes {module}, and the base has no such part, or several."),
                    N_("The adapter itself can be used: serve it on top of its base. Turn off Merge at the end."),
                    module=ours,
                )
            found[fitting[0]] = ours
        return found

    def changed(self, ours: str, weight: torch.Tensor) -> torch.Tensor:
        """``weight`` of the base with what the adapter's ``ours`` makes of it, in the number format of ``weight``.

        Raises:
            ModelError: ``merge_not_finite``: it is no number, or too large for that format.
        """
        if ours in self.whole:
            merged = self._file.get_tensor(self.whole[ours]).to(weight.dtype)
        else:
            merged = (weight.float() + self._delta(ours, weight.shape)).to(weight.dtype)
        if merged.shape != weight.shape:
            raise self._refused(ours)
        if not torch.isfinite(merged).all():
            raise ModelError(
                "merge_not_finite",
                N_("Merged, {module} would hold numbers that are none (NaN), or too large for {dtype}."),
                N_(
                    "The training went wrong, most likely with too high a learning rate: look at its curves. Take an earlier "
                    "checkpoint, or train again with a lower one."
                ),
                module=ours,
                dtype=str(weight.dtype).removeprefix("torch."),
            )
        return merged

    def _delta(self, module: str, shape: torch.Size) -> torch.Tensor:
        lora = self.loras[module]
        a, b = self._file.get_tensor(lora.a).float(), self._file.get_tensor(lora.b).float()
        delta = self._scale(module, int(a.shape[0])) * (b @ a)
        turned = lora.embedding or bool(self.settings.get("fan_in_fan_out"))
        delta = delta.T if turned else delta
        # The flag says it for square ones; of others the shape does, whatever the flag.
        return delta if delta.shape == shape else delta.T

    def _scale(self, module: str, rank: int) -> float:
        alpha = _by_pattern(self.settings.get("alpha_pattern"), module, self.settings.get("lora_alpha"))
        rank = int(_by_pattern(self.settings.get("rank_pattern"), module, self.settings.get("r")) or rank)
        return float(alpha) / (rank**0.5 if self.settings.get("use_rslora") else rank)

    def _refuse_kinds(self) -> None:
        said = self.settings
        kind = str(said.get("peft_type") or "LORA").upper()
        if (
            kind != "LORA"
            or said.get("use_dora")
            or said.get("bias", "none") != "none"
            or said.get("target_parameters")
        ):
            named = [key for key in ("use_dora", "bias", "target_parameters") if said.get(key)]
            raise self._refused(kind if kind != "LORA" else ", ".join(named))

    def _refused(self, what: str) -> ModelError:
        return ModelError(
            "merge_kind",
            N_("The adapter in {folder} cannot be written into the weights of its base here ({what})."),
            N_("The adapter itself can be used: serve it on top of its base. Turn off Merge at the end."),
            folder=str(self.folder),
            what=what,
        )


def _by_pattern(patterns: Any, module: str, otherwise: Any) -> Any:
    """As peft chooses (``get_pattern_key``): a key is the end of a module's name, or a regular expression for it."""
    for key, value in patterns.items() if isinstance(patterns, dict) else ():
        if re.match(rf"(?:.*\.)?({key})$", module):
            return value
    return otherwise


def _tail(name: str) -> str:
    """What programs and files agree about: from the layer on; of what is in no layer the last two parts."""
    found = _LAYER.search(name)
    return found[1] if found else ".".join(name.rsplit(".", 2)[-2:])
