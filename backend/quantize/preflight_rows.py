"""Calibration rows before a quantization: whether there are as many as asked for, and whether the model can read them."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

from backend.catalog.cards import ModelCard
from backend.data.store import Datasets
from backend.data.tokens.model import TokenModel, open_listed
from backend.errors import PanelError
from backend.finetune.faults import Faults, Way
from backend.memory.forecast import ModelFacts
from backend.quantize import calibration, methods
from backend.quantize.calibration import NONE, Calibrated
from backend.quantize.methods import Kind
from backend.said import _, ngettext
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace

KEPT = 16
_kept: OrderedDict[tuple[Any, ...], Calibrated] = OrderedDict()
_lock = Lock()


def settle(workspace: Workspace, spec: QuantizeSpec, kind: Kind, faults: Faults) -> QuantizeSpec:
    """``spec`` with the rows that its method really looks at: none where it looks at none; the dataset's version."""
    if kind.calibrated == "never":
        return spec.model_copy(update={"calibration": "none", "dataset": "", "version": ""})
    if spec.calibration == "none" and kind.calibrated == "required":
        ways = [Way(_("Take the bundled rows"), {"calibration": "bundled"})]
        free = next(one for one in methods.KINDS.values() if one.bits == kind.bits and one.calibrated != "required" and one.makes_a_copy)  # fmt: skip
        free = methods.KINDS["rtn"] if kind.bits == 4 else free
        ways.append(Way(_("Method: {method}").format(method=_(free.title)), {"method": free.method}))
        faults.add(
            "quantize_needs_rows",
            "calibration",
            _("{method} has to look at rows, and none were chosen.").format(method=_(kind.title)),
            _("Choose rows, or a method that needs none."),
            ways=tuple(ways),
        )
    if spec.calibration != "dataset":
        return spec.model_copy(update={"dataset": "", "version": ""})
    try:
        version = Datasets(workspace).open(spec.dataset, spec.version or None)
    except PanelError as error:
        where = "version" if error.code == "version_unknown" else "dataset"
        faults.of(error, where, ways=(Way(_("Take the bundled rows"), {"calibration": "bundled"}),))
        return spec
    return spec.model_copy(update={"version": version.info.id})


def see(workspace: Workspace, spec: QuantizeSpec, card: ModelCard | None, faults: Faults) -> Calibrated:
    """The rows as the model reads them, as far as a plan looks; none where nothing can be said."""
    if card is None or spec.calibration == "none" or faults.has("model") or faults.has("dataset") or faults.has("version"):  # fmt: skip
        return NONE
    try:
        tokens = open_listed(workspace, spec.model)
        if spec.calibration == "dataset":
            tokens.template()  # says that there is none, or that it is broken
        return _looked(workspace, spec, tokens)
    except PanelError as error:
        ways = (Way(_("Take the bundled rows"), {"calibration": "bundled"}),) if spec.calibration == "dataset" else ()
        faults.of(error, "calibration", ways=ways)
        return NONE


def _looked(workspace: Workspace, spec: QuantizeSpec, tokens: TokenModel) -> Calibrated:
    """Versions of datasets never change: what was looked at once is kept for the process."""
    key = (
        str(workspace.root),
        tokens.fingerprint,
        spec.calibration,
        spec.dataset,
        spec.version,
        spec.samples,
        spec.sample_tokens,
        spec.seed,
    )
    with _lock:  # several sessions of the panel plan at once
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    made = calibration.texts(workspace, spec, tokens, calibration.LOOK_CHARS)
    with _lock:
        _kept[key] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def check(spec: QuantizeSpec, kind: Kind, card: ModelCard, seen: Calibrated, faults: Faults) -> None:
    """There are as many rows as asked for, and the model reads rows of this length."""
    _check_context(spec, card, faults)
    if not seen.asked:
        return
    if seen.refused:
        text = ngettext(
            "{count} row is left out: the chat template refuses it, or it holds pictures.",
            "{count} rows are left out: the chat template refuses them, or they hold pictures.",
            seen.refused,
        )
        hint = _("Mend them on the page Datasets if they matter.")
        faults.add("quantize_rows_refused", "dataset", text.format(count=f"{seen.refused:,}"), hint, fatal=False)
    if seen.found < seen.asked:
        _too_few(spec, seen, faults)
    elif seen.cut:
        _cut(spec, card, seen, faults)
    _check_joined(spec, kind, seen, faults)


