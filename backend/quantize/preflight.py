"""What would stop a quantization, or make a copy that nothing serves, told before it is started: model, method, group size, device, name.

The spec's own fields: reading.py; rows: preflight_rows.py; memory and disk: preflight_room.py.
"""

from __future__ import annotations

import math
from collections import defaultdict

from backend import catalog
from backend.catalog.cards import ModelCard
from backend.catalog.joining import template_changed
from backend.envs import places
from backend.errors import PanelError
from backend.finetune import here, result_names
from backend.finetune.faults import Faults, Way
from backend.finetune.preflight_processors import no_gpu
from backend.memory.forecast import ModelFacts
from backend.memory.machine import Machine
from backend.quantize import methods
from backend.quantize.methods import Kind
from backend.said import _
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace

NAMED = 3
"""Layers that are named of those that do not fit, and of these widths."""
GROUPS = (256, 128, 64, 32, 16, 8)
SMALLEST_GROUP, LARGEST_GROUP = 8, 1024
AWQ_PACKS = 8
"""Outputs of a matrix that lie in one number of LMDeploy's AWQ files."""


def check_model(workspace: Workspace, spec: QuantizeSpec, faults: Faults) -> ModelCard | None:
    """The model, also where something is wrong with it; None where there is none."""
    if not spec.model:
        return None
    try:
        card = catalog.find(workspace, spec.model)
    except PanelError as error:
        faults.of(error, "model")
        return None
    problem = methods.refused(card) or template_changed(card)
    if problem is not None:
        faults.of(problem, "model", ways=_instead(workspace, card))
    if spec.template and card.template_fingerprint and spec.template != card.template_fingerprint:
        faults.add(
            "template_changed",
            "template",
            _("The chat template or special tokens of '{model}' are no longer those that were agreed on.").format(
                model=card.name
            ),
            _("Take them as they are now: the copy takes over what the model has."),
            ways=(Way(_("Take the template as it is now"), {"template": card.template_fingerprint}),),
        )
    return card


def _instead(workspace: Workspace, card: ModelCard) -> tuple[Way, ...]:
    """The model that is meant, where that is on the list: what a quantized copy was made of."""
    if not card.quantization_method or card.lineage is None or not card.lineage.base:
        return ()
    try:
        name = catalog.find(workspace, card.lineage.base).name
    except PanelError:
        return ()
    return (Way(_("Make {model} smaller").format(model=name), {"model": name}),)


def check_method(spec: QuantizeSpec, card: ModelCard | None, machine: Machine, faults: Faults) -> Kind:
    """Its method can be used here, for this model."""
    kind = methods.KINDS[spec.method]
    if faults.has("model"):
        return kind

    def wrong(one: Kind) -> PanelError | None:
        return methods.unsuited(one, card, machine) if card is not None else methods.unavailable(one, machine)

    problem = wrong(kind)
    if problem is None:
        return kind
    alike = [other for other in methods.KINDS.values() if other.makes_a_copy and other.bits == kind.bits]
    usable = [other for other in alike if wrong(other) is None]
    faults.of(problem, "method", ways=tuple(_method(other) for other in usable[:2]))
    return kind


def _method(kind: Kind) -> Way:
    fields = {"method": kind.method}
    return Way(_("Method: {method}").format(method=_(kind.title)), fields)


def settle_device(workspace: Workspace, spec: QuantizeSpec, machine: Machine, faults: Faults) -> QuantizeSpec:
    """``spec`` with the device that will compute; what cannot be had is said."""
    found = here.look(machine)
    device = found.device if spec.device == "auto" else spec.device
    flavour = _flavour(workspace) if methods.KINDS[spec.method].engine == "lmdeploy" else ""
    if device == "cuda" and flavour == "cpu" and spec.device == "auto":
        device = "cpu"
    if spec.device == "cuda" and (not found.gpus or flavour == "cpu"):
        message = no_gpu(found) if not found.gpus else _("LMDeploy is installed here for the CPU only.")
        faults.add(
            "quantize_no_gpu",
            "device",
            message,
            _("Compute on the CPU, or use a machine with a GPU."),
            ways=(Way(_("Compute on the CPU"), {"device": "auto"}),),
        )
    return spec.model_copy(update={"device": device})


def _flavour(workspace: Workspace) -> str:
    try:
        return places.status(workspace, "lmdeploy").flavour
    except PanelError:
        return ""


