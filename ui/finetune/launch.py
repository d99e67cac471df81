"""*New run* of the Fine-tune page: four questions, beside them the plan, below them everything else, folded."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import streamlit as st

from backend import catalog
from backend.catalog import ModelCard
from backend.data.store import DatasetInfo
from backend.data.versions import Version
from backend.errors import DataError
from backend.finetune import plan as planning
from backend.finetune import preflight
from backend.finetune.plan import Plan
from backend.i18n import _
from backend.workspace import ROOT
from ui import context, errors, machine_view
from ui.datasets import state as datasets_state
from ui.finetune import choices as finetune_choices
from ui.finetune import config as finetune_config
from ui.finetune import more as finetune_more
from ui.finetune import plan_view as finetune_plan_view
from ui.finetune import state as finetune_state
from ui.finetune import submit as finetune_submit
from ui.finetune.state import Draft

MODELS_PAGE = ROOT / "pages" / "models.py"
TRUST_S = 30.0


def draw() -> None:
    """Draw the form, which redraws itself alone while somebody chooses; and the rehearsals that are under way."""
    finetune_submit.rehearsals()
    st.fragment(errors.guarded(_form, "finetune_form"))()


def _form() -> None:
    cards = catalog.models(context.workspace(), TRUST_S)
    reasons = {card.name: reason for card in cards if (reason := preflight.refused(card)) is not None}
    usable = [card for card in cards if card.name not in reasons]
    sets = datasets_state.sets().list()
    if not usable:
        _no_model()
    elif not sets:
        _no_dataset()
    else:
        _asked(usable, sets)
    finetune_choices.refused(reasons)
    if st.session_state.pop(finetune_submit.PRESSED, False):
        st.rerun()  # what the press began is drawn outside of this form


def _asked(cards: list[ModelCard], sets: list[DatasetInfo]) -> None:
    machine = machine_view.read()
    draft = finetune_choices.settled(finetune_state.read(), cards, sets, machine)
    finetune_state.settle(draft)
    card = next(card for card in cards if card.name == draft.model)
    version = _version(draft)
    base = finetune_state.base(draft, card, version, machine)
    asked = finetune_state.spec(draft, base)
    made = planning.plan(context.workspace(), asked, machine)
    left, right = st.columns([4, 5], gap="medium")
    with left, st.container(border=True, height="stretch", key="finetune_choices"):
        finetune_choices.draw(draft, cards, sets)
        finetune_choices.changed(finetune_state.changed(draft, base))
    with right, st.container(border=True, height="stretch", key="finetune_plan"):
        finetune_plan_view.draw(made, asked)
    finetune_more.draw(made, preflight.unavailable(context.workspace(), card, machine, made.spec.engine))
    _largest(made)
    _sweep(made)
    finetune_config.draw(made, asked)


def _version(draft: Draft) -> Version:
    """The version that is asked for; the current one where that is gone, which the plan then says."""
    sets = datasets_state.sets()
    try:
        return sets.open(draft.dataset, draft.version or None)
    except DataError:
        return sets.open(draft.dataset)


def _largest(made: Plan) -> None:
    """*Solve*: the largest settings that fit, also where the plan fits as it is."""
    if made.memory is None:
        return
    folded = st.expander(
        _("Largest settings that fit"),
        icon=":material/fit_screen:",
        type="compact",
        key="finetune_solve",
        on_change="rerun",
    )
    if not folded.open:
        return
    with folded:
        free = finetune_plan_view.room(made)
        found = finetune_plan_view.ways(made, free.free_after_growth)
        if not found:
            st.caption(_("Nothing larger fits into what is free now, and nothing smaller helps."))
        with st.container(horizontal=True, gap="small"):
            for number, way in enumerate(found):
                st.button(
                    errors.plain(way.label.rstrip(".。")),
                    key=f"finetune_solve_{number}",
                    icon=":material/tune:",
                    help=finetune_plan_view.takes(way),
                    on_click=finetune_state.change,
                    args=(way.fields,),
                )


def _sweep(made: Plan) -> None:
    """Several runs, one for each combination of a few settings."""
    folded = st.expander(
        _("Try several settings"), icon=":material/grid_on:", type="compact", key="finetune_sweep", on_change="rerun"
    )
    if folded.open:
        with folded:
            fields: dict[str, Any] = made.spec.model_dump(mode="json")
            import_module("ui.finetune.sweep").draw(fields)


def _no_model() -> None:
    with st.container(border=True, horizontal_alignment="center", key="finetune_no_model"):
        st.markdown(":material/deployed_code: **" + _("No model here can be taught") + "**", width="content")
        st.markdown(_("Get one on the Models page, or see below what holds each of them up."), text_alignment="center")
        st.page_link(MODELS_PAGE, label=_("Open Models"), icon=":material/deployed_code:")


def _no_dataset() -> None:
    with st.container(border=True, horizontal_alignment="center", key="finetune_no_dataset"):
        st.markdown(":material/dataset: **" + _("First, something to learn from") + "**", width="content")
        st.markdown(
            _(
                "A model learns from examples: questions, and the answers that you want. The quickest way is to teach it "
                "a name: you type who it is and who made it, and hundreds of examples are written from that."
            ),
            text_alignment="center",
        )
        with st.container(horizontal=True, horizontal_alignment="center"):
            if st.button(_("Teach a name"), key="finetune_make", type="primary", icon=":material/badge:"):
                st.switch_page(datasets_state.PAGE, query_params={"view": "make", "kind": "name"})
            if st.button(_("Import a file"), key="finetune_import", icon=":material/upload_file:"):
                st.switch_page(datasets_state.PAGE, query_params={"view": "import"})
