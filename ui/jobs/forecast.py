"""What a job was forecast to take, against what it took: on its details, and where a server has ended."""

from __future__ import annotations

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _
from backend.memory import trust
from backend.memory.trust import Forecast, Measured
from backend.queue.rows import JobRow
from ui import context, errors, words
from ui.fit import meter as fit_meter
from ui.memory import terms as memory_terms


def draw(row: JobRow) -> None:
    """One line; nothing for a job that has no forecast."""
    found = _settled(row)
    if found is None:
        return
    st.caption(":material/memory: " + errors.plain(sentence(found, row)), help=_help(found))


def _settled(row: JobRow) -> Forecast | None:
    try:
        return trust.settled(context.store(), context.memory(), row)
    except PanelError:  # a record that cannot be opened hides no forecast
        return trust.read(context.store().job_dir(row.id))


def sentence(found: Forecast, row: JobRow) -> str:
    """``Memory: forecast 0.4–0.5 GiB, measured peak 0.5 GiB (as forecast).``"""
    shown = fit_meter.band(found.low, found.p95)
    if found.measured is None:
        if row.done:
            return _("Memory: forecast {band} GiB; nothing was measured.").format(band=shown)
        return _("Memory: forecast {band} GiB; its peak is measured until it ends.").format(band=shown)
    peak = words.gib(found.measured.peak)
    return _("Memory: forecast {band} GiB, measured peak {peak} ({met}).").format(
        band=shown, peak=peak, met=_met(found, found.measured)
    )


def _met(found: Forecast, measured: Measured) -> str:
    if not measured.counts:
        return _("it did not get as far as it was forecast for")
    off = found.off or 0.0
    if abs(off) < 0.005:
        return _("as forecast")
    share = f"{100 * abs(off):.0f}"
    text = _("{share} % more than forecast") if off > 0 else _("{share} % less than forecast")
    return text.format(share=share)


def _help(found: Forecast) -> str:
    lines = [f"{memory_terms.word(part.name)} {words.size(part.p50)}" for part in found.parts if part.p50]
    text = _("Forecast when it was submitted: {terms}.").format(terms=", ".join(lines))
    if found.measured is not None:
        text += "  \n" + _("Highest at {time}.").format(time=words.stamp(found.measured.t))
    return errors.plain(text)
