"""How much a folder holds, counted at most once a minute for all sessions."""

from __future__ import annotations

import os
from dataclasses import dataclass

import streamlit as st


@dataclass(frozen=True)
class FolderSize:
    """size: bytes on disk (blocks, so that sparse files do not count twice); files: how many."""

    size: int
    files: int


@st.cache_data(ttl=60, max_entries=8, show_spinner=False)
def folder_size(path: str) -> FolderSize:
    """Everything below ``path``; what vanishes or cannot be read while we look is left out."""
    size = files = 0
    for folder, _folders, names in os.walk(path, onerror=lambda _error: None):
        for name in names:
            try:
                found = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - a hundred thousand Path objects are slow
            except OSError:
                continue
            size += found.st_blocks * 512
            files += 1
    return FolderSize(size, files)
