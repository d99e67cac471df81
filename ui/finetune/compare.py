"""Compare, a view of the Fine-tune page. Its user wants to know which settings learned best: runs over one another, what differs
between them and nothing else, and of a sweep the list with the best at its head."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

import streamlit as st

from backend.errors import PanelError
from backend.finetune import comparing, sweeps
from backend.finetune.comparing import LEAST, METRICS, MOST, OUTCOMES, Contender, Difference, said
from backend.i18n import N_, _, ngettext
from backend.memory.report_table import STYLE
from backend.queue.rows import JobRow
from ui import context, empty, errors, words
from ui.finetune import compare_chart as finetune_compare_chart
from ui.finetune import compare_words
from ui.finetune import links as finetune_links
from ui.finetune import look as finetune_look

RUNS = "runs"
"""The address's parameter with the numbers of the chosen runs, commas between."""
OFFERED = 200
ALONG = {"step": N_("by step"), "minutes": N_("by time")}
_CHOSEN, _LONGEST = "finetune_compare_runs", 15
MARKS = """
.tdc i.mark{width:1.6em}
.tdc .best{font-weight:700}
.st-key-finetune_parallel .axis .domain{stroke:#8A8A8A!important}
.st-key-finetune_parallel .axis text{text-shadow:none!important}
@media (max-width:40rem){.st-key-finetune_lines{display:none}}
"""
"""Lines through axes need room: on a phone the cards say the same."""


def draw() -> None:
    """Draw the view."""
    store = context.store()
    rows = store.list(verb="finetune", limit=OFFERED)
    if len(rows) < LEAST and not _asked():
        _empty()
        return
    grids = sweeps.sweeps(store, rows)
    ids = _choose(rows, grids)
    if len(ids) < LEAST:
        _propose(rows, grids)
        return
    try:
        chosen = comparing.rows(store, ids)
    except PanelError as problem:
        left = [i for i in ids if i != problem.params.get("job")]
        ways = [errors.Action(_("Leave it out"), _set, (left,), ":material/remove:")]
        errors.show(problem, key="finetune_compare", actions=ways if len(left) < len(ids) else [])
        return
    moving = any(not row.done for row in chosen)
    body = partial(_body, ids, moving)
    st.fragment(errors.guarded(body, "finetune_compare"), run_every=3 if moving else None)()


def _body(ids: list[int], was_moving: bool) -> None:
    chosen = comparing.rows(context.store(), ids)
    if was_moving and all(row.done for row in chosen):
        st.rerun()  # nothing moves any more: the page stops to redraw itself
    # One colour a run, wherever it stands: it goes by the order of the choice, which does not change as runs learn.
    found = [comparing.contender(finetune_look.run(row)) for row in chosen]
    labels, differing = comparing.labels(found), comparing.differences(found)
    _sentence(found, labels)
    _curves(found, labels)
    st.markdown("##### " + _("What differs, and what came of it"))
    if not differing:
        st.caption(_("All settings are the same: what differs is chance, or what ran beside them."))
    st.html(f"<style>{STYLE}{MARKS}</style>{table(found, differing)}")
    if len(found) > LEAST:
        with st.container(key="finetune_lines"):
            st.markdown("##### " + _("Each run as a line through its settings"))
            if finetune_compare_chart.parallel(found, differing, key="finetune_parallel"):
                st.caption(
                    _("Drag along an axis to keep only the lines that pass there; drag a name to move its axis.")
                )
            else:
                st.caption(_("This is drawn once three runs or more have a result and differ in something."))


def table(found: Sequence[Contender], differing: Sequence[Difference]) -> str:
    """The runs as HTML, the best first; all text in it is escaped. On a narrow screen rows become cards."""
    places = {one.id: place for place, one in enumerate(found)}
    outcomes = [name for name in OUTCOMES if any(name in one.outcomes for one in found)]
    heads = [(_("Run"), "")] + [(each.title, "") for each in differing]
    heads += [(compare_words.outcome(name), compare_words.about(name)) for name in outcomes]
    head = "".join(
        f'<th scope="col"{f" title={chr(34)}{escape(about)}{chr(34)}" if about else ""}>{escape(name)}</th>'
        for name, about in heads
    )
    best = {name: comparing.best(found, name) for name in outcomes}
    rows = ""
    for one in comparing.ranked(found):
        place = places[one.id]
        line = "dashed" if finetune_compare_chart.dashed(place) else "solid"
        mark = f'<i class="mark" style="border-top:.25em {line} {finetune_compare_chart.colour(place)}"></i>'
        state = finetune_look.look(one.row).word
        cells = f'<th scope="row">{mark}#{one.id}<small>{escape(state)}</small></th>'
        for each in differing:
            cells += f'<td data-label="{escape(each.title)}">{escape(said(each.values[place]))}</td>'
        for name in outcomes:
            number = one.outcomes.get(name)
            text = "–" if number is None else compare_words.value(name, number)
            if number is not None and number == best[name]:
                text = f'<span class="best">{escape(text)} ★</span>'
            else:
                text = f"<span>{escape(text)}</span>"
            cells += f'<td data-label="{escape(compare_words.outcome(name))}">{text}</td>'
        rows += f"<tr>{cells}</tr>"
    return f'<div class="tdw"><table class="tdc"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _sentence(found: Sequence[Contender], labels: Sequence[str]) -> None:
    """Which is ahead, in words, and the way to it."""
    judged = [one for one in found if "eval_loss" in one.outcomes]
    open_ones = sum(not one.row.done for one in found)
    if len(judged) < LEAST:
        if open_ones:
            st.caption(
                ngettext("{n} run has not ended yet.", "{n} runs have not ended yet.", open_ones).format(n=open_ones)
            )
        return
    first, second = comparing.ranked(judged)[:2]
    name = labels[[one.id for one in found].index(first.id)]
    ahead = second.outcomes["eval_loss"] - first.outcomes["eval_loss"]
    with st.container(horizontal=True, vertical_alignment="center", key="finetune_compare_best"):
        text = _("**{run}** has the lowest validation loss, {loss}; the next one is {ahead} above it.")
        st.markdown(
            ":material/trophy: "
            + text.format(run=errors.plain(name), loss=f"{first.outcomes['eval_loss']:.3f}", ahead=f"{ahead:.3f}"),
            width="content",
        )
        st.page_link(
            finetune_links.PAGE,
            label=_("Open run"),
            icon=":material/chevron_right:",
            query_params=finetune_links.run(first.id),
        )
    if open_ones:
        st.caption(
            ngettext("{n} run has not ended yet.", "{n} runs have not ended yet.", open_ones).format(n=open_ones)
        )