def check_group(spec: QuantizeSpec, kind: Kind, known: ModelFacts, faults: Faults) -> None:
    """Its group size divides the width of every matrix, and its method knows it."""
    if kind.method == "awq" and spec.symmetric:
        faults.add(
            "quantize_awq_symmetric",
            "symmetric",
            _("LMDeploy's AWQ needs zero points: without them the copy comes out broken."),
            _("Leave 'Symmetric' off, or choose another method."),
            ways=(Way(_("With zero points"), {"symmetric": False}), _method(methods.KINDS["gptq"])),
        )
    if kind.engine == "lmdeploy":
        odd = [one for one in known.linears if one.outputs % AWQ_PACKS] if kind.method == "awq" else []
        if odd:
            text = _("AWQ packs {pack} outputs into one number, and these layers have another count: {names}.")
            names = ", ".join(f"{one.name} ({one.outputs:,})" for one in odd[:NAMED])
            faults.add("quantize_outputs", "method", text.format(pack=AWQ_PACKS, names=names), _("Choose another method."), ways=(_method(methods.KINDS["gptq"]),))  # fmt: skip
    if not kind.grouped:
        return
    if spec.group_size == 0:
        if kind.method == "awq":
            faults.add(
                "quantize_group",
                "group_size",
                _("LMDeploy's AWQ cannot give one scale to a whole row."),
                _("Choose a group size."),
                ways=_sizes(known, kind, 0),
            )
        return
    narrow: defaultdict[int, list[str]] = defaultdict(list)
    for one in known.linears:
        if one.inputs % spec.group_size and one.name not in narrow[one.inputs]:
            narrow[one.inputs].append(one.name)
    if not narrow:
        return
    text = _("Groups of {size} weights do not come out even in every layer: {names}.")
    names = ", ".join(_named(names, width) for width, names in sorted(narrow.items())[:NAMED])
    faults.add(
        "quantize_group",
        "group_size",
        text.format(size=spec.group_size, names=names),
        _("Choose a group size that divides the width of all layers."),
        ways=_sizes(known, kind, spec.group_size),
    )


def _named(names: list[str], width: int) -> str:
    """``k_proj, o_proj … (192)``."""
    return f"{', '.join(names[:NAMED])}{' …' if len(names) > NAMED else ''} ({width:,})"


def check_served(spec: QuantizeSpec, kind: Kind, card: ModelCard, known: ModelFacts, faults: Faults) -> None:
    """LMDeploy, which could serve such copies of this model, also serves one in such groups."""
    if not kind.grouped or faults.has("group_size") or faults.has("method"):
        return
    if methods.LMDEPLOY in methods.servers(kind, card, spec.group_size, spec.symmetric):
        return
    ways = tuple(
        way
        for way in _sizes(known, kind, spec.group_size)
        if methods.LMDEPLOY in methods.servers(kind, card, way.fields["group_size"], spec.symmetric)
    )
    if ways:
        size = spec.group_size or _("whole rows")
        faults.add(
            "quantize_group_unserved",
            "group_size",
            _("LMDeploy does not serve a copy like this in groups of {size}; transformers does.").format(size=size),
            _("Take another group size if it is to run on LMDeploy."),
            fatal=False,
            ways=ways,
        )


def _sizes(known: ModelFacts, kind: Kind, now: int) -> tuple[Way, ...]:
    """Group sizes that fit all layers, the nearest to usual first; 0 where the method knows it."""
    even = math.gcd(*(one.inputs for one in known.linears)) if known.linears else 0
    fit = [size for size in GROUPS if even and even % size == 0 and size != now]
    if not fit and even:
        fit = [size for size in range(min(even, LARGEST_GROUP), SMALLEST_GROUP - 1, -1) if even % size == 0 and size != now][:1]  # fmt: skip
    fit = sorted(fit, key=lambda size: abs(math.log2(size / (now or 128))))[:NAMED]
    ways = [Way(_("Group size: {size}").format(size=size), {"group_size": size}) for size in fit]
    if kind.method != "awq" and now:
        ways.append(Way(_("One scale for a whole row"), {"group_size": 0}))
    return tuple(ways)


def check_name(workspace: Workspace, spec: QuantizeSpec, card: ModelCard | None, kind: Kind, faults: Faults) -> str:
    """The name of the copy: as asked for, or made of the model's and the method's."""
    suffix = kind.method if kind.bits == 8 else f"{kind.method} {kind.bits}bit"
    usual = f"{card.name if card else spec.model} {suffix}"
    return result_names.check(workspace, spec.name, usual, "quantize_name_taken", faults)
