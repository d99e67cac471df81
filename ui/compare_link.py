"""The link from a model, or from the job that made it, to a comparison with what it was made from."""

from __future__ import annotations

import streamlit as st

from backend.compare import pairs
from backend.i18n import _
from backend.workspace import ROOT
from ui import context

CHAT_PAGE = ROOT / "pages" / "chat.py"


def draw(model: str, label: str = "") -> None:
    """Draw it for ``model``; nothing where its base is not on the list of models. label: what the link says, where the model was
    not tuned but changed in another way."""
    pair = pairs.base_and_tuned(context.workspace(), model)
    if pair is not None:
        st.page_link(
            CHAT_PAGE,
            label=label or _("Base versus tuned: ask both the same"),
            icon=":material/compare:",
            query_params={"view": "compare", "models": pairs.to_address(pair)},
        )
