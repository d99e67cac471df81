"""What keeps a planned job from running, and what it had better not do: each in a sentence, with buttons that mend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from backend.i18n import ngettext
from ui import errors

if TYPE_CHECKING:
    from backend.finetune.faults import Fault

SHOWN = 6
MOST_WAYS = 3

Change = Callable[[dict[str, Any]], None]


def draw(
    faults: Sequence[Fault],
    *,
    key: str,
    change: Change,
    label: Callable[[str], str],
    link: Callable[[Fault], None] | None = None,
) -> None:
    """Draw them, those that stop it first; beyond a few the rest is folded.

    Args:
        faults: as the plan found them.
        key: of the page; its widgets are named after it.
        change: callback with the fields of the way that is pressed.
        label: what a field is called; empty where the fault is about none.
        link: draws the way to another page where the fault is mended there.
    """
    ordered = sorted(faults, key=lambda fault: not fault.fatal)

    def one(fault: Fault, place: int) -> None:
        icon = ":red[:material/error:]" if fault.fatal else ":orange[:material/warning:]"
        with st.container(key=f"{key}_fault_{place}", gap="xsmall"):
            named = label(fault.field)
            where = f"**{errors.plain(named)}** · " if named else ""
            st.markdown(f"{icon} {where}{errors.plain(fault.message)}")
            if fault.hint:
                st.caption(errors.plain(fault.hint))
            if link is not None:
                link(fault)
            if fault.ways:
                with st.container(horizontal=True, gap="small", key=f"{key}_ways_{place}"):
                    for number, way in enumerate(fault.ways[:MOST_WAYS]):
                        st.button(
                            errors.plain(way.label.rstrip(".。")),
                            key=f"{key}_way_{place}_{number}",
                            icon=":material/build:",
                            on_click=change,
                            args=(dict(way.fields),),
                        )

    for place, fault in enumerate(ordered[:SHOWN]):
        one(fault, place)
    left = ordered[SHOWN:]
    if left:
        with st.expander(
            ngettext("{n} more", "{n} more", len(left)).format(n=len(left)),
            icon=":material/more_horiz:",
            type="compact",
        ):
            for place, fault in enumerate(left, SHOWN):
                one(fault, place)
