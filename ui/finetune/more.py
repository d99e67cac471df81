"""Every setting of a fine-tune, folded: in words, with its unit, its range and what it costs in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import streamlit as st

from backend.i18n import N_, _
from backend.specs.finetune import MOST_PROMPTS, FinetuneSpec
from ui import errors, spec_form
from ui.finetune import costs as finetune_costs
from ui.finetune import state as finetune_state
from ui.finetune import words as finetune_words
from ui.finetune.words import CHOICES

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

Reasons = Mapping[str, Mapping[str, str]]
GROUPS = {
    "method": (
        N_("Method"),
        ("engine", "method", "lora_rank", "lora_alpha", "lora_dropout", "target_modules", "gradient_checkpointing"),
    ),
    "rows": (
        N_("Rows"),
        ("max_length", "packing", "batch_size", "accumulation", "replay", "own_replay", "validation_share", "seed"),
    ),
    "steps": (
        N_("Steps"),
        (
            "epochs",
            "max_steps",
            "learning_rate",
            "warmup_ratio",
            "scheduler",
            "weight_decay",
            "max_grad_norm",
            "patience",
        ),
    ),
    "machine": (N_("Machine"), ("device", "dtype", "gpus", "gpu_mib", "deepspeed")),
    "watch": (N_("While it learns"), ("eval_every", "sample_every", "save_every", "keep", "sample_prompts")),
    "after": (N_("Before and after"), ("rehearse", "merge", "prove", "name", "start_from", "start_mode")),
}
LINES = ("target_modules", "sample_prompts")
"""Lists of texts, written a line each."""
FORMATS = {"learning_rate": "%g", "epochs": "%g", "max_grad_norm": "%g"}
STEPS = {
    "learning_rate": 1e-5, "epochs": 1.0, "warmup_ratio": 0.01, "lora_dropout": 0.05, "validation_share": 0.01, "replay": 0.05,
    "weight_decay": 0.01, "max_grad_norm": 0.1, "max_length": 64, "gpu_mib": 1024,
}  # fmt: skip
"""What one press of plus or minus changes."""
DRAWN = "finetune_drawn"
"""Field -> what its widget was drawn with."""


def draw(made: Plan, reasons: Reasons) -> None:
    """Draw the folded form. reasons: field -> value -> why it cannot be chosen here."""
    folded = st.expander(
        _("All settings"), icon=":material/tune:", type="compact", key="finetune_more", on_change="rerun"
    )
    if not folded.open:
        return
    with folded:
        st.caption(_("Nobody has to change these: they follow from the four answers. What you change is marked above."))
        group = st.segmented_control(
            _("Which settings"),
            list(GROUPS),
            key="finetune_group",
            default="method",
            required=True,
            format_func=lambda name: _(GROUPS[name][0]),
            label_visibility="collapsed",
            persist_state="session",
        )
        values, costs = made.spec.model_dump(), finetune_costs.of(made)
        _fields(group or "method", made, values, costs, reasons)


def _fields(group: str, made: Plan, values: dict[str, Any], costs: dict[str, str], reasons: Reasons) -> None:
    columns = st.columns(2, gap="large")
    shown = [name for name in GROUPS[group][1] if _asked(name, made.spec)]
    half = -(-len(shown) // 2)
    for place, name in enumerate(shown):
        with columns[place // half]:
            _field(name, values[name], costs, reasons.get(name, {}))
    if group == "machine" and made.spec.device == "cpu" and "cuda" in reasons.get("device", {}):
        names = " · ".join(finetune_words.label(name) for name in GROUPS[group][1] if name not in shown)
        st.caption(f":material/block: **{errors.plain(names)}** · {errors.plain(reasons['device']['cuda'])}")


def _asked(name: str, spec: FinetuneSpec) -> bool:
    """Whether the field means anything with the others as they are."""
    if name in ("lora_rank", "lora_alpha", "lora_dropout", "target_modules", "merge"):
        return spec.method != "full"
    if name == "start_mode":
        return bool(spec.start_from)
    if name == "gpu_mib":
        return spec.device != "cpu" and spec.gpus == 1
    return name not in ("gpus", "deepspeed") or spec.device != "cpu"


def _field(name: str, value: Any, costs: dict[str, str], reasons: Mapping[str, str]) -> None:
    _fill(name, value, key := f"finetune_set_{name}")
    cost = finetune_costs.sentence(name, costs)
    info = FinetuneSpec.model_fields[name]
    help_text = "  \n".join(
        text for text in (_(info.description) if info.description else "", errors.plain(cost)) if text
    )
    common: dict[str, Any] = {"key": key, "help": help_text, "on_change": _set, "args": (name,)}
    label = spec_form.label(name, info)
    if name in CHOICES:
        _choice(name, label, value, reasons, common)
    elif name in LINES:
        most = MOST_PROMPTS if name == "sample_prompts" else 64
        st.text_area(label, placeholder=_("one a line, at most {n}").format(n=most), height=90, **common)
    elif isinstance(value, bool):
        st.toggle(label, **common)
    elif isinstance(value, int | float):
        _number(name, label, common)
    else:
        st.text_input(label, placeholder=_("made by itself") if name == "name" else None, **common)
    if cost and name in costs and name != "method":
        st.caption(errors.plain(cost))


def _fill(name: str, value: Any, key: str) -> None:
    """Have the widget show ``value``. A setting of an older run may be outside of the limits of today; the plan says so."""
    if name in LINES:
        value = "\n".join(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        info = FinetuneSpec.model_fields[name]
        kind = float if info.annotation is float else int
        low, high = spec_form.limits(info, kind)
        value = max(low, value) if low is not None else value
        value = kind(min(high, value) if high is not None else value)
    st.session_state[key] = value
    st.session_state.setdefault(DRAWN, {})[name] = value


def _choice(name: str, label: str, value: Any, reasons: Mapping[str, str], common: dict[str, Any]) -> None:
    """One of a few values; those that cannot be here are shown with the reason, and cannot be chosen."""
    options = list(get_args(FinetuneSpec.model_fields[name].annotation))
    able = [option for option in options if option not in reasons or option == value]
    st.selectbox(
        label, able, format_func=lambda option: finetune_words.choice(name, option), filter_mode=None, **common
    )
    for reason in dict.fromkeys(reasons.values()):
        names = [finetune_words.choice(name, option) for option in options if reasons.get(option) == reason]
        if names:
            st.caption(f":material/block: **{errors.plain(' · '.join(names))}** · {errors.plain(reason)}")


def _number(name: str, label: str, common: dict[str, Any]) -> None:
    info = FinetuneSpec.model_fields[name]
    kind = float if info.annotation is float else int
    low, high = spec_form.limits(info, kind)
    step = STEPS.get(name, 1 if kind is int else 0.1)
    st.number_input(
        label, min_value=low, max_value=high, step=kind(step), format=FORMATS.get(name, "%g" if kind is float else None),
        **common,
    )  # fmt: skip


def _set(name: str) -> None:
    """Callback: what the widget of the field ``name`` says."""
    value = st.session_state.get(f"finetune_set_{name}")
    if value is None or value == st.session_state.get(DRAWN, {}).get(name):
        return  # nobody changed it: see finetune_state.write
    if name in LINES:
        value = [line.strip() for line in str(value).splitlines() if line.strip()]
        if not value:
            finetune_state.undo(name)
            return
    finetune_state.change({name: value})
