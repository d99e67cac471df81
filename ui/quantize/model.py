"""First step: which model becomes smaller, what it is, which copies of it are here already, and which models cannot be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from backend import catalog
from backend.catalog import ModelCard
from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.workspace import ROOT
from ui import context, errors, words
from ui.models import card as model_card
from ui.quantize import links as quantize_links
from ui.quantize import state as quantize_state
from ui.quantize.state import Draft

MODELS_PAGE = ROOT / "pages" / "models.py"
SEARCHED_FROM = 10
"""Names from which on a list can be searched."""
SHOWN = 50


def settled(draft: Draft, cards: Sequence[ModelCard], usable: Sequence[ModelCard]) -> Draft:
    """``draft`` with a model: the one that is asked for, by name or folder, else the first that can be taken. One that is asked
    for and cannot be taken stays: the plan says why."""
    asked = str(draft.get("model") or "")
    named = next((card.name for card in cards if asked and asked in (card.name, str(card.path))), "")
    return {**draft, "model": named or usable[0].name}


def draw(draft: Draft, card: ModelCard, offered: Sequence[ModelCard]) -> None:
    """Draw the choice among ``offered``; ``card`` is the one that is chosen."""
    names = [one.name for one in offered]
    st.session_state["quantize_model"] = draft["model"]
    st.selectbox(
        _("Model"),
        names,
        key="quantize_model",
        on_change=_chosen,
        filter_mode="fuzzy" if len(names) >= SEARCHED_FROM else None,
        help=_("It stays as it is: the smaller copy becomes a model of its own."),
    )
    st.caption(model_card.facts(card))
    _copies(card)


def refused(reasons: Mapping[str, PanelError]) -> None:
    """The models that cannot be taken, each with why."""
    if not reasons:
        return
    title = ngettext("{n} model cannot be made smaller", "{n} models cannot be made smaller", len(reasons))
    folded = st.expander(
        title.format(n=len(reasons)), icon=":material/block:", type="compact", key="quantize_refused", on_change="rerun"
    )
    if not folded.open:
        return
    with folded:
        for name, reason in list(reasons.items())[:SHOWN]:
            st.markdown(f"**{errors.plain(name)}** · {errors.plain(' '.join(reason.localized()))}")
        if len(reasons) > SHOWN:
            st.caption(_("The Models page lists them all."))


def copies(card: ModelCard) -> list[ModelCard]:
    """The smaller copies of the model of ``card`` that are on the list."""
    found = catalog.models(context.workspace(), catalog.TRUST_S)
    return [
        one
        for one in found
        if one.quantization and one.lineage is not None and one.lineage.base in (card.name, str(card.path))
    ]


def _copies(card: ModelCard) -> None:
    found = copies(card)
    if not found:
        return
    st.markdown("**" + ngettext("A smaller copy is here already", "Smaller copies are here already", len(found)) + "**")
    for number, one in enumerate(found[:6]):
        with st.container(horizontal=True, vertical_alignment="center", key=f"quantize_copy_{number}"):
            said = " · ".join(part for part in (one.quantization, words.size(one.size_bytes)) if part)
            st.markdown(f":material/compress: {errors.plain(one.name)} · {errors.plain(said)}", width="content")
            if one.made_by:
                st.button(
                    _("Show run {job}").format(job=one.made_by),
                    key=f"quantize_copy_run_{number}",
                    type="tertiary",
                    icon=":material/monitoring:",
                    on_click=st.query_params.from_dict,
                    args=(quantize_links.run(one.made_by),),
                )


def _chosen() -> None:
    """Callback: another model."""
    chosen = st.session_state.get("quantize_model")
    if chosen:
        quantize_state.change({"model": str(chosen)})
