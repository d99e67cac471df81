"""*Results* of the Evaluate page: every run, the newest first; one opened; and past runs of other programs brought in."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.evaluate.records import Run
from backend.i18n import _, ngettext
from ui import empty, errors, pace
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import importing as evaluate_import
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import links as evaluate_links
from ui.evaluate import look as evaluate_look
from ui.evaluate import one as evaluate_one
from ui.evaluate import runs as evaluate_runs
from ui.evaluate import state as evaluate_state
from ui.evaluate.figures import Headline

SHOWN, MOST = 20, 500
"""Runs that are listed at first, and the most that are looked through."""
_FILTERS = ("model", "set", "evaluator")
_PAGES = "evaluate_listed"


def draw() -> None:
    """Draw the view."""
    if evaluate_kept.run_asked() or evaluate_kept.job_asked():
        evaluate_one.draw()
        return
    runs = evaluate_kept.store().runs(limit=MOST)
    if not runs:
        _empty()
        evaluate_import.draw()
        return
    chosen = _filtered(runs)
    moving = any(run.state == "running" for run in chosen[:SHOWN])
    every = pace.MOVING_S if moving else None
    ids = [run.id for run in chosen]
    if not chosen:
        st.caption(_("No run is like that. Change the choice above."))
    elif moving:
        st.fragment(errors.guarded(lambda: _list(ids), "evaluate_list"), run_every=every)()
    else:
        _list(ids)
    evaluate_import.draw()


def _empty() -> None:
    text = _(
        "Each with its interval, a cause where one is missing, and the questions behind it. Runs of OpenCompass that you already have can be "
        "brought in below."
    )
    with empty.state("fact_check", _("No scores yet"), text, key="evaluate_empty"):
        st.button(
            _("Evaluate a model"),
            key="evaluate_empty_run",
            type="primary",
            icon=":material/fact_check:",
            on_click=evaluate_state.go,
            args=({"view": "run"},),
        )


def _filtered(runs: Sequence[Run]) -> list[Run]:
    """The runs that the choices above the list leave; choices with one option are not offered."""
    values = {name: list(dict.fromkeys(_value(run, name) for run in runs)) for name in _FILTERS}
    words = {"model": _("All models"), "set": _("All sets"), "evaluator": _("All evaluators")}
    labels = {"model": _("Model"), "set": _("Questions"), "evaluator": _("Evaluator")}
    chosen: dict[str, str] = {}
    offered = [name for name in _FILTERS if len(values[name]) > 1]
    if not offered:
        return list(runs)
    asked = st.query_params.pop("model", "") if "model" in st.query_params else ""
    if asked in values["model"]:  # a link from a model: from here on the choice is the person's
        st.session_state["evaluate_filter_model"] = asked
    with st.container(horizontal=True, key="evaluate_filters"):
        for name in offered:
            chosen[name] = st.selectbox(
                labels[name],
                ["", *values[name]],
                key=f"evaluate_filter_{name}",
                format_func=lambda value, name=name: _shown(name, value) or words[name],
                filter_mode="fuzzy" if len(values[name]) > 10 else None,
                label_visibility="collapsed",
                width=240,
                persist_state="session",
            )
    return [run for run in runs if all(not value or _value(run, name) == value for name, value in chosen.items())]


def _value(run: Run, name: str) -> str:
    if name == "set":
        return evaluate_look.set_title(run)
    return run.model if name == "model" else run.evaluator


def _shown(name: str, value: str) -> str:
    return evaluate_look.evaluator(value) if name == "evaluator" and value else value


def _list(ids: Sequence[int]) -> None:
    """The table of the runs, the way to compare those that are ticked, and more of them."""
    if evaluate_kept.run_asked():
        st.rerun()  # one was opened
    pages = int(st.session_state.get(_PAGES) or 1)
    store = evaluate_kept.store()
    rows = [(run, _headline(run)) for run in map(store.run, ids[: SHOWN * pages])]
    picked = evaluate_kept.runs_asked()
    evaluate_runs.draw(rows, picked, key="evaluate_runs", on_open=evaluate_kept.open_run, on_pick=_pick)
    with st.container(horizontal=True, vertical_alignment="center", key="evaluate_list_ways"):
        st.button(
            ngettext("Compare {n} run", "Compare {n} runs", len(picked)).format(n=len(picked))
            if picked
            else _("Compare"),
            key="evaluate_list_compare",
            type="primary" if len(picked) > 1 else "secondary",
            icon=":material/compare_arrows:",
            disabled=len(picked) < 2,
            on_click=_compare,
            args=(picked,),
        )
        if len(picked) < 2:
            text = _("Tick two to {most} runs of the list.").format(most=evaluate_links.MOST_RUNS)
            st.caption(text, width="content")
        if len(ids) > SHOWN * pages:
            st.button(_("Show more"), key="evaluate_more_runs", icon=":material/expand_more:", on_click=_more)
            st.caption(_("{n} of {total} runs").format(n=SHOWN * pages, total=len(ids)), width="content")
    evaluate_state.redraw_if_pressed()


def _headline(run: Run) -> Headline:
    """Of its scores alone, which is quick; while it runs, of what was answered so far."""
    store = evaluate_kept.store()
    tallies = store.tallies(run.id) if run.state == "running" else ()
    return evaluate_figures.headline(store.scores(run.id), tallies)


def _pick(run: int) -> None:
    """Callback: tick that run, or take its tick away."""
    picked = evaluate_kept.runs_asked()
    picked = [each for each in picked if each != run] if run in picked else [*picked, run]
    evaluate_kept.set_asked(evaluate_kept.RUNS, ",".join(map(str, picked[: evaluate_links.MOST_RUNS])))


def _compare(runs: Sequence[int]) -> None:
    """Callback: the ticked ones side by side, the oldest first: it is what the others are held against."""
    evaluate_state.go(evaluate_links.side_by_side(sorted(runs)))


def _more() -> None:
    st.session_state[_PAGES] = int(st.session_state.get(_PAGES) or 1) + 1
