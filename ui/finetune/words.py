"""How a fine-tune reads: what for, how long, methods, engines, steps, times with their band, and where a number came from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from backend.i18n import N_, _, ngettext
from backend.specs.finetune import FinetuneSpec
from ui import spec_form, words

if TYPE_CHECKING:
    from backend.finetune.faults import Span
    from backend.finetune.plan import Plan

TIMES = {
    "minutes": N_("A few minutes"),
    "hour": N_("An hour"),
    "night": N_("A night"),
    "own": N_("No limit"),
}
METHODS = {"lora": "LoRA", "qlora": "QLoRA", "full": N_("Whole model")}
ENGINES = {"peft": "transformers + peft", "xtuner": "XTuner"}
DEEPSPEED = {
    "": N_("none"),
    "zero1": "ZeRO 1",
    "zero2": "ZeRO 2",
    "zero2_offload": N_("ZeRO 2, optimizer in main memory"),
    "zero3": "ZeRO 3",
    "zero3_offload": N_("ZeRO 3, weights and optimizer in main memory"),
}
DTYPES = {"auto": N_("as it fits"), "float32": "float32", "bfloat16": "bfloat16", "float16": "float16"}
DEVICES = {"auto": N_("as it fits"), "cpu": N_("processor"), "cuda": "GPU"}
SCHEDULERS = {"cosine": N_("falls like a cosine"), "linear": N_("falls evenly"), "constant": N_("stays")}
STARTS = {"continue": N_("go on"), "branch": N_("branch off")}
CHOICES: dict[str, dict[str, str]] = {
    "method": METHODS,
    "engine": ENGINES,
    "deepspeed": DEEPSPEED,
    "dtype": DTYPES,
    "device": DEVICES,
    "scheduler": SCHEDULERS,
    "start_mode": STARTS,
}
"""Fields of the spec with few values -> how these read."""
SOURCES = {
    "rehearsal": N_("measured by a rehearsal"),
    "earlier": N_("measured by an earlier run like it"),
    "assumed": N_("estimated"),
}


def choice(field: str, value: Any) -> str:
    """How ``value`` of the field ``field`` reads."""
    known = CHOICES.get(field, {}).get(str(value))
    return _(known) if known else str(value)


def value(field: str, found: Any) -> str:
    """A setting, short: ``0.0002``, ``on``, ``q_proj, v_proj``."""
    if isinstance(found, bool):
        return _("on") if found else _("off")
    if field in CHOICES:
        return choice(field, found)
    if isinstance(found, list | tuple):
        return ", ".join(str(each) for each in found) or _("none")
    if isinstance(found, float):
        return f"{found:g}"
    text = f"{found:,}" if isinstance(found, int) else str(found)
    return text if len(text) <= 60 else text[:59] + "…"


def label(field: str) -> str:
    """What the field is called in the form; any other name stands for itself."""
    name = field.split(".")[0]
    info = FinetuneSpec.model_fields.get(name)
    return spec_form.label(name, info) if info else field


def span(found: Span) -> str:
    """``8–12 min``; one number where the band is narrow."""
    low, high = words.duration(found.low), words.duration(found.high)
    if low == high:
        return words.duration(found.likely)
    return _("{low} to {high}").format(low=low, high=high)


def method(plan: Plan) -> str:
    """What is trained, in a sentence."""
    spec = plan.spec
    if spec.method == "full":
        return _("Every weight of {model} is trained; the base itself stays as it is.").format(model=name_of(spec))
    text = _("{method} of rank {rank}: a small add-on to {model} is trained, the base stays as it is.")
    if spec.method == "qlora":
        text = _("{method} of rank {rank}: {model} is held in 4 bit, and a small add-on to it is trained.")
    return text.format(method=METHODS[spec.method], rank=spec.lora_rank, model=name_of(spec))


def rows(plan: Plan) -> str:
    """What it learns from: ``180 rows to learn from · 9,421 tokens · packed into 24 of up to 512 tokens``."""
    text = ngettext("{n} row to learn from", "{n} rows to learn from", plan.rows)
    said = [text.format(n=f"{plan.rows:,}"), _("{n} tokens").format(n=f"{plan.tokens:,}")]
    if plan.spec.packing and plan.packed_rows:
        text = _("packed into {n} of up to {tokens} tokens")
        said.append(text.format(n=f"{plan.packed_rows:,}", tokens=f"{plan.spec.max_length:,}"))
    else:
        said.append(_("each of up to {tokens} tokens").format(tokens=f"{plan.spec.max_length:,}"))
    if plan.rows_cut:
        text = ngettext("{n} of them is cut off", "{n} of them are cut off", plan.rows_cut)
        said.append(text.format(n=f"{plan.rows_cut:,}"))
    return " · ".join(said)


def steps(plan: Plan) -> str:
    """What one step learns from: ``16 rows a step, 1 at once · on 2 GPUs``."""
    said = [ngettext("{n} row a step", "{n} rows a step", plan.effective_batch).format(n=f"{plan.effective_batch:,}")]
    if plan.spec.accumulation > 1:
        said.append(_("{n} at once").format(n=f"{plan.spec.batch_size:,}"))
    if plan.spec.gpus > 1:
        said.append(_("on {n} GPUs").format(n=plan.spec.gpus))
    if plan.spec.replay:
        text = _("{percent} % of it general conversation, against forgetting")
        said.append(text.format(percent=f"{100 * plan.spec.replay:.0f}"))
    return " · ".join(said)


def name_of(spec: FinetuneSpec) -> str:
    """The model's name, where it may be a folder."""
    from backend.specs.finetune import short

    return short(spec.model)


def checkpoint(path: str) -> str:
    """``step 120 of job 12`` of the folder of a checkpoint; another folder stands for itself."""
    found = re.search(r"/(\d+)/checkpoints/step-(\d+)/?$", path)
    if found is None:
        return path
    return _("step {step} of job {job}").format(step=int(found[2]), job=found[1])