def _check_context(spec: QuantizeSpec, card: ModelCard, faults: Faults) -> None:
    context = card.context_length
    if spec.calibration == "none" or not context or spec.sample_tokens <= context:
        return
    faults.add(
        "quantize_context",
        "sample_tokens",
        _("'{model}' reads {context} tokens at most, and rows of {tokens} were asked for.").format(
            model=card.name, context=f"{context:,}", tokens=f"{spec.sample_tokens:,}"
        ),
        _("Cut the rows at what it reads."),
        ways=(_length(context),),
    )


def _length(tokens: int) -> Way:
    return Way(_("Row length: {tokens} tokens").format(tokens=f"{tokens:,}"), {"sample_tokens": tokens})


def _too_few(spec: QuantizeSpec, seen: Calibrated, faults: Faults) -> None:
    name = _("the bundled set") if spec.calibration == "bundled" else f"'{spec.dataset}'"
    ways = []
    if seen.found:
        text = ngettext("Take the {count} row", "Take the {count} rows", seen.found)
        ways.append(Way(text.format(count=f"{seen.found:,}"), {"samples": seen.found}))
    if spec.calibration == "dataset" and seen.found < len(calibration.bundled()):
        fields = {"calibration": "bundled", "samples": min(spec.samples, len(calibration.bundled()))}
        ways.append(Way(_("Take the bundled rows"), fields))
    text = ngettext(
        "{asked} rows were asked for, and {name} has {found} that can be used.",
        "{asked} rows were asked for, and {name} has {found} that can be used.",
        seen.found,
    )
    faults.add(
        "quantize_few_rows",
        "samples",
        text.format(asked=f"{seen.asked:,}", found=f"{seen.found:,}", name=name),
        _("Ask for fewer; only rows of the split 'train' calibrate."),
        ways=tuple(ways),
    )


def _cut(spec: QuantizeSpec, card: ModelCard, seen: Calibrated, faults: Faults) -> None:
    count = round(seen.cut * seen.taken / max(1, len(seen.rows)))
    text = ngettext(
        "{count} row is longer than {tokens} tokens; the rest of it is not looked at.",
        "{count} rows are longer than {tokens} tokens; the rest of them is not looked at.",
        count,
    )
    most = min(seen.longest, card.context_length or seen.longest, 32768)
    faults.add(
        "quantize_rows_cut",
        "sample_tokens",
        text.format(count=f"{count:,}", tokens=f"{spec.sample_tokens:,}"),
        _("Longer rows take more memory and time, and seldom change the copy."),
        fatal=False,
        ways=(_length(most),) if most > spec.sample_tokens else (),
    )


def _check_joined(spec: QuantizeSpec, kind: Kind, seen: Calibrated, faults: Faults) -> None:
    """LMDeploy joins all rows and cuts pieces of ``sample_tokens`` out of that; the job takes shorter ones where that is too little."""
    if kind.engine != "lmdeploy" or not seen.whole or seen.tokens >= spec.sample_tokens or not seen.rows:
        return
    faults.add(
        "quantize_rows_short",
        "sample_tokens",
        _("All rows together have {tokens} tokens, and LMDeploy cuts pieces of {length} out of them.").format(
            tokens=f"{seen.tokens:,}", length=f"{spec.sample_tokens:,}"
        ),
        _("Take more rows; or it takes shorter pieces by itself."),
        fatal=False,
        ways=(_length(max(16, seen.tokens // 2)),) if seen.tokens >= 16 else (),
    )


def check_enough(spec: QuantizeSpec, kind: Kind, known: ModelFacts, seen: Calibrated, faults: Faults) -> None:
    """GPTQ sees more tokens than its widest layer has inputs; with fewer it guesses the directions that it never saw."""
    widest = max((one.inputs for one in known.linears), default=0)
    tokens = round(seen.tokens * seen.taken / max(1, len(seen.rows)))
    if kind.method not in ("gptq", "int8") or not tokens or tokens >= widest or faults.has("samples"):
        return
    more = min(seen.found, 4096, -(-widest * seen.taken // max(1, tokens)))
    text = ngettext("Take {count} row", "Take {count} rows", more)
    faults.add(
        "quantize_few_tokens",
        "samples",
        _(
            "The rows have {tokens} tokens, fewer than the widest layer has inputs ({inputs}): it would round by guess."
        ).format(tokens=f"{tokens:,}", inputs=f"{widest:,}"),
        _("Take more rows, or longer ones."),
        fatal=False,
        ways=(Way(text.format(count=f"{more:,}"), {"samples": more}),) if more > spec.samples else (),
    )
