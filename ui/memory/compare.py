"""Compare, a view of the Memory page. Its user wants to see what a setting costs: two to eight runs over one another, aligned
at their start, their figures in a table, and all of it saved or taken along."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import streamlit as st

from backend.errors import PanelError
from backend.i18n import N_, _
from backend.memory import comparisons
from backend.memory.compare import LEAST, MOST, Comparison, compare
from backend.memory.report_table import STYLE, table
from backend.memory.runs import Run, by_group, described, runs
from backend.workspace import ROOT
from ui import context, empty, errors, words
from ui.memory import compare_chart as memory_compare_chart
from ui.memory import compare_saved as saved

DEPLOY_PAGE = ROOT / "pages" / "deploy.py"
RUNS = "runs"
"""The address's parameter with the numbers of the chosen runs, commas between."""
GROUPS = {"all": N_("All"), "serving": N_("Servers"), "training": N_("Training"), "other": N_("Other jobs")}
PLACES = {"gpu": N_("GPU memory"), "host": N_("Main memory")}
_CHOSEN = "memory_compare_runs"
_LONGEST_NUMBER = 15


def draw() -> None:
    """Draw the view."""
    saved.notices()
    name = st.query_params.get(saved.OPEN, "")
    if name:
        _saved(name)
    else:
        _chosen()
    saved.listing(name)


def _saved(name: str) -> None:
    """One that was saved, as it was saved."""
    st.button(
        _("Choose other runs"),
        key="memory_compare_back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=saved.close,
    )
    try:
        comparison = comparisons.load(context.workspace(), name)
    except PanelError as error:
        errors.show(error, key="memory_compare_saved")
        return
    st.subheader(errors.plain(name), anchor=False)
    st.caption(_("As it was measured on {time}.").format(time=words.stamp(comparison.taken)))
    _show(comparison)
    with st.container(horizontal=True, vertical_alignment="center"):
        saved.share(comparison)
        saved.actions(name, "memory_saved_shown")


def _chosen() -> None:
    found = runs(context.store(), context.memory())
    if not found and not _asked():
        _empty()
        return
    st.caption(
        _("Lay {least} to {most} runs over one another, to see what a setting costs.").format(least=LEAST, most=MOST)
    )
    ids = _choose(found)
    if len(ids) < LEAST:
        _propose(found, ids)
        return
    try:
        comparison = compare(context.store(), context.memory(), ids)
    except PanelError as error:
        job = error.params.get("job")
        left = [i for i in ids if i != job]
        ways = [errors.Action(_("Leave it out"), _set, (left,), ":material/remove:")] if job in ids else []
        errors.show(error, key="memory_compare_runs", actions=ways)
        return
    _show(comparison)
    with st.container(horizontal=True, vertical_alignment="bottom", key="memory_compare_keep"):
        saved.keep(comparison)
        saved.share(comparison)
        if comparison.live:
            st.button(
                _("Look again"),
                key="memory_compare_again",
                icon=":material/refresh:",
                help=_("A run goes on; these are its figures of {time}.").format(time=words.stamp(comparison.taken)),
            )


def _empty() -> None:
    text = _(
        "What a model takes in 16 and in 4 bit, with a large and a small KV cache, at its start and at its peak. "
        "Nothing was recorded yet: start a server or another job, and its memory is recorded each second from then on."
    )
    with empty.state("stacked_line_chart", _("Here you lay runs over one another."), text, key="memory_compare_empty"):
        if st.button(_("Deploy a model"), key="memory_compare_deploy", type="primary", icon=":material/dns:"):
            st.switch_page(DEPLOY_PAGE)


