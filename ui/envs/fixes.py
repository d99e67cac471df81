"""Which settings mend a failure of an environment: the way to them, as a button or a link."""

from __future__ import annotations

import streamlit as st

from backend.i18n import N_, _
from backend.workspace import ROOT
from ui import errors
from ui.envs import settings as envs_settings

SETTINGS_PAGE = ROOT / "pages" / "settings.py"
MIRROR = N_("Set a mirror or proxy")
FOLDER = N_("Choose another folder")
PYTHON = N_("Change the Python of your own")
FIXES: dict[str, tuple[str, ...]] = {
    MIRROR: (
        "env_pip_unreachable",
        "env_pip_cut_off",
        "env_pip_proxy",
        "env_pip_broken",
        "env_pip_lacks",
        "env_pip_hash",
        "env_pip_login",
        "env_pip_certificate",
    ),
    FOLDER: ("env_no_room", "env_folder_read_only", "workspace_full"),
    PYTHON: ("env_own_missing", "env_own_named"),
}
"""What the way is called -> the failures that it is for."""


def action(code: str) -> errors.Action | None:
    """The button that leads to the settings which mend the failure ``code``; None where none of them does."""
    label = next((label for label, codes in FIXES.items() if code in codes), None)
    if label is None or not SETTINGS_PAGE.is_file():
        return None
    return errors.Action(
        _(label), icon=":material/settings:", page=SETTINGS_PAGE, query={"section": envs_settings.ASKED}
    )


def link(code: str) -> None:
    """:func:`action` as a link, for a reason that stands in a text; nothing where there is none."""
    way = action(code)
    if way is not None and way.page is not None:
        st.page_link(way.page, label=way.label, icon=way.icon, query_params=way.query)
