"""The head of one set: its name, the version that is shown, the way back, and the jobs that work on it."""

from __future__ import annotations

import streamlit as st

from backend.data.versions import Version
from backend.i18n import _
from ui import errors, words
from ui.datasets import jobs as datasets_jobs
from ui.datasets import list as datasets_list
from ui.datasets import state as datasets_state
from ui.datasets import versions as datasets_versions
from ui.finetune import ways_in as finetune_ways_in

WORKERS = ("import_data", "change_data")
"""Jobs whose result is a version of the set; the others are shown in the view that began them."""


def head(name: str) -> Version:
    """Draw the head of the set ``name``; returns the version that the address asks for, else the current one.

    Raises:
        DataError: there is no such set, or no such version; the card is drawn and the page ends.
    """
    st.button(
        _("All datasets"),
        key="datasets_back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=datasets_list.go,
        args=("list",),
    )
    sets = datasets_state.sets()
    info = sets.get(name)
    version = sets.open(name, st.query_params.get(datasets_state.VERSION) or None)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(errors.plain(name), anchor=False, width="content")
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            if len(version):
                finetune_ways_in.from_dataset(name, "" if version.info.id == info.current.id else version.info.id)
            datasets_list.actions(info, datasets_state.key_of(name))
    if version.info.id == info.current.id:
        st.caption(datasets_list.facts(info), help=words.stamp(info.updated))
    else:
        _earlier(name, version)
    return version


def _earlier(name: str, version: Version) -> None:
    """An earlier version is on the page: which, and the ways on."""
    with st.container(horizontal=True, vertical_alignment="center", key="datasets_earlier"):
        text = _("You see an earlier version: {version}, {facts}.")
        said = text.format(version=version.info.id[:6], facts=datasets_versions.facts(version.info))
        st.markdown(":orange[:material/history:] " + said, width="content")
        st.button(
            _("Show the current one"),
            key="datasets_to_current",
            icon=":material/update:",
            on_click=datasets_list.open_set,
            args=(name,),
        )
        st.button(
            _("Restore"),
            key="datasets_restore",
            icon=":material/settings_backup_restore:",
            help=_("It becomes the current one. The others stay, so this can be undone in the same way."),
            on_click=datasets_versions.restore,
            args=(name, version.info.id),
        )


def under_way(name: str, view: str) -> None:
    """The jobs that make a new version of the set now, and those that could not, above its views."""
    datasets_jobs.draw(WORKERS, name, f"datasets_work_{view}", ended=datasets_jobs.FAILED)
