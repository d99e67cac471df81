"""The configs that the installed OpenCompass brings, folded: searched by model and by data set, with the line that a config of one's own imports."""

from __future__ import annotations

import streamlit as st

from backend.engines import opencompass_listing
from backend.errors import PanelError
from backend.i18n import N_, _, ngettext
from ui import context, errors

KINDS = {"datasets": N_("Data sets"), "models": N_("Models"), "": N_("All")}
SHOWN = 200


def draw() -> None:
    """Draw the fold; what is installed is looked at once it is opened."""
    fold = st.expander(
        _("All configs of OpenCompass"),
        icon=":material/list:",
        type="compact",
        key="evaluate_listing",
        on_change="rerun",
    )
    if not fold.open:
        return
    with fold:
        try:
            every = opencompass_listing.listed(context.workspace())
        except PanelError as error:
            message, hint = error.localized()
            st.markdown(f":gray[:material/info:] {errors.plain(message)} {errors.plain(hint)}")
            errors.link(error)
            return
        _search(every)


def _search(every: tuple[opencompass_listing.Config, ...]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="evaluate_listing_search"):
        text = st.text_input(
            _("Search"),
            key="evaluate_listing_text",
            placeholder="ceval qwen2*chat",
            help=_("Words with spaces between; one of them must be in the name. * stands for anything."),
            width=320,
        )
        kind = st.segmented_control(
            _("Kind"),
            list(KINDS),
            default="datasets",
            required=True,
            key="evaluate_listing_kind",
            format_func=lambda name: _(KINDS[name]),
            label_visibility="collapsed",
        )
    kinds = (kind,) if kind else opencompass_listing.SEARCHED
    found = opencompass_listing.search(every, text.split(), kinds)
    said = ngettext("{n} config of {all}", "{n} configs of {all}", len(found))
    st.caption(said.format(n=f"{len(found):,}", all=f"{len(every):,}"))
    if not found:
        return
    st.dataframe(
        [{_("Name"): one.name, _("Import it from"): one.module} for one in found[:SHOWN]],
        key="evaluate_listing_found",
        hide_index=True,
        height=min(320, 38 + 35 * len(found)),
    )
    if len(found) > SHOWN:
        st.caption(_("{n} more are not shown here.").format(n=f"{len(found) - SHOWN:,}"))