def _curves(found: Sequence[Contender], labels: Sequence[str]) -> None:
    metrics = [name for name in METRICS if any(len(_curve(one, name)) > 1 for one in found)]
    if not metrics:
        st.caption(_("The curves begin with the first step."))
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="finetune_compare_axes"):
        metric = st.segmented_control(
            _("Curve"),
            metrics,
            key="finetune_compare_metric",
            default=metrics[0],
            required=True,
            format_func=words.metric_word,
            label_visibility="collapsed",
        )
        along = st.segmented_control(
            _("Along"),
            list(ALONG),
            key="finetune_compare_along",
            default="step",
            required=True,
            format_func=lambda name: _(ALONG[name]),
            label_visibility="collapsed",
        )
    finetune_compare_chart.curves(found, labels, metric or metrics[0], along or "step", key="finetune_compare_curves")


def _curve(one: Contender, metric: str) -> Sequence[object]:
    curve = one.run.curves.get(metric)
    return curve.points if curve else ()


def _choose(rows: Sequence[JobRow], grids: dict[int, list[int]]) -> list[int]:
    """The runs that the person chose; the address has them, so that a reload and another tab show the same."""
    asked = _asked()
    if len(asked) > MOST:
        st.caption(":material/warning: " + _("The first {most} of {n} runs are shown.").format(n=len(asked), most=MOST))
        asked = asked[:MOST]
    named = {row.id: row for row in rows}
    st.session_state[_CHOSEN] = asked
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.multiselect(
            _("Runs"),
            list(dict.fromkeys([*(row.id for row in rows), *asked])),
            key=_CHOSEN,
            format_func=lambda job: f"#{job} {_brief(named[job].title)}" if job in named else f"#{job}",
            max_selections=MOST,
            placeholder=_("Choose runs, or type to search"),
            on_change=_changed,
        )
        if asked and grids:
            _sweeps(grids)
    return asked


def _brief(title: str) -> str:
    """Of a run of a sweep only what it has of its own: the rest is the same in all, and leaves no room."""
    return title.partition(" · ")[2] or title


def _sweeps(grids: dict[int, list[int]]) -> None:
    """The sweeps, each a press away."""
    with st.popover(_("Sweeps"), icon=":material/grid_on:"):
        for number, ids in list(grids.items())[:10]:
            st.button(
                _("Sweep #{sweep}: {n} runs").format(sweep=number, n=len(ids)),
                key=f"finetune_compare_sweep_{number}",
                type="tertiary",
                on_click=_set,
                args=(ids,),
            )


def _propose(rows: Sequence[JobRow], grids: dict[int, list[int]]) -> None:
    st.caption(_("Choose {least} to {most} runs to lay their curves over one another.").format(least=LEAST, most=MOST))
    with st.container(horizontal=True):
        for number, ids in list(grids.items())[:3]:
            st.button(
                _("The {n} runs of sweep #{sweep}").format(sweep=number, n=len(ids)),
                key=f"finetune_compare_propose_{number}",
                icon=":material/grid_on:",
                on_click=_set,
                args=(ids,),
            )
        newest = [row.id for row in rows if row.started is not None][:4]
        if len(newest) >= LEAST:
            st.button(
                _("The newest {n} runs").format(n=len(newest)),
                key="finetune_compare_newest",
                icon=":material/history:",
                on_click=_set,
                args=(sorted(newest),),
            )


def _empty() -> None:
    text = _(
        "Which learning rate, which rank, which dataset learned best: curves over one another, what differs, and "
        "what came of it. It takes two runs; a sweep makes several at once."
    )
    with empty.state("stacked_line_chart", _("Here you lay runs over one another"), text, key="finetune_compare_empty"):
        st.button(
            _("Set up a run"),
            key="finetune_compare_new",
            type="primary",
            icon=":material/add:",
            on_click=lambda: st.query_params.from_dict({"view": "new"}),
        )


def _asked() -> list[int]:
    words_ = st.query_params.get(RUNS, "").split(",")
    return list(
        dict.fromkeys(int(word) for word in words_ if word.isascii() and word.isdigit() and len(word) <= _LONGEST)
    )


def _changed() -> None:
    _set(st.session_state[_CHOSEN])


def _set(ids: Sequence[int]) -> None:
    st.query_params.from_dict({"view": "compare", **({RUNS: ",".join(map(str, ids))} if ids else {})})
