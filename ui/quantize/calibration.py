"""Third step: which texts a method looks at, so that it rounds the weights that matter most with the most care."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _, ngettext
from backend.quantize.plan import Plan
from ui.datasets import state as datasets_state
from ui.quantize import fields as quantize_fields
from ui.quantize import state as quantize_state
from ui.quantize import words as quantize_words
from ui.quantize.state import Draft

SEARCHED_FROM = 10
SHOWN, SHOWN_CHARACTERS = 3, 1200
"""Rows of a preview, and how much of each."""


def draw(draft: Draft, made: Plan) -> None:
    """Draw the choice of rows for the plan ``made``."""
    kind, spec = made.kind, made.spec
    if kind is not None and kind.calibrated == "never":
        st.markdown("**" + _("Calibration rows") + "**")
        st.markdown(
            _("This method looks at no texts: it rounds every weight by itself. There is nothing to choose here.")
        )
        return
    sets = datasets_state.sets().list()
    options = ["bundled", *(["dataset"] if sets else [])]
    if kind is None or kind.calibrated == "optional":
        options.append("none")
    if spec.calibration not in options:
        options.append(spec.calibration)
    st.session_state["quantize_calibration"] = spec.calibration
    st.radio(
        _("Calibration rows"),
        options,
        key="quantize_calibration",
        format_func=lambda name: _(quantize_words.CALIBRATIONS[name]),
        captions=[_(quantize_words.ABOUT_CALIBRATIONS[name]) for name in options],
        help=_("Texts by which it sees which weights matter. None of them leaves this machine."),
        on_change=_chosen,
        args=(sets[0].name if sets else "",),
    )
    if not sets:
        st.caption(_("With a dataset of your own, it could be calibrated with your rows."))
    if spec.calibration == "none":
        return
    if spec.calibration == "dataset" and sets:
        _dataset(str(draft.get("dataset") or ""), [info.name for info in sets])
    left, right = st.columns(2)
    with left:
        quantize_fields.draw("samples", spec.samples)
    with right:
        quantize_fields.draw("sample_tokens", spec.sample_tokens)


def preview(made: Plan) -> None:
    """A few of the texts as the model reads them, folded."""
    if made.kind is None or made.kind.calibrated == "never" or made.spec.calibration == "none":
        return
    folded = st.expander(
        _("Look at what it reads"), icon=":material/visibility:", type="compact", key="quantize_rows", on_change="rerun"
    )
    if not folded.open:
        return
    with folded:
        quantize_fields.draw("seed", made.spec.seed)
        found = made.calibrated
        if found is None or not found.rows:
            st.caption(_("There are no rows to look at."))
            return
        text = ngettext("{n} row, as the model reads it:", "The first of {n} rows, as the model reads them:", made.rows)
        st.caption(text.format(n=f"{made.rows:,}"))
        for row in found.rows[:SHOWN]:
            st.code(
                row[:SHOWN_CHARACTERS] + ("…" if len(row) > SHOWN_CHARACTERS else ""), language=None, wrap_lines=True
            )


def _dataset(asked: str, names: list[str]) -> None:
    st.session_state["quantize_dataset"] = asked if asked in names else names[0]
    st.selectbox(
        _("Dataset"),
        names,
        key="quantize_dataset",
        on_change=_dataset_chosen,
        filter_mode="fuzzy" if len(names) >= SEARCHED_FROM else None,
    )
    st.page_link(
        datasets_state.PAGE,
        label=_("Look at the rows"),
        icon=":material/list:",
        query_params=datasets_state.address(st.session_state["quantize_dataset"]),
    )


def _chosen(first: str) -> None:
    """Callback: other rows; a dataset is named at once, so that there is always a whole plan."""
    chosen = st.session_state.get("quantize_calibration")
    if chosen == "dataset":
        known = str(quantize_state.read().get("dataset") or first)
        quantize_state.change({"calibration": "dataset", "dataset": known})
    elif chosen:
        quantize_state.change({"calibration": str(chosen)})


def _dataset_chosen() -> None:
    """Callback: another dataset."""
    chosen = st.session_state.get("quantize_dataset")
    if chosen:
        quantize_state.change({"dataset": str(chosen)})
