"""*Compare* of the Evaluate page. Its user asks: is the new model better? One sentence for each run against the first, with an interval and a warning
where the sample is too small; then where it got better or worse, and the questions that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from backend.errors import PanelError
from backend.evaluate import comparing, comparing_words
from backend.evaluate.comparing import Comparison, Pair, Verdict
from backend.evaluate.records import Run, Score
from backend.i18n import _
from backend.workspace import default_root
from ui import empty, errors
from ui.evaluate import collect as evaluate_collect
from ui.evaluate import compare_choice as evaluate_compare_choice
from ui.evaluate import compare_views as evaluate_compare_views
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import files as evaluate_files
from ui.evaluate import history as evaluate_history
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import state as evaluate_state
from ui.evaluate.compare_lines import Side
from ui.evaluate.figures import Headline

LOOKS: dict[Verdict, str] = {
    "better": ":green[:material/trending_up:]",
    "worse": ":red[:material/trending_down:]",
    "same_within": ":gray[:material/drag_handle:]",
    "too_few": ":orange[:material/help:]",
    "no_interval": ":orange[:material/help:]",
    "refused": ":orange[:material/block:]",
}
"""How a verdict looks; what it says stands beside it in words."""


@dataclass(frozen=True)
class Found:
    """What a comparison has counted: kept while its runs stay as they are."""

    comparison: Comparison
    scores: tuple[Sequence[Score], ...]
    headlines: tuple[Headline, ...]


def draw() -> None:
    """Draw the view."""
    runs = evaluate_compare_choice.chosen()
    if len(runs) < evaluate_compare_choice.LEAST:
        _empty(runs)
        evaluate_history.draw(runs)
        return
    found = _found(runs)
    labels = evaluate_compare_choice.labels(runs)
    _sentences(found.comparison, labels)
    sides = _sides(found, labels)
    if len(sides) > 1:
        evaluate_compare_views.draw(sides)
        evaluate_files.comparison(found.comparison, [side.run for side in sides])
    evaluate_history.draw(runs)
    evaluate_collect.dialog()


def forget() -> None:
    """Count anew at the next drawing."""
    _kept.clear()


def _found(runs: Sequence[Run]) -> Found:
    ids = tuple(run.id for run in runs)
    if any(run.state == "running" for run in runs):
        return _counted(ids)
    return _kept(str(default_root()), ids, tuple((run.ended, run.name, run.model) for run in runs))


@st.cache_resource(show_spinner=False, max_entries=16)
def _kept(root: str, ids: tuple[int, ...], stamps: tuple[tuple[object, ...], ...]) -> Found:
    return _counted(ids)


def _counted(ids: Sequence[int]) -> Found:
    store = evaluate_kept.store()
    comparison = comparing.compare(store, list(ids))
    scores = tuple(evaluate_kept.with_averages(run, store.scores(run.id)) for run in comparison.runs)
    headlines = tuple(
        evaluate_figures.headline(own, store.tallies(run.id)) for run, own in zip(comparison.runs, scores, strict=True)
    )
    return Found(comparison, scores, headlines)


def _sides(found: Found, labels: Sequence[str]) -> list[Side]:
    """The runs whose scores may stand side by side: the first, and those that are not refused. Each keeps its letter and its colour."""
    first, *others = found.comparison.runs
    sides = [Side(first, labels[0], found.scores[0], found.headlines[0], place=0)]
    for place, (run, pair) in enumerate(zip(others, found.comparison.pairs, strict=True), 1):
        if pair.refused is None:
            sides.append(Side(run, labels[place], found.scores[place], found.headlines[place], pair, place))
    return sides


def _sentences(comparison: Comparison, labels: Sequence[str]) -> None:
    """The answer, one line a run; what else is to be known, each once."""
    with st.container(border=True, key="evaluate_verdicts", gap="small"):
        for pair, label in zip(comparison.pairs, labels[1:], strict=True):
            _verdict(pair, label if len(comparison.pairs) > 1 else "")
        told = [PanelError.from_dict(dict(each)) for pair in comparison.pairs for each in pair.notices]
        for problem in {str(each): each for each in told}.values():
            message, hint = problem.localized()
            st.caption(":material/info: " + errors.plain(" ".join(filter(None, (message, hint)))))


def _verdict(pair: Pair, label: str) -> None:
    sentence = errors.plain(comparing_words.sentence(pair))
    named = f"**{errors.plain(label)}**: " if label and pair.refused is not None else ""
    size = "#### " if not label and pair.refused is None else ""
    st.markdown(f"{size}{LOOKS[pair.verdict]} {named}{sentence}")
    warning = comparing_words.warning(pair)
    if warning:
        st.markdown(":orange[:material/warning:] " + errors.plain(warning))


def _empty(runs: Sequence[Run]) -> None:
    if runs:
        st.caption(_("Choose a second run: the first one is what the others are measured against."))
        return
    text = _(
        "Here two to eight runs stand side by side: one sentence, the difference with its interval, what got worse, and the questions that show it. "
        "It takes two runs of the same questions by the same evaluator."
    )
    with empty.state("compare_arrows", _("Is the new model better?"), text, key="evaluate_compare_empty"):
        st.button(
            _("Evaluate a model"),
            key="evaluate_compare_run",
            type="primary",
            icon=":material/fact_check:",
            on_click=evaluate_state.go,
            args=({"view": "run"},),
        )
