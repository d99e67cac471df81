"""The ways to the Fine-tune page: from a dataset, from a model; it opens with that chosen."""

from __future__ import annotations

import streamlit as st

from backend.catalog import ModelCard
from backend.i18n import _
from backend.workspace import ROOT

PAGE = ROOT / "pages" / "finetune.py"


def from_dataset(name: str, version: str = "") -> None:
    """The link from the dataset ``name``. version: an id; the current one otherwise."""
    st.page_link(
        PAGE,
        label=_("Fine-tune with this"),
        icon=":material/school:",
        query_params={"dataset": name, **({"version": version} if version else {})},
        width="content",
    )


def from_model(card: ModelCard) -> None:
    """The link from the model of ``card``; nothing where it cannot be taught."""
    from backend.finetune import preflight  # who opens no card need not load what a plan needs

    if preflight.refused(card) is None:
        st.page_link(
            PAGE,
            label=_("Teach this model"),
            icon=":material/school:",
            query_params={"model": card.name},
            width="content",
        )