def _choose(found: Sequence[Run]) -> list[int]:
    """The numbers of the runs that the person chose; the address has them, so that a reload shows the same."""
    asked = _asked()
    if len(asked) > MOST:
        said = _("The address names {n} runs; the first {most} are shown.").format(n=len(asked), most=MOST)
        st.caption(":material/warning: " + said)
        asked = asked[:MOST]
    groups = by_group(found)
    with st.container(horizontal=True, vertical_alignment="bottom", key="memory_compare_choose"):
        group = st.segmented_control(
            _("Show"),
            list(GROUPS),
            key="memory_compare_group",
            default="all",
            required=True,
            format_func=lambda g: f"{_(GROUPS[g])} {len(found) if g == 'all' else len(groups[g]):,}",
            label_visibility="collapsed",
            persist_state="session",
        )
    # Servers first, then trainings; the newest of each first.
    offered = [run for each in groups.values() for run in each] if group in (None, "all") else groups[group]
    named = {run.id: run for run in [*map(_unrecorded, asked), *found] if run is not None}
    options = list(dict.fromkeys([*(run.id for run in offered), *asked]))
    st.session_state[_CHOSEN] = asked
    st.multiselect(
        _("Runs"),
        options,
        key=_CHOSEN,
        format_func=lambda job: _name(named.get(job), job),
        max_selections=MOST,
        placeholder=_("Choose runs, or type to search"),
        on_change=_changed,
        help=_("The first one is what the others are measured against."),
    )
    return asked


def _name(run: Run | None, job: int) -> str:
    if run is None:
        return f"#{job}"
    verb = "" if run.group == "serving" else words.verb_word(run.verb)
    state = (
        words.STATES[run.state].word if run.live and run.state in words.STATES else words.ago(run.ended or run.created)
    )
    return " · ".join(filter(None, (f"#{run.id} {run.title}", run.label(), verb, state)))


def _unrecorded(job: int) -> Run | None:
    """A job that the address names, recorded or not; None where there is none."""
    with contextlib.suppress(PanelError):
        return described(context.store(), context.store().get(job))
    return None


def _propose(found: Sequence[Run], ids: Sequence[int]) -> None:
    """One step further: the two newest that belong together."""
    pair = next((each[:2] for each in by_group(found).values() if len(each) >= 2), list(found[:2]))
    if ids or len(pair) < 2:
        st.caption(_("Choose at least {least} runs.").format(least=LEAST))
        if len(found) < LEAST:
            st.page_link(DEPLOY_PAGE, label=_("Deploy a model"), icon=":material/dns:")
        return
    st.button(
        _("Compare the newest two"),
        key="memory_compare_newest",
        type="primary",
        icon=":material/compare_arrows:",
        on_click=_set,
        args=([run.id for run in reversed(pair)],),
    )
    for run in reversed(pair):
        st.caption(errors.plain(_name(run, run.id)))


def _show(comparison: Comparison) -> None:
    """Chart and table."""
    places = [place for place in PLACES if any(getattr(row, place) for row in comparison.rows)]
    place: str | None = next(iter(places), None)
    if len(places) > 1:
        place = st.segmented_control(
            _("Where"),
            places,
            key="memory_compare_place",
            default=places[0],
            required=True,
            format_func=lambda p: _(PLACES[p]),
            label_visibility="collapsed",
        )
    if place:
        if len(places) == 1:
            st.markdown(f"**{_(PLACES[place])}**")
        memory_compare_chart.draw(comparison, place, key=f"memory_compare_chart_{place}")
    else:
        st.info(_("No memory was recorded of these runs, so there is no chart."), icon=":material/show_chart:")
    st.html(f"<style>{STYLE}</style>{table(comparison)}")


def _asked() -> list[int]:
    """The runs in the address; what is no number is left out."""
    parts = st.query_params.get(RUNS, "").split(",")
    numbers = [int(p) for p in parts if p.isascii() and p.isdigit() and len(p) <= _LONGEST_NUMBER]
    return list(dict.fromkeys(numbers))


def _changed() -> None:
    _set(st.session_state.get(_CHOSEN) or [])


def _set(ids: Sequence[int]) -> None:
    st.query_params[RUNS] = ",".join(map(str, ids))
