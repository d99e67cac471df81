"""What every way of making rows ends with: a few rows to read while one types, the name of the dataset, and the button."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from backend.data.collected import MAX_NAME_CHARS
from backend.data.rows import Row, split_of
from backend.data.versions import VersionInfo
from backend.i18n import _
from ui import errors
from ui.datasets import list as datasets_list
from ui.datasets import row as datasets_row
from ui.datasets import state as datasets_state
from ui.datasets import words as named


def name(suggested: str, *, key: str, note: bool = True) -> str:
    """Draw the field for the dataset's name; returns what was typed, else ``suggested`` without what a name cannot hold.

    note: say what happens where there is one of this name.
    """
    usual = _as_name(suggested)
    typed = st.text_input(
        _("Name of the dataset"),
        key=f"make_{key}_set",
        max_chars=MAX_NAME_CHARS,
        placeholder=usual,
        persist_state="session",
    )
    found = " ".join(str(typed or "").split()) or usual
    if note and datasets_state.sets().exists(found):
        st.caption(":material/history: " + _("There is one of this name: it gets a new version, the others stay."))
    return found


def button(dataset: str, count: int, *, key: str, make: Callable[[], VersionInfo | None], why: str = "") -> None:
    """Draw the button that makes ``count`` rows. make: does it. why: what is missing, beside a button that is off."""
    if why:
        text = _("Make the rows")
    else:
        text = _("Make {rows} as '{name}'").format(rows=named.rows(count), name=label(dataset))
    st.button(
        text,
        key=f"make_{key}_go",
        type="primary",
        icon=":material/auto_awesome:",
        disabled=bool(why),
        on_click=_made,
        args=(make,),
    )
    if why:
        st.caption(why)


def _made(make: Callable[[], VersionInfo | None]) -> None:
    """Callback: make it and open it."""
    with datasets_state.problems():
        make()


def keep(dataset: str, rows: Sequence[Row], step: dict[str, object]) -> VersionInfo:
    """Write ``rows`` as a version of ``dataset`` and open it. For callbacks.

    Raises:
        ConflictError: ``collection_name_bad``.
        WorkspaceError: the disk is full or read-only.
    """
    with datasets_state.sets().write(dataset, steps=[step]) as out:
        for row in rows:
            out.add(row)
    opened(dataset, out.version)
    return out.version


def opened(dataset: str, info: VersionInfo) -> None:
    """Open what was just made, and say so."""
    datasets_state.say(_("{rows} are in '{name}'.").format(rows=named.rows(info.rows), name=dataset))
    datasets_list.open_set(dataset)


def preview(rows: Sequence[Row], *, key: str) -> None:
    """Draw ``rows`` as the conversations that they are."""
    for place, row in enumerate(rows):
        with st.container(border=True, key=f"make_{key}_row_{place}", gap="xsmall"):
            split = split_of(row)
            if split != "train":
                st.caption(":material/fact_check: " + _("held out for the proof: never trained"))
            datasets_row.draw(row, key=f"make_{key}_{place}")


def label(text: str) -> str:
    """``text`` in a label, where Markdown must not work."""
    return errors.plain(text)


def lines(typed: str) -> tuple[str, ...]:
    """What stands in a text area, a line each, without empty ones."""
    return tuple(line for line in (" ".join(each.split()) for each in typed.splitlines()) if line)


def _as_name(text: str) -> str:
    plain = "".join(char for char in " ".join(text.split()) if char.isprintable() and char not in "/\\").lstrip(". ")
    return plain[:MAX_NAME_CHARS].strip() or _("My rows")
