"""*What is trained*, a view of the Datasets page: a model and a limit, and with them the row token by token, how long the rows are,
and what a training would make of them."""

from __future__ import annotations

import streamlit as st

from backend import catalog
from backend.data.tokens import open_listed
from backend.data.versions import Version
from backend.errors import PanelError
from backend.i18n import _
from backend.workspace import ROOT
from ui import context, errors
from ui.datasets import lengths as datasets_lengths
from ui.datasets import mask as datasets_mask
from ui.datasets import plan as datasets_plan
from ui.datasets import state as datasets_state

MODELS_PAGE = ROOT / "pages" / "models.py"
MODEL, CUTOFF, LOOK = "tokens_model", "tokens_cutoff", "look"
LEAST, MOST, USUAL = 16, 1 << 20, 2048
TRUST_S = 30.0


def draw(version: Version) -> None:
    """Draw the choices, and the part of the view that the address asks for."""
    if not len(version):
        st.caption(_("This version holds no rows."))
        return
    name, cutoff = _choices()
    if not name:
        return
    try:
        model = open_listed(context.workspace(), name)
        model.template()  # no template is said once, for all parts
    except PanelError as error:
        errors.show(error, key="tokens_model", actions=_ways_on(error))
        return
    look = _look()
    if look == "lengths":
        datasets_lengths.draw(version, model, name, cutoff)
    elif look == "plan":
        datasets_plan.draw(version, model, name, cutoff)
    else:
        datasets_mask.draw(version, row_number(version), model, cutoff)


def row_number(version: Version) -> int:
    """The row that the address asks for, from 1; the first one where it asks for none."""
    asked = str(st.query_params.get(datasets_state.ROW, ""))
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 12 else 1
    return min(max(1, number), len(version))


def _choices() -> tuple[str, int]:
    """The model and the limit; both stay while one looks around."""
    names = [card.name for card in catalog.models(context.workspace(), TRUST_S)]
    if not names:
        st.caption(_("There is no model on the list yet."))
        return "", USUAL
    if st.session_state.get(MODEL) not in names:
        st.session_state[MODEL] = names[0]
    st.session_state.setdefault(CUTOFF, USUAL)
    with st.container(horizontal=True, vertical_alignment="bottom", key="tokens_choices"):
        name = st.selectbox(
            _("Model"),
            names,
            key=MODEL,
            persist_state="session",
            width=320,
            help=_("Its tokenizer and chat template decide what is read and learned. Its weights are not loaded."),
        )
        cutoff = st.number_input(
            _("Cut-off (tokens)"),
            min_value=LEAST,
            max_value=MOST,
            step=128,
            key=CUTOFF,
            persist_state="session",
            width=200,
            help=_("The longest row that a training takes; what is beyond is cut off."),
        )
    return str(name), int(cutoff)


def _look() -> str:
    parts = {"mask": _("Token by token"), "lengths": _("How long rows are"), "plan": _("Plan of a training")}
    asked = str(st.query_params.get(LOOK, "mask"))
    st.session_state["tokens_look"] = asked if asked in parts else "mask"
    chosen = st.segmented_control(
        _("What to look at"),
        list(parts),
        key="tokens_look",
        required=True,
        format_func=lambda part: parts[part],
        label_visibility="collapsed",
        on_change=_choose,
    )
    return chosen or "mask"


def _choose() -> None:
    st.query_params[LOOK] = str(st.session_state.get("tokens_look") or "mask")


def _ways_on(error: PanelError) -> list[errors.Action]:
    if not error.code.startswith(("tokens_no_", "tokens_t", "model_", "adapter_")):
        return []
    return [errors.Action(_("Open Models"), icon=":material/deployed_code:", page=MODELS_PAGE)]
