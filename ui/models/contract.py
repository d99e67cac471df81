"""A model that would be asked otherwise than it was taught: its card names what differs, and puts it back."""

from __future__ import annotations

import streamlit as st

from backend import catalog
from backend.catalog import ModelCard
from backend.catalog.joining import template_changed
from backend.errors import ModelError, PanelError
from backend.finetune import contract
from backend.i18n import _
from ui import context, errors

CODES = ("template_not_as_taught", "template_of_base_changed")
"""Why an engine refuses such a model; the card says it in these words instead."""


def changed(card: ModelCard) -> ModelError | None:
    """Why ``card`` must not be asked as its folder stands now; None where nothing differs."""
    return template_changed(card)


def draw(card: ModelCard, problem: PanelError, key: str, *, running: bool) -> None:
    """Draw ``problem``, which is :func:`changed` of ``card``. running: a server of it is up, as it was when it started."""
    message, hint = problem.localized()
    st.markdown(f":orange[:material/warning:] {errors.plain(message)}")
    taught = contract.kept(card.path)
    try:
        now = contract.of_card(context.workspace(), card)
    except PanelError as error:
        errors.show(error, key=f"contract_{key}")
        return
    differences = contract.same(taught, now) if taught is not None else []
    if differences:
        st.markdown("\n".join(f"- {errors.plain(str(one))}" for one in differences))
    if running:
        st.caption(_("Its server goes on with what it began with. Start it again once that is put back."))
    own = problem.code == "template_not_as_taught"
    if own and taught is not None:
        st.button(
            _("Put back what it was taught with"),
            key=f"contract_restore_{key}",
            icon=":material/settings_backup_restore:",
            help=_(
                "Writes chat template, special tokens and ends as they were kept when it was made. No weight changes."
            ),
            on_click=_restore,
            args=(card,),
        )
        return
    known = _template(taught, card)
    if known:
        st.button(
            _("Give {base} the template {template} again").format(
                base=errors.plain(_holder(card)), template=known.label
            ),
            key=f"contract_choose_{key}",
            icon=":material/settings_backup_restore:",
            on_click=_choose,
            args=(_holder(card), known.key),
        )
    else:
        st.caption(errors.plain(hint))


def _holder(card: ModelCard) -> str:
    """The model whose tokenizer it is asked with."""
    return card.base.name if card.base is not None else card.name


def _template(taught: contract.Contract | None, card: ModelCard) -> catalog.KnownTemplate | None:
    """The known template that it was taught with, where a person once chose that for its base, whose tokenizer has none."""
    base = card.base
    if taught is None or base is None or (base.chat_template and not base.template_chosen):
        return None
    return next((one for one in catalog.known_templates() if one.template == taught.template), None)


def _restore(card: ModelCard) -> None:
    """Callback: its tokenizer's files as they were when it was made."""
    st.session_state.pop("models_problem", None)
    try:
        contract.restore(card.path)
    except PanelError as error:
        st.session_state["models_problem"] = error.to_dict()
        return
    st.session_state["models_said"] = _("{model} is asked again as it was taught.").format(model=card.name)


def _choose(base: str, key: str) -> None:
    """Callback: the template that was chosen for ``base`` once."""
    st.session_state.pop("models_problem", None)
    try:
        catalog.choose_template(context.workspace(), base, key)
    except PanelError as error:
        st.session_state["models_problem"] = error.to_dict()
        return
    st.session_state["models_said"] = _("{model} has a chat template now.").format(model=base)
