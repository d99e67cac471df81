"""How a quantization reads: methods and their bits, which rows, what serves the copy, how much smaller, and where a time came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.i18n import N_, _, ngettext
from backend.quantize.methods import KINDS, Kind
from backend.specs.finetune import short
from backend.specs.quantize import QuantizeSpec
from ui import spec_form, words

if TYPE_CHECKING:
    from backend.finetune.faults import Span
    from backend.quantize.plan import Plan

CALIBRATIONS = {
    "bundled": N_("The bundled set"),
    "dataset": N_("One of my datasets"),
    "none": N_("No rows"),
}
ABOUT_CALIBRATIONS = {
    "bundled": N_("Neutral texts in English and Chinese that ship with TuneDeck. A good start for any model."),
    "dataset": N_("Best where the copy will do one kind of work: it keeps what matters for such rows."),
    "none": N_("Nothing is looked at: it is the quickest, and a little less exact."),
}
DEVICES = {"auto": N_("as it fits"), "cpu": N_("processor"), "cuda": "GPU"}
CHOICES: dict[str, dict[str, str]] = {"device": DEVICES, "calibration": CALIBRATIONS}
"""Fields of the spec with few values -> how these read."""
PLACES = {"cpu": N_("a processor"), "cuda": N_("an NVIDIA GPU")}
METHODS = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "rtn": N_("plain rounding"),
    "int8": "int8",
    "fp8": "FP8",
    "smooth_quant": "SmoothQuant",
}
"""Methods without their bits."""
ENGINES = {"transformers": "transformers", "lmdeploy": "LMDeploy", "vllm": "vLLM"}
STAGES = {
    "rows": N_("choose rows"),
    "copy": N_("make the copy"),
    "check": N_("check it"),
}
"""What a job does, one after the other."""
REPORT_STAGE = N_("report card")
SOURCES = {
    "rehearsal": N_("measured by a rehearsal"),
    "earlier": N_("as measured before"),
    "assumed": N_("estimated"),
}


def label(field: str) -> str:
    """What the field is called in the form; empty for what is no field."""
    info = QuantizeSpec.model_fields.get(field.split(".")[0])
    return spec_form.label(field, info) if info else ""


def choice(field: str, value: Any) -> str:
    """How ``value`` of the field ``field`` reads."""
    known = CHOICES.get(field, {}).get(str(value))
    return _(known) if known else str(value)


def title(method: str) -> str:
    """What the method is called, with its bits; an unknown one stands for itself."""
    return _(KINDS[method].title) if method in KINDS else method


def method(name: str) -> str:
    """What the method is called in a sentence."""
    return _(METHODS[name]) if name in METHODS else name


def button(model: str, kind: Kind) -> str:
    """``Quantize starter to 4 bits (GPTQ)``."""
    text = ngettext(
        "Quantize {model} to {bits} bit ({method})", "Quantize {model} to {bits} bits ({method})", kind.bits
    )
    return text.format(model=short(model), bits=kind.bits, method=method(kind.method))


def smaller(before: int, after: float) -> str:
    """``2.9 times smaller``; in per cent where it is less than that; and what is larger is said so."""
    if not before or after <= 0:
        return ""
    if after >= before:
        return _("not smaller")
    if before / after >= 1.5:
        return _("{n} times smaller").format(n=f"{before / after:.1f}")
    return _("{percent} % smaller").format(percent=f"{100 * (1 - after / before):.0f}")


def servers(pairs: Sequence[tuple[str, str]]) -> str:
    """``transformers on a processor, LMDeploy on an NVIDIA GPU``."""
    text = _("{engine} on {place}")
    said = [
        text.format(engine=ENGINES.get(engine, engine), place=_(PLACES[device]) if device in PLACES else device)
        for engine, device in pairs
    ]
    return _(", ").join(said)


def span(found: Span) -> str:
    """``8 to 12 min``; one number where the band is narrow."""
    low, high = words.duration(found.low), words.duration(found.high)
    return words.duration(found.likely) if low == high else _("{low} to {high}").format(low=low, high=high)


def rows(plan: Plan) -> str:
    """Which texts it looks at, in a sentence."""
    spec = plan.spec
    if spec.calibration == "none" or (plan.kind is not None and plan.kind.calibrated == "never"):
        return _("It looks at no texts.")
    text = ngettext("It looks at {n} row {source}", "It looks at {n} rows {source}", plan.rows)
    bundled = _("of the bundled set")
    source = bundled if spec.calibration == "bundled" else _("of '{dataset}'").format(dataset=spec.dataset)
    said = [text.format(n=f"{plan.rows:,}", source=source)]
    if plan.row_tokens:
        said.append(_("{n} tokens").format(n=f"{plan.row_tokens:,}"))
    return " · ".join(said)
