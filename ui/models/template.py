"""A chat template for a model whose tokenizer has none: the known ones that fit, and the choice of one."""

from __future__ import annotations

import streamlit as st

from backend import catalog
from backend.catalog import Fit, ModelCard
from backend.errors import PanelError
from backend.i18n import _
from ui import context, errors


def draw(card: ModelCard, key: str) -> None:
    """Draw the choice, where ``card`` has no template of its own and could have one."""
    if card.problem is not None or card.adapter_of or card.builtin or (card.chat_template and not card.template_chosen):
        return
    with st.container(border=True, key=f"template_{key}"):
        if card.template_chosen:
            st.markdown(
                ":green[:material/check_circle:] "
                + _("**Chat template chosen here.** A server that starts from now on uses it.")
            )
            st.button(
                _("Take the template back"),
                key=f"template_back_{key}",
                icon=":material/undo:",
                on_click=_choose,
                args=(card.name, ""),
            )
            return
        st.markdown(
            ":material/chat_info: "
            + _(
                "**No chat template.** Its tokenizer does not say how a conversation is written, so it cannot chat. Choose "
                "the layout it was trained with. A model that was never trained on conversations will not hold one well."
            )
        )
        try:
            fits = catalog.fitting_templates(card.path)
        except PanelError as error:
            errors.show(error, key=f"template_{key}")
            return
        chosen = st.selectbox(
            _("Known chat templates"),
            fits,
            key=f"template_choice_{key}",
            format_func=_label,
            filter_mode=None,
        )
        if chosen is None:
            return
        if chosen.missing:
            st.markdown(
                ":orange[:material/warning:] "
                + errors.plain(
                    _("Its tokenizer does not know {tokens}: it was hardly trained with this layout.").format(
                        tokens=", ".join(chosen.missing)
                    )
                )
            )
        st.code(chosen.template.template, language="jinja2", wrap_lines=True, height=140)
        st.button(
            _("Use {template}").format(template=chosen.template.label),
            key=f"template_use_{key}",
            icon=":material/check:",
            on_click=_choose,
            args=(card.name, chosen.template.key),
        )


def _label(fit: Fit) -> str:
    return (
        fit.template.label if fit.missing else _("{template}, fits its tokenizer").format(template=fit.template.label)
    )


def _choose(name: str, key: str) -> None:
    """Callback: give the model the template; an empty ``key`` takes it back."""
    st.session_state.pop("models_problem", None)
    try:
        catalog.choose_template(context.workspace(), name, key)
    except PanelError as error:
        st.session_state["models_problem"] = error.to_dict()
        return
    st.session_state["models_said"] = (
        _("{model} has a chat template now.") if key else _("{model} has no chat template any more.")
    ).format(model=name)
