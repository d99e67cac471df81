"""A sweep, set up from the settings of a run: which settings, which values, what all of it takes, and the button."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.errors import PanelError
from backend.finetune import sweeps
from backend.finetune.comparing import said
from backend.finetune.sweeps import MOST_AXES, MOST_RUNS, MOST_VALUES, SWEPT, Sweep
from backend.i18n import _, ngettext
from backend.specs.finetune import FinetuneSpec
from ui import context, errors, once, words
from ui.finetune import state as finetune_state

FIRST = ("learning_rate", "lora_rank")
"""What is proposed: the two that decide most."""


def draw(spec: Mapping[str, Any]) -> None:
    """Draw the sweep over ``spec``, fields of :class:`FinetuneSpec` as they are chosen now."""
    st.caption(
        _(
            "One run for each combination, after one another; then a list with the best at its head. What you chose above holds for all of them."
        )
    )
    offered = [name for name in SWEPT if not (spec.get("method") == "full" and name.startswith("lora_"))]
    chosen = st.multiselect(
        _("Settings to try"),
        offered,
        default=[name for name in FIRST if name in offered],
        key="finetune_sweep_fields",
        format_func=_title,
        max_selections=MOST_AXES,
        persist_state="session",
    )
    if not chosen:
        st.caption(_("Choose a setting."))
        return
    axes = _values(spec, chosen)
    merge = st.toggle(
        _("Merge each result"),
        key="finetune_sweep_merge",
        value=False,
        disabled=spec.get("method") == "full",
        help=_(
            "Each merged copy is as large as the base model. Without it, adapters are kept, which can be served as they are."
        ),
    )
    try:
        made = sweeps.make(context.workspace(), {**spec, "merge": merge and spec.get("method") != "full"}, axes)
    except PanelError as problem:
        message, hint = problem.localized()
        st.markdown(f":orange[:material/warning:] {errors.plain(message)} {errors.plain(hint)}")
        return
    _foreseen(made)
    st.button(
        ngettext("Start {n} run", "Start {n} runs", len(made.points)).format(n=len(made.points)),
        key="finetune_sweep_start",
        icon=":material/grid_on:",
        disabled=not made.runs,
        on_click=_start,
        args=(made,),
    )


def _values(spec: Mapping[str, Any], chosen: Sequence[str]) -> dict[str, list[Any]]:
    """The values of each chosen setting, as the person picked or typed them."""
    axes = {}
    for name, column in zip(chosen, st.columns(len(chosen)), strict=True):
        near = sweeps.around(spec, name)
        texts = [said(value) if not isinstance(value, bool) else str(value).lower() for value in near]
        free = FinetuneSpec.model_fields[name].annotation in (int, float)
        with column:
            # The key goes by the values that are proposed: other settings above propose others.
            picked = st.multiselect(
                _title(name),
                texts,
                default=texts[:2] if len(chosen) > 2 else texts[:3],
                key=f"finetune_sweep_{name}_{'_'.join(texts)}",
                accept_new_options=free,
                max_selections=MOST_VALUES,
                help=_("Pick values, or type others."),
                persist_state="session",
            )
        try:
            axes[name] = sweeps.read_values(name, ",".join(picked))
        except PanelError as problem:
            message, hint = problem.localized()
            st.markdown(f":orange[:material/warning:] {errors.plain(message)} {errors.plain(hint)}")
            axes[name] = []
    return axes


def _foreseen(made: Sweep) -> None:
    """How many runs, how long all of it, how much disk; and what keeps it from starting."""
    with st.container(horizontal=True, gap="medium"):
        st.metric(_("runs"), len(made.points), width="content", help=_("At most {n}.").format(n=MOST_RUNS))
        if made.seconds is not None:
            st.metric(
                _("time, all together"),
                words.duration(made.seconds.likely),
                width="content",
                help=_("Between {low} and {high}; one after another, without waiting for others.").format(
                    low=words.duration(made.seconds.low), high=words.duration(made.seconds.high)
                ),
            )
        free = _("{size} are free").format(size=words.size(made.disk_free)) if made.disk_free is not None else None
        st.metric(_("disk, all together"), words.size(made.disk_bytes), width="content", help=free)
    for fault in made.faults:
        mark = ":red[:material/error:]" if fault.fatal else ":orange[:material/warning:]"
        st.markdown(f"{mark} {errors.plain(fault.sentence())}")


def _title(name: str) -> str:
    return _(FinetuneSpec.model_fields[name].title or name)


def _start(made: Sweep) -> None:
    """Callback: all of them into the queue, and on to where they are compared."""
    with finetune_state.problems():
        rows = sweeps.start(context.store(), made, submit_key=once.submit_key("finetune-sweep"))
        said_ = ngettext("{n} run is on its way.", "{n} runs are on their way.", len(rows))
        st.session_state[finetune_state.SAID] = said_.format(n=len(rows))
        st.query_params.from_dict({"view": "compare", "runs": ",".join(str(row.id) for row in rows)})
