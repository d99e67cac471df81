"""The steps in which something is chosen: on the left what is asked, on the right, at every step, what will happen."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend import catalog
from backend.i18n import _
from backend.quantize import methods
from backend.quantize import plan as planning
from backend.workspace import ROOT
from ui import context, errors, machine_view
from ui.quantize import calibration as quantize_calibration
from ui.quantize import method as quantize_method
from ui.quantize import model as quantize_model
from ui.quantize import plan_view as quantize_plan_view
from ui.quantize import settings as quantize_settings
from ui.quantize import state as quantize_state
from ui.quantize import submit as quantize_submit

MODELS_PAGE = ROOT / "pages" / "models.py"


def draw(step: str) -> None:
    """Draw ``step``; it redraws itself alone while somebody chooses."""
    st.fragment(errors.guarded(partial(_step, step), "quantize_step"))()


def _step(step: str) -> None:
    if quantize_state.step() != step or st.session_state.pop(quantize_submit.PRESSED, False):
        st.rerun()  # the menu, and what a press began, are drawn outside of this part
    machine = machine_view.read()
    cards = catalog.models(context.workspace(), catalog.TRUST_S)
    reasons = {card.name: reason for card in cards if (reason := methods.refused(card)) is not None}
    usable = [card for card in cards if card.name not in reasons]
    if not usable:
        _no_model()
        quantize_model.refused(reasons)
        return
    draft = quantize_model.settled(quantize_state.read(), cards, usable)
    card = next((card for card in cards if card.name == draft["model"]), usable[0])
    offered = methods.choices(card, machine)
    draft = quantize_method.settled(draft, offered)
    quantize_state.settle(draft)
    made = planning.plan(context.workspace(), draft, machine)
    left, right = st.columns([4, 5], gap="medium")
    with left, st.container(border=True, height="stretch", key="quantize_choices"):
        if step == "model":
            quantize_model.draw(draft, card, [*usable, *([card] if card not in usable else [])])
        elif step == "method":
            quantize_method.draw(draft, offered)
        elif step == "calibration":
            quantize_calibration.draw(draft, made)
        else:
            quantize_settings.draw(draft, made)
        _ways(step)
    with right, st.container(border=True, height="stretch", key="quantize_plan"):
        quantize_plan_view.draw(made)
    if step == "model":
        quantize_model.refused(reasons)
    elif step == "method":
        quantize_method.elsewhere(offered)
    elif step == "calibration":
        quantize_calibration.preview(made)
    else:
        quantize_settings.command(made)


def _ways(step: str) -> None:
    """To the step before and to the next one; the last of them leads on by the button of the plan."""
    place, last = quantize_state.CHOSEN.index(step), len(quantize_state.CHOSEN) - 1
    with st.container(
        horizontal=True,
        horizontal_alignment="distribute" if 0 < place < last else "left" if place else "right",
        key="quantize_ways",
    ):
        if place:
            _way(quantize_state.CHOSEN[place - 1], _("Back"), ":material/arrow_back:")
        if place < last:
            following = quantize_state.CHOSEN[place + 1]
            label = _("Next: {step}").format(step=_(quantize_state.STEPS[following]))
            _way(following, label, ":material/arrow_forward:", after=True)


def _way(to: str, label: str, icon: str, *, after: bool = False) -> None:
    st.button(
        label,
        key=f"quantize_to_{to}",
        icon=icon,
        icon_position="right" if after else "left",
        on_click=quantize_state.go,
        args=(to,),
    )


def _no_model() -> None:
    with st.container(border=True, horizontal_alignment="center", key="quantize_no_model"):
        st.markdown(":material/deployed_code: **" + _("No model here can be made smaller") + "**", width="content")
        st.markdown(_("Get one on the Models page, or see below what holds each of them up."), text_alignment="center")
        st.page_link(MODELS_PAGE, label=_("Open Models"), icon=":material/deployed_code:")
