"""The table of runs, as a small component: rows are links, boxes are ticked to compare, and rows become cards where there is no width."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from backend.evaluate.records import Run
from backend.i18n import _
from ui import component, words
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import links as evaluate_links
from ui.evaluate import look as evaluate_look
from ui.evaluate.figures import Headline

_TABLE = component.beside(__file__, "tunedeck_evaluate_runs", "<table><thead><tr></tr></thead><tbody></tbody></table>")
Listed = tuple[Run, Headline]


def draw(
    rows: Sequence[Listed],
    picked: Collection[int],
    *,
    key: str,
    on_open: Callable[[int], None],
    on_pick: Callable[[int], None],
) -> None:
    """Draw ``rows``, those of ``picked`` ticked. on_open, on_pick: called with the number of a run, before the redraw."""

    def told(name: str, then: Callable[[int], None]) -> Callable[[], None]:
        def callback() -> None:
            chosen = st.session_state[key].get(name)
            if isinstance(chosen, int) and not isinstance(chosen, bool):  # the browser's word: a number to look up
                then(chosen)

        return callback

    _TABLE(
        key=key,
        data=content(rows, picked),
        on_open_change=told("open", on_open),
        on_pick_change=told("pick", on_pick),
    )


def content(rows: Sequence[Listed], picked: Collection[int], now: float | None = None) -> dict[str, Any]:
    """What is sent to the browser: headings and, for each run, words that are ready to be shown."""
    now = time.time() if now is None else now
    heads = ["", _("Run"), _("Score"), _("Questions and evaluator"), _("State"), _("Age")]
    return {
        "label": _("Evaluations"),
        "pick": _("Compare"),
        "heads": heads,
        "rows": [_row(run, found, picked, now) for run, found in rows],
    }


def _row(run: Run, found: Headline, picked: Collection[int], now: float) -> dict[str, Any]:
    look = evaluate_look.state(run)
    name = run.name or run.model or _("unnamed")
    source = _("imported") if run.source == "import" else ""
    return {
        "id": run.id,
        "href": f"?{urlencode(evaluate_links.address(run.id))}",
        "title": name,
        "sub": " · ".join(filter(None, (f"#{run.id}", "" if run.model in name else run.model, source))),
        "score": found.said(),
        "interval": found.interval or (evaluate_figures.rests_on(found) if run.state != "running" else ""),
        "low": found.low,
        "high": found.high,
        "set": evaluate_look.set_title(run) or _("unknown set"),
        "evaluator": " ".join(filter(None, (evaluate_look.evaluator(run.evaluator), run.version))),
        "word": look.word,
        "icon": look.icon.removeprefix(":material/").removesuffix(":"),
        "colour": look.colour,
        "age": words.ago(run.began, now),
        "stamp": words.stamp(run.began),
        "picked": run.id in picked,
        "full": len(picked) >= evaluate_links.MOST_RUNS and run.id not in picked,
    }
