"""One place in a panel: what it is, how full, and who has it. The same now and at any moment of the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from backend.i18n import N_, _
from backend.memory.alerts import FULL_SHARE
from backend.memory.sample import HOST, DeviceSample, HostSample, Sample
from ui import errors, words
from ui.memory import chart as memory_chart
from ui.memory import parts as memory_parts
from ui.memory import words as memory_words

Where = DeviceSample | HostSample
Roles = Mapping[int, Mapping[str, int]]
"""Job -> term -> bytes, estimated."""
FULL, NEARLY = 0.99, FULL_SHARE
"""Shares in use from which a place is called full, and nearly full."""

ROOM = words.Look(N_("room left"), ":material/check_circle:", "green")
IS_NEARLY = words.Look(N_("nearly full"), ":material/warning:", "orange")
IS_FULL = words.Look(N_("full"), ":material/error:", "red")
UNKNOWN = words.Look(N_("no figures"), ":material/help:", "gray")
LOST = words.Look(N_("lost"), ":material/link_off:", "red")


def places(sample: Sample) -> list[Where]:
    """The panels of ``sample``: its GPUs, main memory last. Slices stand in the panel of their GPU."""
    cards = {device.uuid for device in sample.devices if not device.parent}
    return [*(device for device in sample.devices if not device.parent or device.parent not in cards), sample.host]


def place_of(where: Where) -> str:
    """:data:`HOST`, or the UUID; a GPU that has lost its UUID goes by its number."""
    return HOST if isinstance(where, HostSample) else where.uuid or f"gpu{where.index}"


def draw(
    sample: Sample,
    where: Where,
    titles: Mapping[int, str],
    roles: Roles,
    line: Sequence[float | None] = (),
    more: Sequence[str] = (),
) -> None:
    """Title, state, the bar, who is in it, and what it does. line: what was in use in the last minutes, bytes. more: lines
    of plain text for the end.

    One title and one piece of HTML: each element costs a hundred bytes of its own, every two seconds, for every GPU.
    """
    _title(sample, where)
    if isinstance(where, DeviceSample) and where.lost:
        st.markdown(
            ":red[:material/link_off:] "
            + _("It does not answer any more: it fell off the bus. What ran on it has failed or will.")
        )
        st.caption(_("A restart of the machine usually brings it back. Ask whoever looks after it."))
        return
    drawn = [body(sample, where, titles, roles, line)]
    if isinstance(where, DeviceSample):
        for part in sample.devices:
            if part.parent and part.parent == where.uuid:
                drawn.append(memory_chart.title(memory_words.place(part.uuid, sample.devices), part.name))
                drawn.append(body(sample, part, titles, roles))
    said = memory_words.host_work(where) if isinstance(where, HostSample) else memory_words.work(where)
    drawn += [memory_chart.note(said)] if said else []
    st.html("".join([*drawn, *(memory_chart.note(text, strong=True) for text in more)]))


def body(
    sample: Sample, where: Where, titles: Mapping[int, str], roles: Roles, line: Sequence[float | None] = ()
) -> str:
    """The figures and the bar of ``where``; HTML."""
    total, used = memory_parts.total_of(where), memory_parts.used_of(where)
    pieces = memory_parts.parts(sample, where, titles, roles)
    if not total or used is None:
        why = _("The driver does not tell how much memory it has: it may share main memory with the processor.")
        return memory_chart.note(why) + memory_chart.named(pieces)
    figures = memory_chart.head(memory_parts.free_of(where), total, used, memory_chart.spark(line, total))
    return figures + memory_chart.bar(pieces, total)


def _title(sample: Sample, where: Where) -> None:
    if isinstance(where, HostSample):
        st.markdown(f":material/memory_alt: **{memory_words.place(HOST, ())}** {_state(where).chip}")
        return
    title = memory_words.place(where.uuid, sample.devices) if where.uuid else _("GPU {index}").format(index=where.index)
    name = f" :gray[{errors.plain(where.name)}]" if where.name else ""
    st.markdown(f":material/developer_board: **{title}**{name} {_state(where).chip}")


def _state(where: Where) -> words.Look:
    """How full it is, in a word."""
    if isinstance(where, DeviceSample) and where.lost:
        return LOST
    total, used = memory_parts.total_of(where), memory_parts.used_of(where)
    if not total or used is None:
        return UNKNOWN
    if used > FULL * total:
        return IS_FULL
    return IS_NEARLY if used > NEARLY * total else ROOM
