"""Scores to take along: CSV as OpenCompass writes it, Markdown for notes, one page of HTML; each made when somebody presses its button."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

import streamlit as st

from backend.evaluate import comparing_words, export
from backend.evaluate.comparing import Comparison
from backend.evaluate.export import Table
from backend.evaluate.records import Run
from backend.i18n import _
from ui.evaluate import kept as evaluate_kept

KINDS: dict[str, tuple[str, str, str]] = {
    "csv": ("CSV", "text/csv", ":material/table:"),
    "md": ("Markdown", "text/markdown", ":material/markdown:"),
    "html": ("HTML", "text/html", ":material/share:"),
}
"""Ending -> what it is called, its type, its icon."""


def scores(run: Run) -> None:
    """The buttons below the table of one run."""
    makers: dict[str, Callable[[], str]] = {
        "csv": lambda: export.to_csv(_table([run])),
        "md": lambda: export.to_markdown(_table([run])),
        "html": lambda: export.to_html(_table([run])),
    }
    _buttons(makers, f"evaluation-{run.id}", "evaluate_files")


def comparison(found: Comparison, runs: Sequence[Run]) -> None:
    """The buttons below a comparison: the table of the runs that may stand side by side, and the sentences above it."""
    makers: dict[str, Callable[[], str]] = {
        "csv": lambda: export.to_csv(_table(runs)),
        "md": lambda: _with_sentences(export.to_markdown(_table(runs)), found),
        "html": lambda: _in_page(export.to_html(_table(runs)), found),
    }
    _buttons(makers, "comparison", "evaluate_compare_files")


def sentences(found: Comparison) -> list[str]:
    """What the comparison comes to, with its warnings."""
    told = [text for pair in found.pairs for text in (comparing_words.sentence(pair), comparing_words.warning(pair))]
    return list(filter(None, told))


def _table(runs: Sequence[Run]) -> Table:
    names: dict[str, str] = {}
    for run in runs:
        names |= evaluate_kept.group_names(run)
    return export.table(evaluate_kept.store(), [run.id for run in runs], names)


def _with_sentences(text: str, found: Comparison) -> str:
    """Between the heading and the table."""
    head, _line, rest = text.partition("\n")
    return "\n".join([head, "", *(f"- {each}" for each in sentences(found)), rest])


def _in_page(page: str, found: Comparison) -> str:
    told = "".join(f"<p><b>{escape(each)}</b></p>" for each in sentences(found))
    return page.replace("</h1>", f"</h1>{told}", 1)


def _buttons(makers: Mapping[str, Callable[[], str]], stem: str, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=key):
        st.caption(_("Take along:"), width="content")
        for ending, make in makers.items():
            label, kind, icon = KINDS[ending]
            st.download_button(
                label,
                make,
                f"{stem}.{ending}",
                kind,
                key=f"{key}_{ending}",
                icon=icon,
                type="tertiary",
                on_click="ignore",
            )
