"""Where a row went that was kept from a conversation."""

from __future__ import annotations

import streamlit as st

from backend.data.collected import Added
from backend.i18n import _, ngettext
from backend.workspace import ROOT
from ui import errors

DATASETS_PAGE = ROOT / "pages" / "datasets.py"


def draw(added: Added) -> None:
    """The collection it is in, how many rows that has, its file, and the way to make a dataset of it."""
    name, rows = errors.plain(added.collection.name), added.collection.rows
    if added.duplicate:
        text = ngettext(
            "This row is already in **{name}**, which holds {n} row.",
            "This row is already in **{name}**, which holds {n} rows.",
            rows,
        )
        st.markdown(":material/info: " + text.format(name=name, n=rows))
    else:
        text = ngettext(
            "Added to **{name}**, which now holds {n} row.", "Added to **{name}**, which now holds {n} rows.", rows
        )
        st.markdown(":green[:material/check_circle:] " + text.format(name=name, n=rows))
    if added.same_question:
        text = ngettext(
            "{n} other row has the same question and another answer.",
            "{n} other rows have the same question and other answers.",
            added.same_question,
        )
        st.caption(text.format(n=added.same_question))
    st.caption(_("The file on this server:"))
    st.code(str(added.collection.path), language=None, wrap_lines=True)
    st.page_link(DATASETS_PAGE, label=_("Make a dataset of these rows"), icon=":material/dataset:")
