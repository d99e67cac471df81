"""Which ways to make a smaller copy run on this machine for a model, what can serve the result, and why not."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from backend.catalog.cards import ModelCard
from backend.engines import lmdeploy_env, lmdeploy_lite
from backend.engines.lmdeploy_options import GROUP_SIZES, PYTORCH_GROUP, knows
from backend.engines.refusals import needs_consent, not_generative
from backend.engines.registry import engines
from backend.errors import ModelError, PanelError, ServerError
from backend.i18n import N_
from backend.memory.forecast import facts
from backend.memory.machine import Machine, snapshot
from backend.quantize.kinds import KINDS, LMDEPLOY, Kind, Server
from backend.said import _

__all__ = [
    "KINDS",
    "LMDEPLOY",
    "Choice",
    "Kind",
    "Server",
    "choices",
    "fitting_groups",
    "here",
    "refused",
    "served_note",
    "servers",
    "unavailable",
    "unsuited",
    "usual_group",
]
NO_LINEAR = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer", "clvp", "convbert")
"""Kinds of models whose matrices are ``Conv1D`` (transformers 5.17), which llm-compressor passes over."""


@dataclass(frozen=True)
class Choice:
    """A method for one model on this machine. problem: why it cannot be done here. served_here: this machine has something that
    serves the copy. served_note: by what, or what that takes, in the language of the person."""

    kind: Kind
    problem: PanelError | None
    served_here: bool
    served_note: str


def choices(card: ModelCard, machine: Machine | None = None) -> list[Choice]:
    """All methods for ``card``: those first that can be done here, of these first what can also be served here."""
    machine = machine or snapshot()
    whole = refused(card)
    found = []
    for kind in KINDS.values():
        serving = here(servers(kind, card, usual_group(kind, card)), machine)
        problem = whole or unsuited(kind, card, machine)
        found.append(Choice(kind, problem, bool(serving), served_note(kind, serving)))
    return sorted(found, key=lambda one: (one.problem is not None, not one.kind.makes_a_copy, not one.served_here))


def refused(card: ModelCard) -> PanelError | None:
    """Why no smaller copy of ``card`` can be made, whatever the method; None where one can. Looks at the card only."""
    if card.problem is not None:
        return card.problem
    if card.adapter_of:
        return ModelError(
            "quantize_adapter",
            N_("'{model}' is an adapter: a small add-on to {base}, which gains nothing from fewer bits."),
            N_("Merge it into its base on the Models page, and make the merged model smaller."),
            model=card.name,
            base=card.base.name if card.base is not None else card.adapter_of,
        )
    if card.quantization_method:
        return ModelError(
            "quantize_already",
            N_("'{model}' is quantized already ({how}): rounding it once more only loses more."),
            N_("Choose the model that it was made from."),
            model=card.name,
            how=card.quantization,
        )
    if not card.architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        return not_generative(card)
    return None


def unsuited(kind: Kind, card: ModelCard, machine: Machine) -> PanelError | None:
    """Why this method cannot be used for ``card`` on this machine; None where it can. Starts no process."""
    if not kind.makes_a_copy:
        return ServerError("quantize_makes_no_copy", N_("{method} makes no copy."), kind.note, method=_(kind.title))
    return _unknown(kind, card) or _code(card) or unavailable(kind, machine)


def unavailable(kind: Kind, machine: Machine) -> PanelError | None:
    """Why ``kind`` cannot be done on this machine, whatever the model; None where it can."""
    if kind.method == "smooth_quant" and not _has_gpu(machine):
        return ServerError(
            "quantize_needs_gpu",
            N_("SmoothQuant computes its 8 bits with programs for GPUs, and this machine shows no NVIDIA GPU."),
            N_("int8 makes a copy of the same size here."),
        )
    if kind.engine == "lmdeploy":
        return lmdeploy_env.unusable()
    if importlib.util.find_spec("llmcompressor") is None:
        return ServerError(
            "quantize_no_engine",
            N_("This method needs the package llmcompressor, which is not installed here."),
            N_("Run 'make setup' in the folder of TuneDeck."),
        )
    return None


def _unknown(kind: Kind, card: ModelCard) -> ModelError | None:
    if kind.engine == "lmdeploy":
        known = card.architecture in lmdeploy_lite.ARCHITECTURES
    else:
        known = card.model_type not in NO_LINEAR and not card.vision and not card.audio
    if known:
        return None
    return ModelError(
        "quantize_architecture",
        N_("'{model}' ({architecture}) is of a kind that {engine} cannot make smaller."),
        N_("Choose another method, or another model."),
        model=card.name,
        architecture=card.architecture or "?",
        engine="LMDeploy" if kind.engine == "lmdeploy" else "llm-compressor",
    )


def _code(card: ModelCard) -> PanelError | None:
    return needs_consent(card) if card.needs_code and not card.code_allowed else None


def servers(kind: Kind, card: ModelCard, group: int, symmetric: bool = False) -> tuple[Server, ...]:
    """What can serve a copy of ``card`` made like this, on whatever machine. group: 0: one scale a row."""
    return tuple(one for one in kind.serves if one != LMDEPLOY or _lmdeploy_serves(kind, card, group, symmetric))


def _lmdeploy_serves(kind: Kind, card: ModelCard, group: int, symmetric: bool) -> bool:
    turbomind, pytorch = knows(card, "turbomind"), knows(card, "pytorch")
    if kind.method == "kv":
        return turbomind or pytorch
    if kind.method == "awq":
        return pytorch or (turbomind and group in GROUP_SIZES["awq"])
    if kind.method == "smooth_quant":
        return pytorch
    fits = turbomind and group in GROUP_SIZES["compressed-tensors"]
    return fits or (pytorch and group == PYTORCH_GROUP and symmetric)


def here(serving: Sequence[Server], machine: Machine) -> tuple[Server, ...]:
    """Those of ``serving`` that this machine has."""
    gpu = _has_gpu(machine)
    able = {name: engines()[name].unavailable() is None for name in {name for name, _device in serving}}
    return tuple((name, device) for name, device in serving if able[name] and (gpu or device == "cpu"))


def _has_gpu(machine: Machine) -> bool:
    return any(one.total is not None for one in machine.gpus)


def served_note(kind: Kind, serving: Sequence[Server]) -> str:
    """What serves the copy here, or what that takes, in one sentence."""
    names = sorted({engines()[name].title for name, _device in serving})
    if names:
        return _("Served here by {engines}.").format(engines=", ".join(names))
    if kind.engine == "load":
        return ""
    if not kind.makes_a_copy:
        return _("It takes an NVIDIA GPU and LMDeploy.")
    return _("To serve it takes an NVIDIA GPU and LMDeploy; its size and quality can be measured without.")


def usual_group(kind: Kind, card: ModelCard) -> int:
    """The largest usual group size that fits all layers of ``card``; 0 where the method has none, or none fits."""
    return next(iter(fitting_groups(card)), 0) if kind.grouped else 0


GROUPS = (128, 64, 32)
"""Group sizes that are usual, the one that makes the smallest copy first."""


def fitting_groups(card: ModelCard) -> list[int]:
    """Of :data:`GROUPS` those that divide the width of every matrix; [] where the card does not tell."""
    widths = _widths(card)
    return [size for size in GROUPS if widths and not any(width % size for width in widths)]


def _widths(card: ModelCard) -> frozenset[int]:
    try:
        return frozenset(one.inputs for one in facts.from_card(card).linears)
    except PanelError:
        return frozenset()
