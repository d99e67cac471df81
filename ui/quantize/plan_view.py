"""The plan beside every step: how much smaller, how long, whether it fits, who can serve the copy, what is in the way; and the
button."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.finetune.faults import Fault
from backend.i18n import _
from backend.memory.sample import HOST
from backend.quantize.plan import Plan
from backend.specs.finetune import short
from backend.specs.quantize import QuantizeSpec
from backend.workspace import ROOT
from ui import errors, fault_list, words
from ui.fit import meter as fit_meter
from ui.fit import now as fit_now
from ui.quantize import state as quantize_state
from ui.quantize import submit as quantize_submit
from ui.quantize import words as quantize_words

MODELS_PAGE = ROOT / "pages" / "models.py"
MEMORY_CODES = ("quantize_no_memory", "quantize_tight_memory")
"""Faults that the fit meter says better, with its bar."""


def draw(made: Plan) -> None:
    """Draw the plan ``made``, and the button that starts it."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**" + _("What will happen") + "**", width="content")
        if made.runs:
            st.markdown(f":green-badge[:material/check_circle: {_('ready')}]", width="content")
        else:
            st.markdown(f":red-badge[:material/block: {_('cannot run like this')}]", width="content")
    figures(made)
    _story(made)
    told = _memory(made)
    faults = [fault for fault in made.faults if fault.code not in told]
    fault_list.draw(faults, key="quantize", change=quantize_state.change, label=quantize_words.label, link=_link)
    quantize_submit.button(made)


def figures(made: Plan) -> None:
    """Size, time and disk: the three numbers that people ask for."""
    # Side by side on a phone, too, where columns would stand one below the other.
    row = st.container(horizontal=True, horizontal_alignment="distribute", gap="small", key="quantize_figures")
    before = words.size(made.bytes_before)
    if made.bytes_after is not None:
        now = _("now {size}").format(size=before)
        less = quantize_words.smaller(made.bytes_before, made.bytes_after.likely)
        _figure(
            row,
            _("Size of the copy"),
            words.size(made.bytes_after.likely),
            " · ".join(part for part in (now, less) if part),
        )
    else:
        _figure(
            row, _("Size of the copy"), _("unknown"), _("now {size}").format(size=before) if made.bytes_before else ""
        )
    if made.seconds is not None:
        source = _(quantize_words.SOURCES[made.seconds.source])
        time = f"{quantize_words.span(made.seconds)} · {source}"
        _figure(row, _("Time"), words.duration(made.seconds.likely), time)
    else:
        _figure(row, _("Time"), _("unknown"), _("nothing like it ran here yet"))
    free = _("{free} free").format(free=words.size(made.disk_free)) if made.disk_free is not None else ""
    _figure(row, _("On disk"), words.size(made.disk_bytes), free)


def _figure(row: DeltaGenerator, label: str, value: str, more: str) -> None:
    with row, st.container(gap=None, width="content"):
        st.metric(label, value, width="content")
        st.caption(more)


def _story(made: Plan) -> None:
    spec, kind = made.spec, made.kind
    lines = []
    if kind is not None:
        text = _("{model} stays as it is. A copy, '{name}', is made with {method}.")
        said = text.format(model=short(spec.model), name=spec.name, method=quantize_words.method(kind.method))
        if not spec.name:
            said = _("{model} stays as it is. A copy is made with {method}.").format(
                model=short(spec.model), method=quantize_words.method(kind.method)
            )
        lines.append((":material/compress:", said))
    lines.append((":material/dataset:", quantize_words.rows(made)))
    if made.served_here:
        text = _("This machine can serve the copy: {servers}.")
        lines.append((":material/dns:", text.format(servers=quantize_words.servers(made.served_here))))
    elif made.served_by:
        text = _("This machine cannot serve the copy. It needs {servers}.")
        lines.append((":material/cloud_off:", text.format(servers=quantize_words.servers(made.served_by))))
    if spec.report:
        lines.append((":material/scoreboard:", _("A report card measures both afterwards: size, speed, and quality.")))
    st.markdown("  \n".join(f":gray[{icon}] {errors.plain(text)}" for icon, text in lines))


def _memory(made: Plan) -> Collection[str]:
    """The fit meter; returns the codes of the faults that it says."""
    found = made.memory
    if found is None:
        return ()
    free = fit_now.budget(HOST if made.spec.device == "cpu" else None)
    judged = fit_meter.verdict(found.estimate, free, found.later)
    faults = [fault for fault in made.faults if fault.code in MEMORY_CODES]
    fit_meter.draw(
        found.estimate,
        free,
        key="quantize",
        later=found.later,
        ways=[fit_meter.Way(way.label, dict(way.fields), way.bytes) for fault in faults for way in fault.ways],
        change=quantize_state.change,
        able=QuantizeSpec.model_fields,
        because=" ".join(fault.sentence() for fault in faults) if judged != "fits" else "",
        track=fit_now.track(fit_now.residual("quantize", found.engine, found.kind)),
    )
    return MEMORY_CODES if judged != "fits" else ()


def _link(fault: Fault) -> None:
    """The way to the page where it is mended."""
    if fault.code in errors.ENVIRONMENT_CODES:
        st.page_link(
            errors.ENVIRONMENTS_PAGE,
            label=_("Open Environments"),
            icon=":material/inventory_2:",
            query_params={"engine": "lmdeploy"},
        )
    elif fault.field in ("model", "template") and not fault.ways:
        st.page_link(MODELS_PAGE, label=_("Open Models"), icon=":material/deployed_code:")
