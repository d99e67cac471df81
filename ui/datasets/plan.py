"""What a training would make of a version, before it is begun: the settings, their numbers, and what keeps it from running."""

from __future__ import annotations

import streamlit as st

from backend.data.tokens import TokenModel
from backend.data.tokens.plan import Forecast, Problem, Setting, Wish, forecast
from backend.data.versions import Version
from backend.i18n import _
from ui.datasets import lengths as datasets_lengths

ENGINES = {"xtuner": "XTuner", "peft": "transformers + peft"}
KEY = "tokens_plan_"
FIRST = Wish()


def draw(version: Version, model: TokenModel, name: str, cutoff: int) -> None:
    """Draw the settings and what comes of them."""
    found = datasets_lengths.known(version, model)
    left, right = st.columns([2, 3], gap="large")
    with left:
        wish = _wish(cutoff)
    counts = found.of("train")
    plan = forecast(counts, wish, scale=1.0 if found.exact else found.total / max(1, found.counted))
    with right:
        _verdict(plan)
        for place, problem in enumerate(plan.problems):
            _problem(problem, place)
        _numbers(plan)
        if not found.exact:
            st.caption(
                _("Estimated from a sample of {n} rows; counting all of them makes it exact.").format(
                    n=f"{found.counted:,}"
                )
            )


def _wish(cutoff: int) -> Wish:
    for setting in ("engine", "epochs", "batch_size", "accumulation", "packing"):
        st.session_state.setdefault(KEY + setting, getattr(FIRST, setting))
    st.session_state.setdefault(KEY + "warmup", FIRST.warmup_ratio * 100)
    engine = st.segmented_control(
        _("Engine"),
        list(ENGINES),
        key=KEY + "engine",
        required=True,
        format_func=ENGINES.__getitem__,
        persist_state="session",
    )
    one, two = st.columns(2)
    epochs = one.number_input(
        _("Epochs"), 1, 100_000, key=KEY + "epochs", persist_state="session", help=_("How often every row is learned.")
    )
    batch = two.number_input(
        _("Batch size"),
        1,
        4096,
        key=KEY + "batch_size",
        persist_state="session",
        help=_("Rows that are learned at once."),
    )
    accumulation = one.number_input(
        _("Gradient accumulation"),
        1,
        4096,
        key=KEY + "accumulation",
        persist_state="session",
        help=_("Batches that make one optimizer step."),
    )
    warmup = two.number_input(
        _("Warm-up (%)"),
        0.0,
        99.0,
        step=1.0,
        format="%.1f",
        key=KEY + "warmup",
        persist_state="session",
        help=_("The part of the training in which the learning rate rises."),
    )
    packing = st.toggle(
        _("Packing"),
        key=KEY + "packing",
        persist_state="session",
        help=_("Short rows are joined until they are as long as the cut-off: fewer and fuller batches."),
    )
    return Wish(
        "peft" if engine == "peft" else "xtuner",
        cutoff,
        bool(packing),
        int(batch),
        int(accumulation),
        int(epochs),
        warmup_ratio=float(warmup) / 100,
    )


def _verdict(plan: Forecast) -> None:
    if plan.runs:
        st.markdown(":green[:material/check_circle:] **" + _("This training can run.") + "**")
    else:
        st.markdown(":red[:material/error:] **" + _("This training cannot run.") + "**")


def _numbers(plan: Forecast) -> None:
    unit = _("iterations") if plan.wish.engine == "xtuner" else _("steps")
    numbers = [
        (_("Rows for training"), f"{plan.rows:,}", _("{n} of them cut off").format(n=f"{plan.truncated:,}")),
        (
            _("Rows after packing") if plan.wish.packing else _("Rows, not packed"),
            f"{plan.packed_rows:,}",
            _("{n} tokens").format(n=f"{plan.tokens:,}"),
        ),
        (_("Iterations"), f"{plan.iterations:,}", _("{n} an epoch").format(n=f"{plan.iterations_per_epoch:,}")),
        (_("Optimizer steps"), f"{plan.steps:,}", _("{n} an epoch").format(n=f"{plan.steps_per_epoch:,}")),
        (_("Warm-up"), f"{plan.warmup:,}", unit),
    ]
    for left in range(0, len(numbers), 3):
        for column, (label, value, more) in zip(st.columns(3), numbers[left : left + 3], strict=False):
            column.metric(label, value)
            column.caption(more)


def _problem(problem: Problem, place: int) -> None:
    icon = ":red[:material/error:] " if problem.fatal else ":orange[:material/warning:] "
    with st.container(border=True, key=f"tokens_problem_{place}"):
        st.markdown(icon + problem.message())
        if problem.settings:
            st.caption(_("One of these is enough:") if len(problem.settings) > 1 else _("What helps:"))
            with st.container(horizontal=True, key=f"tokens_fixes_{place}"):
                for setting in problem.settings:
                    st.button(
                        _("Set {setting}").format(setting=setting.words()),
                        key=f"tokens_fix_{place}_{setting.name}",
                        icon=":material/build:",
                        on_click=_take,
                        args=(setting,),
                    )


def _take(setting: Setting) -> None:
    """Callback: the plan with that setting."""
    if setting.name == "warmup_ratio":
        st.session_state[KEY + "warmup"] = setting.value * 100
    else:
        st.session_state[KEY + setting.name] = setting.value
