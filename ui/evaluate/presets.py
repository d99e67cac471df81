"""One press fills the form: a quick look, the whole bundled set, C-Eval and MMLU as the course does them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from backend.evaluate.questions import QuestionSet
from backend.i18n import N_, _
from ui import errors
from ui.evaluate import state as evaluate_state

COURSE = {"subjects": (), "limit": 0, "evaluator": "opencompass", "answer_tokens": 16, "concurrency": 4}
"""The notes: all subjects, max_out_len 16, batches of 4, by OpenCompass."""


@dataclass(frozen=True)
class Preset:
    """label: of its button. kind: of the set that it needs. fields: of the form. help: what it is."""

    label: str
    icon: str
    kind: str
    fields: dict[str, Any]
    help: str


PRESETS = {
    "quick": Preset(
        N_("Quick look"),
        ":material/bolt:",
        "bundled",
        {"subjects": (), "limit": 5, "evaluator": "tunedeck"},
        N_("Five questions of each subject of the bundled set. Enough to see that it works, not how good it is."),
    ),
    "bundled": Preset(
        N_("Whole bundled set"),
        ":material/inventory:",
        "bundled",
        {"subjects": (), "limit": 0, "evaluator": "tunedeck"},
        N_("All questions that ship with TuneDeck, in English and Chinese. Nothing is downloaded."),
    ),
    "ceval": Preset(
        N_("C-Eval as in the course"),
        ":material/school:",
        "ceval",
        COURSE,
        N_("All subjects by OpenCompass, answers of at most 16 tokens, 4 questions at once."),
    ),
    "mmlu": Preset(
        N_("MMLU as in the course"),
        ":material/school:",
        "mmlu",
        COURSE,
        N_("All subjects by OpenCompass, answers of at most 16 tokens, 4 questions at once."),
    ),
}


def draw(every: Sequence[QuestionSet]) -> None:
    """The buttons; where the data of one is not here, how it gets here."""
    there = {name: _set_of(preset, every) for name, preset in PRESETS.items()}
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="evaluate_presets"):
        for name in (name for name in PRESETS if there[name]):
            preset = PRESETS[name]
            st.button(
                _(preset.label),
                key=f"evaluate_preset_{name}",
                icon=preset.icon,
                help=_(preset.help),
                on_click=_take,
                args=(name, every),
            )
    absent = [name for name in PRESETS if there[name] is None]
    if absent:
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key="evaluate_absent"):
            names = " · ".join(_(PRESETS[name].label) for name in absent)
            text = _("{names}: bring in the folder or zip that OpenCompass uses.")
            st.caption(errors.plain(text.format(names=names)), width="content")
            st.button(
                _("Bring questions in"),
                key="evaluate_to_sets",
                type="tertiary",
                icon=":material/add:",
                on_click=evaluate_state.go,
                args=({"view": "sets"},),
            )


def fields(name: str, every: Sequence[QuestionSet]) -> dict[str, Any]:
    """What the preset ``name`` makes of the form; empty where there is no such preset, or its set is not here."""
    preset = PRESETS.get(name)
    found = _set_of(preset, every) if preset else None
    return {**preset.fields, "questions": found} if preset and found else {}


def _set_of(preset: Preset, every: Sequence[QuestionSet]) -> str | None:
    return next((one.name for one in every if one.kind == preset.kind and not one.problem), None)


def _take(name: str, every: Sequence[QuestionSet]) -> None:
    """Callback: fill the form as the preset says; the models stay."""
    evaluate_state.own()
    evaluate_state.fill(fields(name, every))
