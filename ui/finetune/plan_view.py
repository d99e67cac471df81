"""The plan beside the questions: what will happen, how long it takes, whether it fits, what is in the way; and the button."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend import catalog
from backend.errors import PanelError
from backend.finetune import preflight
from backend.i18n import _
from backend.memory import planned
from backend.memory.sample import HOST
from backend.specs.finetune import FinetuneSpec
from ui import context, errors, words
from ui.finetune import faults as finetune_faults
from ui.finetune import rehearsal as finetune_rehearsal
from ui.finetune import state as finetune_state
from ui.finetune import submit as finetune_submit
from ui.finetune import words as finetune_words
from ui.fit import meter as fit_meter
from ui.fit import now as fit_now

if TYPE_CHECKING:
    from backend.finetune.plan import Plan
    from backend.memory.budget import Budget

TRUST_S = 30.0
OTHERS, LOOKED_AT = 2, 50
"""Other models that are proposed where the chosen one is too large; and how many are looked at for that."""
MEMORY_CODES = ("finetune_no_memory", "finetune_tight_memory")
"""Faults that the fit meter says better, with its bar and what would fit."""


def draw(made: Plan, asked: Mapping[str, Any]) -> None:
    """Draw the plan ``made`` of the settings ``asked``, and the button that starts it."""
    _head(made)
    if made.steps:
        _figures(made)
        _story(made)
    told = _memory(made)
    finetune_faults.draw([fault for fault in made.faults if fault.code not in told])
    finetune_rehearsal.draw(made)
    finetune_submit.buttons(made, asked)


def room(made: Plan) -> Budget:
    """What is free where it would compute."""
    return fit_now.budget(HOST if made.spec.device == "cpu" else None)


def ways(made: Plan, free: int | None) -> list[fit_meter.Way]:
    """The largest settings that fit, each as a press."""
    from backend.finetune import fitting  # some milliseconds: only where it is asked for

    if free is None:
        return []
    return [fit_meter.Way(way.label, dict(way.fields), way.bytes) for way in fitting.ways(made, free)]


def smaller(made: Plan, free: int | None) -> list[fit_meter.Way]:
    """The largest models on the list that would fit with these settings, where the chosen one does not."""
    cards = [card for card in catalog.models(context.workspace(), TRUST_S) if preflight.refused(card) is None]
    size = next((card.size_bytes for card in cards if card.name == made.spec.model), 0)
    found: list[fit_meter.Way] = []
    for card in sorted(cards, key=lambda card: -card.size_bytes)[:LOOKED_AT]:
        if free is None or made.train_plan is None or card.size_bytes >= size or len(found) == OTHERS:
            continue
        try:
            most = int(planned.training(card, made.spec, made.train_plan).estimate.p95)
        except PanelError:
            continue
        if most <= free:
            label = _("Teach {model} instead").format(model=card.name)
            found.append(fit_meter.Way(label, {"model": card.name}, most))
    return found


def takes(way: fit_meter.Way) -> str | None:
    """How much memory the plan takes then, at most."""
    return _("Then it takes at most {size} GiB.").format(size=f"{way.p95 / 2**30:.1f}") if way.p95 else None


def _head(made: Plan) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**" + _("What will happen") + "**", width="content")
        if made.runs:
            st.markdown(f":green-badge[:material/check_circle: {_('ready')}]", width="content")
        else:
            st.markdown(f":red-badge[:material/block: {_('cannot run like this')}]", width="content")


def _figures(made: Plan) -> None:
    """Time, steps, disk: the three numbers that people ask for."""
    # Side by side on a phone, too, where columns would stand one below the other.
    row = st.container(horizontal=True, horizontal_alignment="distribute", gap="small", key="finetune_figures")
    if made.seconds is not None:
        source = _(finetune_words.SOURCES[made.seconds.source])
        _figure(row, _("Time"), words.duration(made.seconds.likely), f"{finetune_words.span(made.seconds)} · {source}")
    else:
        _figure(row, _("Time"), _("unknown"), _("nothing like it ran here yet"))
    left = made.steps - made.start_step
    each = _("{n} an epoch").format(n=f"{made.steps_per_epoch:,}")
    if made.steps_low < made.steps_high:
        band = f"{max(0, made.steps_low - made.start_step):,}–{made.steps_high - made.start_step:,}"
        each = f"{band} · {each}"
    _figure(row, _("Steps"), f"{left:,}", each)
    free = _("{free} free").format(free=words.size(made.disk_free)) if made.disk_free is not None else ""
    _figure(row, _("On disk"), words.size(made.disk_bytes), free)


def _figure(row: DeltaGenerator, label: str, value: str, more: str) -> None:
    with row, st.container(gap=None, width="content"):
        st.metric(label, value, width="content")
        st.caption(more)


def _story(made: Plan) -> None:
    lines = [
        (":material/school:", finetune_words.method(made)),
        (":material/dataset:", finetune_words.rows(made)),
        (":material/stacks:", finetune_words.steps(made)),
    ]
    if made.spec.start_from:
        text = _("It goes on from {checkpoint}, with optimizer and place in the data.")
        if made.spec.start_mode == "branch":
            text = _("It begins with the weights of {checkpoint}.")
        lines.append((":material/conversion_path:", text.format(checkpoint=_checkpoint(made.spec))))
    st.markdown("  \n".join(f":gray[{icon}] {errors.plain(text)}" for icon, text in lines))
    if made.evaluated:
        with st.expander(_("What is evaluated"), icon=":material/fact_check:", type="compact"):
            st.markdown("\n".join(f"- {errors.plain(text)}" for text in made.evaluated))


def _checkpoint(spec: FinetuneSpec) -> str:
    return finetune_words.checkpoint(spec.start_from)


def _memory(made: Plan) -> Collection[str]:
    """The fit meter; returns the codes of the faults that it says."""
    if made.memory is None:
        return ()
    free = room(made)
    found = made.memory
    limit = made.spec.gpu_mib << 20 or None
    usable = fit_meter.usable(free, limit)
    judged = fit_meter.verdict(found.estimate, free, found.later, limit)
    because = next((f"{fault.message} {fault.hint}" for fault in made.faults if fault.code in MEMORY_CODES), "")
    fit_meter.draw(
        found.estimate,
        free,
        key="finetune",
        later=found.later,
        limit=limit,
        ways=[] if judged == "fits" else [*ways(made, usable), *smaller(made, usable)],
        change=finetune_state.change,
        able=FinetuneSpec.model_fields,
        because=because if judged != "fits" else "",
        track=fit_now.track(fit_now.residual("finetune", found.engine, found.kind)),
    )
    return MEMORY_CODES if judged != "fits" else ()
