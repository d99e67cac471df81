"""The button under the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.i18n import _
from backend.specs.finetune import short
from ui import errors, words
from ui.evaluate import state as evaluate_state


def button(specs: Sequence[Mapping[str, Any]], title: str, *, runs: bool) -> None:
    """Draw it; off where the plan cannot run, which stands above it."""
    st.button(
        label(specs, title),
        key="evaluate_start",
        type="primary",
        icon=words.verb_icon("evaluate"),
        disabled=not runs,
        on_click=evaluate_state.submit,
        args=(list(specs),),
    )
    if not runs:
        st.caption(_("What is marked red above has to be mended first."))


def label(specs: Sequence[Mapping[str, Any]], title: str) -> str:
    """``Evaluate starter on 'Bundled questions'``."""
    if len(specs) > 1:
        return _("Evaluate {n} models on '{questions}'").format(n=len(specs), questions=errors.plain(title))
    name = short(str(specs[0].get("model") or specs[0].get("base_url"))) if specs else "…"
    return _("Evaluate {model} on '{questions}'").format(model=errors.plain(name), questions=errors.plain(title))
