"""Everything that would stop a training, or make it learn nothing, told before it is started: the model and
the engine.

The spec's own fields: reading.py; processors, rows, numbers, memory and disk, beginning and name: the files beside this one.
"""

from __future__ import annotations

from backend import catalog
from backend.catalog.cards import ModelCard
from backend.engines.refusals import needs_consent, not_generative, unusable
from backend.engines.registry import engines
from backend.envs import places
from backend.errors import ModelError, PanelError
from backend.finetune import here
from backend.finetune.faults import Faults, Way
from backend.finetune.here import Here
from backend.finetune.preflight_processors import no_bitsandbytes, no_deepspeed, no_gpu
from backend.i18n import N_
from backend.memory.machine import Machine
from backend.said import _
from backend.specs.finetune import Engine, FinetuneSpec
from backend.workspace import Workspace

TRAINABLE = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def look_here(workspace: Workspace, machine: Machine, engine: Engine) -> Here:
    """The processors that ``engine`` can use."""
    flavour = ""
    if engine == "xtuner":
        try:
            flavour = places.status(workspace, "xtuner").flavour
        except PanelError:
            flavour = ""
    return here.look(machine, engine, flavour)


def refused(card: ModelCard, engine: Engine = "peft") -> PanelError | None:
    """Why this model cannot be taught, however it is set; None where it can. Looks at the card only."""
    if card.problem is not None:
        return card.problem
    if card.adapter_of:
        base = card.base.name if card.base is not None else card.adapter_of
        return ModelError(
            "finetune_adapter",
            N_("'{model}' is an adapter, which is taught together with its base: {base}."),
            N_("Choose {base}; to go on with what the adapter has learned, merge it first."),
            model=card.name,
            base=base,
        )
    if not card.architecture.endswith(TRAINABLE):
        return not_generative(card)
    if engine == "xtuner":
        found = engines()["xtuner"]
        return found.refuses(card)  # type: ignore[attr-defined]
    if (problem := unusable(card)) is not None:
        return problem
    if card.needs_code and not card.code_allowed:
        return needs_consent(card)
    if card.quantization_method and card.quantization_method != "bitsandbytes":
        return ModelError(
            "model_quantized_untrainable",
            N_("'{model}' is quantized with {method}, and quantized weights cannot be trained."),
            N_("Choose the model before it was quantized; QLoRA makes 4 bits of it by itself."),
            model=card.name,
            method=card.quantization_method,
        )
    if not card.chat_template:
        return ModelError(
            "finetune_no_template",
            N_("'{model}' has no chat template, so nobody can say how a conversation becomes its text."),
            N_("Choose a template for it on the Models page."),
            model=card.name,
        )
    return None


def unavailable(
    workspace: Workspace, card: ModelCard, machine: Machine, engine: Engine = "peft"
) -> dict[str, dict[str, str]]:
    """Field of the spec -> value -> why it cannot be chosen for ``card`` on this machine, in one sentence."""
    found = look_here(workspace, machine, engine)
    without = no_gpu(found)
    why: dict[str, dict[str, str]] = {"method": {}, "dtype": {}, "device": {}, "deepspeed": {}, "engine": {}}
    if not found.gpus:
        why["device"]["cuda"] = without
        why["method"]["qlora"] = without
        why["dtype"] |= {
            "bfloat16": _("On the CPU it computes in float32."),
            "float16": _("On the CPU it computes in float32."),
        }
    else:
        if not found.bitsandbytes:
            why["method"]["qlora"] = no_bitsandbytes()
        if not found.bfloat16():
            why["dtype"]["bfloat16"] = _("This GPU is too old for bfloat16.")
    if card.quantization_method:
        why["method"]["full"] = _("Quantized weights cannot be trained; a LoRA on top can.")
    if not found.deepspeed:
        text = without if not found.gpus else no_deepspeed()
        why["deepspeed"] = dict.fromkeys(("zero1", "zero2", "zero2_offload", "zero3", "zero3_offload"), text)
    if (problem := _xtuner_missing(workspace)) is not None:
        why["engine"]["xtuner"] = " ".join(part for part in problem.localized() if part)
    elif (problem := refused(card, "xtuner")) is not None:
        why["engine"]["xtuner"] = problem.localized()[0]
    return {field: values for field, values in why.items() if values}


def check_model(workspace: Workspace, spec: FinetuneSpec, faults: Faults) -> ModelCard | None:
    """The model, also where something is wrong with it; None where there is none."""
    if not spec.model:
        return None
    try:
        card = catalog.find(workspace, spec.model)
    except PanelError as error:
        faults.of(error, "model")
        return None
    problem = refused(card, spec.engine)
    if problem is not None:
        faults.of(problem, "model", ways=_instead(workspace, card))
    if spec.method == "full" and card.quantization_method == "bitsandbytes":
        faults.add(
            "finetune_full_quantized",
            "method",
            _("'{model}' is in {bits} bits, and all weights cannot be trained like that.").format(
                model=card.name, bits=card.quantization_bits or "?"
            ),
            _("Train a LoRA on top of it."),
            ways=(Way(_("Train a LoRA"), {"method": "lora"}),),
        )
    if card.context_length and spec.max_length > card.context_length:
        faults.add(
            "finetune_context",
            "max_length",
            _("'{model}' reads {context} tokens at most, and rows of {tokens} were asked for.").format(
                model=card.name, context=f"{card.context_length:,}", tokens=f"{spec.max_length:,}"
            ),
            _("Cut the rows at what it reads."),
            ways=(
                Way(
                    _("Longest row: {tokens} tokens").format(tokens=f"{card.context_length:,}"),
                    {"max_length": card.context_length},
                ),
            ),
        )
    if spec.template and card.template_fingerprint and spec.template != card.template_fingerprint:
        faults.add(
            "template_changed",
            "template",
            _("The chat template or special tokens of '{model}' are no longer those that were agreed on.").format(
                model=card.name
            ),
            _("Take them as they are now; what was trained with the old ones does not fit any more."),
            ways=(Way(_("Take the template as it is now"), {"template": card.template_fingerprint}),),
        )
    return card


def _instead(workspace: Workspace, card: ModelCard) -> tuple[Way, ...]:
    """The model that is meant, where that is on the list: an adapter's base, or what a quantized copy was made of."""
    name = card.base.name if card.adapter_of and card.base is not None else ""
    if not name and card.quantization_method and card.lineage is not None and card.lineage.base:
        try:
            name = catalog.find(workspace, card.lineage.base).name
        except PanelError:
            return ()
    return (Way(_("Teach {model}").format(model=name), {"model": name}),) if name else ()


def check_engine(workspace: Workspace, spec: FinetuneSpec, faults: Faults) -> None:
    """XTuner has to be installed, and takes some things only."""
    if spec.engine != "xtuner":
        return
    problem = _xtuner_missing(workspace)
    if problem is not None:
        faults.of(problem, "engine", ways=(Way(_("Train with peft"), {"engine": "peft", "config_text": ""}),))


def _xtuner_missing(workspace: Workspace) -> PanelError | None:
    try:
        status = places.status(workspace, "xtuner")
    except PanelError as error:
        return error
    if status.usable:
        return None
    return status.problem or engines()["xtuner"].unavailable()
