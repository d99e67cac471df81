"""This machine in words: the line in the sidebar and the card on the first page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from backend.i18n import _, ngettext
from backend.memory import machine
from backend.memory.machine import Gpu, Machine
from backend.workspace import ROOT
from ui import context, errors, words

MEMORY_PAGE = ROOT / "pages" / "memory.py"
LOW_DISK = 5 * 2**30
LOW_RAM = 2**30


# A number, not "2s": Streamlit reads text with pandas, which the first page need not load.
@st.cache_data(ttl=2, show_spinner=False)
def now(folder: str) -> Machine:
    """A snapshot, with the disk that holds ``folder``, that all sessions share for two seconds."""
    return machine.snapshot(Path(folder))


def read() -> Machine:
    """This machine, with the disk that holds the workspace."""
    return now(str(context.workspace().root))


def lines(found: Machine) -> list[str]:
    """One line per GPU, or one line that says what there is instead."""
    if found.gpus:
        return [gpu_line(gpu) for gpu in found.gpus]
    return [
        _("CPU only · {cores} · {free} of {total} GiB RAM free").format(
            cores=cores_line(found.cores), **_share(found.ram_free, found.ram_total)
        )
    ]


def gpu_line(gpu: Gpu) -> str:
    """``GPU 0 · 31.2 of 79.6 GiB free``; what the driver does not tell is said so."""
    if gpu.total is None or gpu.free is None:
        return _("GPU {index} · memory unknown").format(index=gpu.index)
    return _("GPU {index} · {free} of {total} GiB free").format(index=gpu.index, **_share(gpu.free, gpu.total))


def cores_line(count: int) -> str:
    """``1 core``, ``16 cores``."""
    return ngettext("{n} core", "{n} cores", count).format(n=count)


def card(found: Machine) -> None:
    """The card *This machine*: what it is, and whether all is well."""
    with st.container(border=True, height="stretch", key="machine_card"):
        st.subheader(_("This machine"), anchor=False)
        rows = [
            (":material/computer:", errors.plain(found.host)),
            (":material/developer_board:", cores_line(found.cores)),
            (
                ":material/memory:",
                _("{free} of {total} GiB memory free").format(**_share(found.ram_free, found.ram_total)),
            ),
            *((":material/view_module:", line) for line in _gpu_rows(found)),
        ]
        if found.disk_free is not None and found.disk_total is not None:
            disk = _("{free} of {total} GiB disk free").format(**_share(found.disk_free, found.disk_total))
            rows.append((":material/hard_drive:", disk))
        # No st.table: it would load pandas before the first page is drawn.
        st.markdown("  \n".join(f":gray[{icon}] {text}" for icon, text in rows))
        troubles = problems(found)
        for trouble in troubles:
            st.markdown(f":orange[:material/warning:] {trouble}")
        if not troubles:
            st.markdown(":green[:material/check_circle:] " + _("All is well."))
        st.page_link(MEMORY_PAGE, label=_("See who uses the memory"), icon=":material/memory_alt:")


def problems(found: Machine) -> list[str]:
    """What about this machine needs a person, in words; empty when all is well."""
    said = []
    if found.disk_free is not None and found.disk_free < LOW_DISK:
        said.append(_("The disk is nearly full: {free} left.").format(free=words.gib(found.disk_free)))
    if found.ram_free < LOW_RAM:
        said.append(_("Memory is nearly used up: {free} left.").format(free=words.gib(found.ram_free)))
    said += [_("GPU {index} does not answer any more.").format(index=gpu.index) for gpu in found.gpus if _lost(gpu)]
    if found.gpu_problem:
        said.append(_("The GPU driver does not answer: {problem}").format(problem=errors.plain(found.gpu_problem)))
    return said


def _lost(gpu: Gpu) -> bool:
    """Whether it has its place in the list and tells nothing at all, as a card does that fell off the bus."""
    return not gpu.uuid and not gpu.name and gpu.total is None


def _gpu_rows(found: Machine) -> list[str]:
    if not found.gpus:
        return [_("No GPU. Small models run on the processor.")]
    return [(errors.plain(gpu.name) + " · " if gpu.name else "") + gpu_line(gpu) for gpu in found.gpus]


def _share(free: int, total: int) -> dict[str, str]:
    return {"free": _number(free), "total": _number(total)}


def _number(size: int) -> str:
    return f"{size / 2**30:.1f}"
