"""What keeps a fine-tune from running, and what it had better not do: each in a sentence, with buttons that mend it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from backend.i18n import _
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT
from ui import errors, fault_list
from ui.finetune import state as finetune_state
from ui.finetune import words as finetune_words

if TYPE_CHECKING:
    from backend.finetune.faults import Fault

MODELS_PAGE = ROOT / "pages" / "models.py"
ON_MODELS_PAGE = ("finetune_no_template", "model_needs_code", "model_code_changed", "model_missing", "model_unknown")
"""Faults of a model that are mended where models are listed."""


def draw(faults: Sequence[Fault]) -> None:
    """Draw them, those that stop it first."""
    fault_list.draw(faults, key="finetune", change=finetune_state.change, label=_label, link=_link)


def _label(field: str) -> str:
    return finetune_words.label(field) if field.split(".")[0] in FinetuneSpec.model_fields else ""


def _link(fault: Fault) -> None:
    """The way to the page where it is mended."""
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
