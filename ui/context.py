"""What every page works on: the workspace, its queue, its settings. One of each per panel process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from backend import settings as settings_module
from backend import workspace as workspace_module
from backend.queue.store import Store, open_store
from backend.settings import Settings
from backend.workspace import Workspace

if TYPE_CHECKING:
    from backend.memory.series import MemoryStore


@st.cache_resource(show_spinner=False, max_entries=4)
def _open_workspace(root: str) -> Workspace:
    return workspace_module.open_workspace(root)


@st.cache_resource(show_spinner=False, max_entries=4)
def _open_store(root: str) -> Store:
    return open_store(_open_workspace(root), check=True)


def workspace() -> Workspace:
    """The workspace of this panel.

    Raises:
        WorkspaceError: it cannot be written; the frame shows the error card.
    """
    return _open_workspace(str(workspace_module.default_root()))


def store() -> Store:
    """The queue of this panel; shared by all sessions and threads."""
    return _open_store(str(workspace_module.default_root()))


@st.cache_resource(show_spinner=False, max_entries=4)
def _open_memory(root: str) -> MemoryStore:
    from backend.memory.series import open_memory  # what it needs, a page without memory need not load

    return open_memory(_open_workspace(root))


def memory() -> MemoryStore:
    """What the recorder has written of this machine's memory; shared by all sessions and threads."""
    return _open_memory(str(workspace_module.default_root()))


def settings() -> Settings:
    """The settings in force now (read anew: another tab may have changed them)."""
    return settings_module.load(workspace())
