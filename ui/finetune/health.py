"""What the curves say, above them: one sentence, what to do about it, and the button that sets up the next run with it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.finetune.health_signs import Verdict
from backend.finetune.record import Run
from backend.i18n import _
from ui import errors
from ui.finetune import links as finetune_links
from ui.finetune import words as finetune_words

LOOKS = {
    "good": (":material/trending_down:", "green"),
    "info": (":material/info:", "gray"),
    "warn": (":material/warning:", "orange"),
    "bad": (":material/error:", "red"),
}


def draw(run: Run, *, key: str) -> None:
    """Draw the verdicts on ``run``."""
    for number, verdict in enumerate(run.verdicts):
        if verdict.code == "nan" and run.row.state == "failed":
            continue  # its error card says it
        _draw(run, verdict, f"{key}_verdict_{number}")


def next_fields(run: Run, verdict: Verdict) -> dict[str, Any]:
    """What ``verdict`` changes in the next run; one whose weights have run away begins from the best that was saved."""
    if verdict.code == "nan" and run.best is not None:
        return {**verdict.fields, "start_from": run.best.path, "start_mode": "branch"}
    return verdict.fields


def changes(fields: dict[str, Any]) -> str:
    """``Learning rate 5e-05, Epochs 2`` for the fields of a spec."""
    return ", ".join(f"{finetune_words.label(name)} {_value(name, value)}" for name, value in fields.items())


def _draw(run: Run, verdict: Verdict, key: str) -> None:
    icon, colour = LOOKS[verdict.level]
    if verdict.level in ("good", "info") and not verdict.suggestion:
        st.markdown(f":{colour}[{icon}] {errors.plain(verdict.message)}")
        return
    fields = next_fields(run, verdict)
    with st.container(border=True, key=key, gap="xsmall"):
        st.markdown(f":{colour}[{icon}] **{errors.plain(verdict.message)}**")
        if verdict.suggestion:
            st.markdown(errors.plain(verdict.suggestion))
        if fields and run.row.verb == "finetune":
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    _("Set up the next run so"),
                    key=f"{key}_next",
                    icon=":material/tune:",
                    on_click=finetune_links.set_up,
                    args=(run.row.id, fields),
                )
                st.caption(errors.plain(changes(fields)))


def _value(name: str, value: Any) -> str:
    return finetune_words.checkpoint(value) if name == "start_from" else finetune_words.value(name, value)
