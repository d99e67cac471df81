"""Rows that were collected in the chat, offered on the Datasets page: one press makes a dataset of them, or brings it up to date."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.data import from_chat
from backend.data.collected import Collected, Collection
from backend.data.store import DatasetInfo
from backend.i18n import _, ngettext
from ui import context, errors, words
from ui.datasets import list as datasets_list
from ui.datasets import state as datasets_state

SHOWN = 10


def waiting(found: Sequence[DatasetInfo]) -> list[Collection]:
    """The collections that hold rows which no dataset has taken yet."""
    return [each for each in Collected(context.workspace()).list() if each.rows and not _taken(each, found)]


def _taken(each: Collection, found: Sequence[DatasetInfo]) -> bool:
    """Whether a set was made of the collection after its last row came."""
    same = next((info for info in found if info.name == each.name), None)
    if same is None:
        return False
    versions = datasets_state.sets().versions(each.name)
    times = [v.created for v in versions if any(item.get("file") == str(each.path) for item in v.made_from)]
    return max(times, default=0.0) >= each.updated


def draw(collections: Sequence[Collection], found: Sequence[DatasetInfo]) -> None:
    """Draw the collections with their button."""
    if not collections:
        return
    st.subheader(_("Collected while chatting"), anchor=False)
    known = {info.name for info in found}
    for each in collections[:SHOWN]:
        key = datasets_state.key_of(each.name)
        with st.container(border=True, key=f"collected_{key}", gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.markdown(f"**{errors.plain(each.name)}**", width="content")
                st.button(
                    _("Bring the dataset up to date") if each.name in known else _("Make a dataset of it"),
                    key=f"collected_make_{key}",
                    icon=":material/dataset:",
                    help=_("The collected rows stay where they are; new ones can be added to the dataset later."),
                    on_click=_make,
                    args=(each,),
                )
            count = ngettext("{n} row", "{n} rows", each.rows).format(n=f"{each.rows:,}")
            st.caption(f"{count} · {words.ago(each.updated)}", help=words.stamp(each.updated))
    if len(collections) > SHOWN:
        st.caption(_("{n} more are not shown here.").format(n=len(collections) - SHOWN))


def _make(each: Collection) -> None:
    """Callback: a version of the rows as they are now. They were added one by one by hand, so there are few."""
    with datasets_state.problems():
        from_chat.make(context.workspace(), each.name, from_chat.Sources(collections=(each.name,)))
        datasets_list.open_set(each.name)
        datasets_state.say(_("'{name}' is a dataset now.").format(name=each.name))
