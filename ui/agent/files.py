"""Files that an agent's tools made: pictures are shown, all others can be downloaded. Nothing outside the conversation's folder is touched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from PIL import Image

from backend.i18n import _, ngettext
from ui import errors, words
from ui.agent import state as agent_state

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
MOST_FILES, MOST_PIXELS, MOST_BYTES = 24, 40_000_000, 20 << 20
PICTURE_PX = 480


def draw(conversation: str, names: Sequence[str], key: str) -> None:
    """The files of one call, by their names in the conversation's folder."""
    folder = agent_state.store().folder(conversation)
    for place, name in enumerate(names[:MOST_FILES]):
        path = inside(folder, name)
        shown = errors.plain(name)
        if path is None:
            st.caption(":material/block: " + _("{name} is not shown: it lies outside its folder.").format(name=shown))
        elif not path.is_file():
            st.caption(":material/draft: " + _("{name} is gone.").format(name=shown))
        else:
            _one(path, name, f"{key}_{place}")
    more = len(names) - MOST_FILES
    if more > 0:
        st.caption(ngettext("and {n} more file", "and {n} more files", more).format(n=f"{more:,}"))


def inside(folder: Path, name: str) -> Path | None:
    """The file ``name`` of ``folder``; None where the name, or a link on its way, leads out of it."""
    try:
        root, path = folder.resolve(), (folder / name).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL in the name, links in a circle
        return None
    return path if path != root and path.is_relative_to(root) else None


def _one(path: Path, name: str, key: str) -> None:
    size = path.stat().st_size
    if _is_picture(path, size):
        with st.container(width=PICTURE_PX):  # on a phone no wider than the page
            st.image(str(path), caption=errors.plain(name), alt=name)
    st.download_button(
        f"{errors.plain(Path(name).name)} ({words.size(size)})",
        path.read_bytes,
        Path(name).name,
        key=key,
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


def _is_picture(path: Path, size: int) -> bool:
    """Whether it can be drawn: a model may give any name to any bytes."""
    if path.suffix.lower() not in PICTURES or size > MOST_BYTES:
        return False
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                return False
            picture.verify()
    except Exception:  # noqa: BLE001 - what broken bytes raise in the decoders is not one kind of error
        return False
    return True
