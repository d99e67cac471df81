"""Which runs are laid side by side: the address has them; without any, the newest base and what was tuned from it, on the same questions."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import streamlit as st

from backend.compare import pairs
from backend.errors import NotFoundError
from backend.evaluate.questions import LETTERS
from backend.evaluate.records import Run
from backend.i18n import _
from ui import context, words
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import links as evaluate_links
from ui.evaluate import look as evaluate_look

LEAST, MOST, OFFERED = 2, evaluate_links.MOST_RUNS, 300
NEWEST = 12
"""Models of which the base is looked up."""
_CHOSEN = "evaluate_compared"


def chosen() -> list[Run]:
    """Draw the choice; the runs that are chosen, the first one being what the others are held against."""
    store = evaluate_kept.store()
    offered = {run.id: run for run in store.runs(limit=OFFERED)}
    asked = evaluate_kept.runs_asked()
    for run in asked:
        if run not in offered:
            with contextlib.suppress(NotFoundError):  # removed in another tab: the others are shown
                offered[run] = store.run(run)
    ids = [run for run in asked if run in offered][:MOST] or [run.id for run in default(list(offered.values()))]
    st.session_state[_CHOSEN] = ids
    st.multiselect(
        _("Runs"),
        list(offered),
        key=_CHOSEN,
        format_func=lambda run: _option(offered[run]),
        max_selections=MOST,
        placeholder=_("Choose two to {most} runs, or type to search").format(most=MOST),
        help=_("The first one is what the others are measured against."),
        on_change=_changed,
    )
    return [offered[run] for run in ids]


def default(runs: Sequence[Run]) -> list[Run]:
    """Of the newest first: a tuned model and its base on the same questions; else two models; else the newest two of one kind."""
    ended = [run for run in runs if run.state != "running"]
    bases: dict[str, str] = {}
    for model in list(dict.fromkeys(run.model for run in ended))[:NEWEST]:
        pair = pairs.base_and_tuned(context.workspace(), model)
        if pair is not None:
            bases[model] = pair[0]
    for run in ended:
        for other in evaluate_kept.comparable(run, ended):
            if other.model == bases.get(run.model):
                return [other, run]
    for run in ended:
        others = evaluate_kept.comparable(run, ended)
        another = next((each for each in others if each.model != run.model), None)
        if another is not None:
            return [another, run]
    for run in ended:
        others = evaluate_kept.comparable(run, ended)
        if others:
            return [others[0], run]
    return []


def labels(runs: Sequence[Run]) -> list[str]:
    """``A starter``: a letter and the model, or the run's own name where a model stands there twice."""
    models = [run.model for run in runs]
    return [
        f"{LETTERS[place]} {run.model if models.count(run.model) == 1 else evaluate_look.title(run)}"
        for place, run in enumerate(runs)
    ]


def _option(run: Run) -> str:
    parts = (
        f"#{run.id} {evaluate_look.title(run)}",
        evaluate_look.evaluator(run.evaluator),
        words.ago(run.began),
    )
    return " · ".join(parts)


def _changed() -> None:
    st.query_params.from_dict(evaluate_links.side_by_side(st.session_state.get(_CHOSEN) or []))
