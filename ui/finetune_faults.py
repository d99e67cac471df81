"""What keeps a fine-tune from running, and what it had better not do: each in a sentence, with buttons that mend it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from backend.i18n import _, ngettext
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT
from ui import errors, finetune_state, finetune_words

if TYPE_CHECKING:
    from backend.finetune.faults import Fault

MODELS_PAGE = ROOT / "pages" / "models.py"
ON_MODELS_PAGE = ("finetune_no_template", "model_needs_code", "model_code_changed", "model_missing", "model_unknown")
"""Faults of a model that are mended where models are listed."""
SHOWN = 6
MOST_WAYS = 3


def draw(faults: Sequence[Fault]) -> None:
    """Draw them, those that stop it first; beyond a few the rest is folded."""
    ordered = sorted(faults, key=lambda fault: not fault.fatal)
    for place, fault in enumerate(ordered[:SHOWN]):
        _fault(fault, place)
    left = ordered[SHOWN:]
    if left:
        with st.expander(ngettext("{n} more", "{n} more", len(left)).format(n=len(left)), icon=":material/more_horiz:"):
            for place, fault in enumerate(left, SHOWN):
                _fault(fault, place)


def _fault(fault: Fault, place: int) -> None:
    icon = ":red[:material/error:]" if fault.fatal else ":orange[:material/warning:]"
    with st.container(key=f"finetune_fault_{place}", gap="xsmall"):
        where = f"**{errors.plain(finetune_words.label(fault.field))}** · " if _known(fault.field) else ""
        st.markdown(f"{icon} {where}{errors.plain(fault.message)}")
        if fault.hint:
            st.caption(errors.plain(fault.hint))
        if fault.field == "engine":
            asked = {"engine": "xtuner"}
            st.page_link(
                errors.ENVIRONMENTS_PAGE,
                label=_("Open Environments"),
                icon=":material/inventory_2:",
                query_params=asked,
            )
        if fault.code in ON_MODELS_PAGE:
            st.page_link(MODELS_PAGE, label=_("Open Models"), icon=":material/deployed_code:")
        if fault.ways:
            with st.container(horizontal=True, gap="small", key=f"finetune_ways_{place}"):
                for number, way in enumerate(fault.ways[:MOST_WAYS]):
                    st.button(
                        errors.plain(way.label.rstrip(".。")),
                        key=f"finetune_way_{place}_{number}",
                        icon=":material/build:",
                        on_click=finetune_state.change,
                        args=(dict(way.fields),),
                    )


def _known(field: str) -> bool:
    return field.split(".")[0] in FinetuneSpec.model_fields
