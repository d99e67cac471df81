"""The pictures of a comparison, one at a time: table, differences with intervals, heat map, radar; and the bars above them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.evaluate.pairing import Pairs
from backend.i18n import N_, _
from ui import errors
from ui.evaluate import browser as evaluate_browser
from ui.evaluate import compare_answers as evaluate_compare_answers
from ui.evaluate import compare_chart as evaluate_compare_chart
from ui.evaluate import compare_lines as evaluate_compare_lines
from ui.evaluate import compare_maps as evaluate_compare_maps
from ui.evaluate import compare_table as evaluate_compare_table
from ui.evaluate import compare_worse as evaluate_compare_worse
from ui.evaluate import kept as evaluate_kept
from ui.evaluate.compare_lines import Side

VIEWS = {
    "table": N_("Table"),
    "difference": N_("Differences"),
    "heat": N_("Heat map"),
    "radar": N_("Radar"),
    "questions": N_("Questions"),
}
WITH = "with"
"""The address's parameter with the run that is held against the first, where there are several."""
_SHOWN_KEY, _WITH_KEY = "evaluate_compare_view", "evaluate_compare_with"


def draw(sides: Sequence[Side]) -> None:
    """Draw them; there are at least two runs whose scores may stand side by side."""
    evaluate_compare_chart.bars(evaluate_compare_lines.bars(sides), key="evaluate_compare_bars")
    axes, values = evaluate_compare_lines.axes(sides)
    paired = [side for side in sides[1:] if side.pair is not None and side.pair.all.n]
    offered = [
        name for name in VIEWS if (name not in ("difference", "questions") or paired) and (name != "radar" or axes)
    ]
    view = _view(offered)
    if view == "table":
        _table(sides)
    elif view == "radar":
        runs = [(side.place, side.label) for side in sides]
        evaluate_compare_maps.radar(axes, runs, values, key="evaluate_compare_radar")
    elif view == "heat":
        subjects, cells = evaluate_compare_lines.cells(sides)
        names = [side.label for side in sides]
        evaluate_compare_maps.heat(subjects, names, cells, key="evaluate_compare_heat")
    else:
        side = _other(paired)
        if view == "difference":
            _differences(sides[0], side)
        else:
            counts = {row.subject: row.counts for row in (side.pair.subjects if side.pair else ()) if row.counts}
            pairs = Pairs(sides[0].run.id, side.run.id, counts)
            evaluate_compare_answers.draw(pairs, (sides[0].letter, side.letter), (sides[0].label, side.label))


def _view(offered: Sequence[str]) -> str:
    asked = evaluate_kept.asked(evaluate_kept.SHOW)
    st.session_state[_SHOWN_KEY] = asked if asked in offered else offered[0]
    chosen = st.segmented_control(
        _("Shown"),
        offered,
        key=_SHOWN_KEY,
        required=True,
        format_func=lambda name: _(VIEWS[name]),
        label_visibility="collapsed",
        on_change=_changed,
    )
    return chosen or offered[0]


def _changed() -> None:
    evaluate_kept.set_asked(evaluate_kept.SHOW, str(st.session_state.get(_SHOWN_KEY) or ""))


def _other(paired: Sequence[Side]) -> Side:
    """The run that is held against the first: the only one, or the one that a person chose."""
    if len(paired) == 1:
        return paired[0]
    by_run = {side.run.id: side for side in paired}
    asked = evaluate_kept.number(evaluate_kept.asked(WITH))
    st.session_state[_WITH_KEY] = asked if asked in by_run else paired[0].run.id
    chosen = st.segmented_control(
        _("Held against the first"),
        list(by_run),
        key=_WITH_KEY,
        required=True,
        format_func=lambda run: errors.plain(by_run[run].label),
        label_visibility="collapsed",
        on_change=_with_changed,
    )
    return by_run.get(chosen or 0, paired[0])


def _with_changed() -> None:
    evaluate_kept.set_asked(WITH, str(st.session_state.get(_WITH_KEY) or ""))
    evaluate_kept.set_asked(evaluate_browser.AT, "")


def _table(sides: Sequence[Side]) -> None:
    runs = [(side.place, side.label) for side in sides]
    st.html(evaluate_compare_table.html(evaluate_compare_lines.lines(sides), runs))
    text = _(
        "Below each score its difference from the first run, in points, over the questions that both answered. {up} and {down}: beyond what chance explains."
    )
    st.caption(text.format(up=evaluate_compare_table.UP, down=evaluate_compare_table.DOWN))


def _differences(first: Side, side: Side) -> None:
    found = evaluate_compare_lines.by_subject(side)
    evaluate_compare_chart.differences(found, key="evaluate_compare_differences", against=first.label, of=side.label)
    st.caption(
        _(
            "{other} against {first}: right of zero it is better. Coloured where it is beyond chance, grey where it may be chance."
        ).format(other=errors.plain(side.label), first=errors.plain(first.label))
    )
    evaluate_compare_worse.draw(found)
