"""Figures of measurements: what they come to, the table, the curves, and the files to take along."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.bench import export, results
from backend.bench.matrix import Matrix
from backend.i18n import N_, _
from backend.memory.report_table import STYLE
from ui import errors
from ui.benchmark import chart as benchmark_chart

COLUMNS = {"main": N_("Main figures"), "all": N_("All columns of the notes")}
MORE_STYLE = (
    ".tdc td.w{max-width:none}.tdc td.w b{font-weight:600}@container (max-width:720px){.tdc td.w{display:block}}"
)


def draw(tables: Sequence[Matrix], *, key: str) -> None:
    """Draw all of it; ``key`` is unique on the page."""
    tables = [found for found in tables if found.rows]
    if not tables:
        return
    for line in (line for found in tables for line in export.sentences(found)):
        st.markdown(":material/emoji_events: " + errors.plain(line))
    chosen = st.segmented_control(
        _("Columns"),
        list(COLUMNS),
        default="main",
        required=True,
        format_func=lambda name: _(COLUMNS[name]),
        key=f"{key}_columns",
        label_visibility="collapsed",
    )
    names = export.ALL if chosen == "all" else export.MAIN
    st.html(f"<style>{STYLE}{MORE_STYLE}</style>{export.table(tables, names)}")
    st.caption("  \n".join(map(errors.plain, (export.facts(tables), *export.notes(tables)))))
    benchmark_chart.draw([curve for found in tables for curve in results.curves(found)], key=f"{key}_chart")
    _take_along(tables, key)


def _take_along(tables: Sequence[Matrix], key: str) -> None:
    made = (
        ("md", _("Markdown"), "text/markdown", ":material/markdown:", export.to_markdown),
        ("csv", _("CSV"), "text/csv", ":material/table:", export.to_csv),
        ("html", _("HTML"), "text/html", ":material/share:", export.to_html),
    )
    with st.container(horizontal=True, key=f"{key}_files"):
        for ending, label, kind, icon, write in made:
            st.download_button(
                label,
                lambda write=write: write(tables),  # type: ignore[misc]
                f"benchmark.{ending}",
                kind,
                key=f"{key}_{ending}",
                icon=icon,
                on_click="ignore",
            )
