"""Environments of engines on the Settings page: where they lie, and how packages get here (index, mirror, proxy)."""

from __future__ import annotations

import os
from collections.abc import Callable

import streamlit as st

from backend.engines import engines
from backend.i18n import N_, _
from backend.settings import Settings
from backend.workspace import ROOT

ENVIRONMENTS_PAGE = ROOT / "pages" / "environments.py"
ASKED = "environments"
"""Value of ``?section=`` with which the Environments page leads here."""
FIELDS: dict[str, tuple[str, str, str]] = {
    "pip_index_url": (
        N_("Package index or mirror"),
        N_("Where packages are fetched from. Empty: what pip itself is set to on this machine."),
        "https://mirror.example.org/simple",
    ),
    "pip_extra_index_url": (
        N_("Second package index"),
        N_("For builds that the first one lacks, such as PyTorch's own for the CPU."),
        "",
    ),
    "proxy": (
        N_("Proxy for packages"),
        N_("Empty: what the variables of the panel say (HTTPS_PROXY). No passwords here."),
        "http://proxy.example.org:3128",
    ),
    "environments_folder": (
        N_("Folder for environments"),
        N_("Some GB for each engine. What is in another folder stays there, and is not found any more."),
        "~/.tunedeck/environments",
    ),
    "shared_environments_folder": (
        N_("Folder of environments shared by all"),
        N_("A folder that somebody filled for everyone on this machine. It is looked at second, and only read."),
        "",
    ),
}


def draw(now: Settings, save: Callable[..., None]) -> None:
    """The form. ``save``: callback that stores the settings of these names from ``set_<name>`` in the session."""
    if st.query_params.get("section") == ASKED and ENVIRONMENTS_PAGE.is_file():
        st.page_link(ENVIRONMENTS_PAGE, label=_("Back to the environments"), icon=":material/arrow_back:")
    titles = {f"{name}_python": engine.title for name, engine in engines().items()}
    own = [name for name in titles if name in Settings.model_fields]
    with st.form("environments", border=False):
        for name, (label, help_text, example) in FIELDS.items():
            _field(now, name, _(label), _(help_text), example)
        for name in own:
            label = _("Python of your own with {engine}").format(engine=titles[name])
            _field(now, name, label, _("Empty: the environment that TuneDeck makes."), "")
        st.form_submit_button(_("Save for environments"), on_click=save, args=(*FIELDS, *own))


def _field(now: Settings, name: str, label: str, help_text: str, example: str) -> None:
    variable = f"TUNEDECK_{name.upper()}"
    fixed = bool(os.environ.get(variable))
    st.session_state.setdefault(f"set_{name}", getattr(now, name))
    st.text_input(label, key=f"set_{name}", placeholder=example, help=help_text, disabled=fixed)
    if fixed:
        st.caption(_("Set by the variable TUNEDECK_{name}; change it there.").format(name=name.upper()))
