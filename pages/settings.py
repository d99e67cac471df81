"""Settings. Its user wants to know: how do others and my programs get in, what are the limits here, where is my data."""

from __future__ import annotations

import os

import streamlit as st

from backend import settings as store
from backend.errors import PanelError
from backend.i18n import LANGUAGES, _
from ui import access, context, errors, hub_settings, words
from ui.envs import settings as envs_settings
from ui.folder_size import folder_size

workspace, now = context.workspace(), context.settings()


def from_environment(name: str) -> bool:
    """Whether a variable fixes this setting, so that the page cannot change it."""
    return bool(os.environ.get(f"TUNEDECK_{name.upper()}"))


def fixed_note(name: str) -> str:
    return _("Set by the variable TUNEDECK_{name}; change it there.").format(name=name.upper())


def save(*names: str) -> None:
    """Callback: store these settings; what is wrong with them is shown at the top."""
    st.session_state.pop("settings_problem", None)
    try:
        store.save(workspace, **{name: st.session_state[f"set_{name}"] for name in names if not from_environment(name)})
        st.session_state["settings_saved"] = True
    except PanelError as error:
        st.session_state["settings_problem"] = error.to_dict()


st.title(_("Settings"), anchor=False)
st.caption(_("They hold for everyone who uses this workspace. What runs now keeps the settings it started with."))
if "settings_problem" in st.session_state:
    errors.show(st.session_state["settings_problem"], key="settings")
if st.session_state.pop("settings_saved", False):
    st.toast(_("Saved."), icon=":material/check_circle:")

left, right = st.columns(2, gap="large")
with left:
    st.subheader(_("How to get in"), anchor=False)
    access.address(workspace)

    st.subheader(_("API keys"), anchor=False)
    access.keys(workspace)

    st.subheader(_("Environments of engines"), anchor=False)
    envs_settings.draw(now, save)

with right:
    st.subheader(_("Language"), anchor=False)
    choices = {"auto": _("As the browser says"), **LANGUAGES}
    st.session_state["set_language"] = now.language
    st.selectbox(
        _("Language for new visitors"),
        list(choices),
        key="set_language",
        format_func=choices.__getitem__,
        disabled=from_environment("language"),
        help=_("Where a person chose a language in the sidebar, that choice stays."),
        on_change=save,
        args=("language",),
    )
    if from_environment("language"):
        st.caption(fixed_note("language"))

    st.subheader(_("Model hubs"), anchor=False)
    hub_settings.draw(workspace, now)

    st.subheader(_("Limits"), anchor=False)
    with st.form("limits", border=False):
        limits = {
            "cpu_slots": (
                _("Jobs that compute on the processor at once"),
                _(
                    "Each such job takes one slot; the others wait. More slots than half the cores make every job slower."
                ),
            ),
            "grace_int_s": (
                _("Seconds a cancelled job has to save its work"),
                _("After that it is told to stop at once. A training saves its last checkpoint in this time."),
            ),
            "grace_term_s": (
                _("Seconds before a job that does not stop is killed"),
                _("They count from the moment it was told to stop at once. A killed job saves nothing more."),
            ),
            "notice_after_s": (
                _("Seconds a job must have run for its end to be told at once"),
                _("Failures are always told, on any page. All that ended while you were away stands on Home."),
            ),
        }
        for name, (label, help_text) in limits.items():
            value = getattr(now, name)
            st.session_state.setdefault(f"set_{name}", value)
            whole = isinstance(value, int)
            st.number_input(
                label,
                min_value=1 if whole else 0.0,
                max_value=1024 if whole else 3600.0,
                step=1 if whole else 1.0,
                format="%d" if whole else "%g",
                key=f"set_{name}",
                help=help_text,
                disabled=from_environment(name),
            )
            if from_environment(name):
                st.caption(fixed_note(name))
        st.form_submit_button(_("Save limits"), type="primary", on_click=save, args=tuple(limits))

    st.subheader(_("Workspace"), anchor=False)
    st.caption(_("Everything that TuneDeck knows lies in this folder: jobs, conversations, settings, keys."))
    st.code(str(workspace.root), language=None, wrap_lines=True)
    measured = folder_size(str(workspace.root))
    st.caption(
        _("{size} in {files} files. Deleting finished jobs on the Jobs page frees most of it.").format(
            size=words.size(measured.size), files=f"{measured.files:,}"
        )
    )
