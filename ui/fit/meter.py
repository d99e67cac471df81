"""The fit meter: what a plan takes, what is free now, whether it fits and why not, and what would.

It stands wherever a plan is made. A page calls :func:`draw` with the estimate and the budget; with ``change`` it lets the
ways out be taken by a press. :func:`line` is the same in one line, for cards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from backend.i18n import N_, _, ngettext
from backend.memory.budget import Budget
from backend.memory.planned import at_once
from ui import errors, words
from ui.fit import bar as fit_bar
from ui.memory import terms as memory_terms

if TYPE_CHECKING:
    from backend.memory.forecast import Estimate, ModelFacts, Plan

Verdict = Literal["fits", "tight", "does_not_fit", "unknown"]
LOOKS = {
    "fits": words.Look(N_("fits"), ":material/check_circle:", "green"),
    "tight": words.Look(N_("tight"), ":material/warning:", "orange"),
    "does_not_fit": words.Look(N_("does not fit"), ":material/block:", "red"),
    "unknown": words.Look(N_("nobody can tell"), ":material/help:", "gray"),
}
GIB = 2**30
MOST_WAYS = 4


@dataclass(frozen=True)
class Way:
    """A change after which the plan fits. label: what is done, for people. fields: of the plan or of the page's form, and what
    they become. p95: bytes that it takes then, at most."""

    label: str
    fields: dict[str, Any]
    p95: int | None = None


@dataclass(frozen=True)
class Track:
    """How earlier forecasts on this machine turned out: the last ``n`` of them were within ``percent``. rows: jobs of this
    kind whose peaks have corrected the estimate that is shown; 0: none."""

    n: int = 0
    percent: float = 0.0
    rows: int = 0


def verdict(estimate: Estimate, budget: Budget, later: Collection[str] = (), limit: int | None = None) -> Verdict:
    """Whether it fits into what may be counted on, or into ``limit`` where that is less. ``tight``: it starts, and may run
    out once all of it is used."""
    free = usable(budget, limit)
    if free is None:
        return "unknown"
    if estimate.p95 <= free:
        return "fits"
    return "tight" if at_once(estimate, later) <= free else "does_not_fit"


def usable(budget: Budget, limit: int | None = None) -> int | None:
    """Bytes that the plan may take."""
    known = [size for size in (budget.free_after_growth, limit) if size is not None]
    return min(known, default=None)


def draw(
    estimate: Estimate,
    budget: Budget,
    *,
    key: str,
    later: Collection[str] = (),
    limit: int | None = None,
    ways: Sequence[Way] = (),
    change: Callable[[dict[str, Any]], None] | None = None,
    able: Collection[str] = (),
    because: str = "",
    track: Track | None = None,
) -> Verdict:
    """Draw the meter, and return the verdict.

    Args:
        estimate: of the whole plan, on one card or in main memory.
        budget: what is free there now.
        key: unique on the page; the meter's widgets are named after it.
        later: names of terms that are taken only once they are used, such as a KV cache that grows.
        limit: bytes that the person lets it take.
        ways: what would fit, the smallest change first (see :func:`ways_of`); drawn where the plan does not simply fit.
        change: called with the fields of a way that is pressed. able: the fields that it can change; other ways are said.
        because: why it cannot be done, where the page knows better than the figures say.
        track: how earlier forecasts turned out.
    """
    found = verdict(estimate, budget, later, limit)
    with st.container(key=f"fit_{key}", gap="xsmall"):
        st.markdown(f"{LOOKS[found].chip} {errors.plain(sentence(estimate, budget, later))}")
        _bar(estimate, budget, later, limit)
        told = [because, *_less(budget)] if because else reasons(estimate, budget, found, later, limit)
        for reason in told:
            st.markdown(f":small[{errors.plain(reason)}]")
        if found != "fits" and ways:
            _ways(ways, key, change, able)
        if track is not None and (track.n or track.rows):
            st.caption(":material/insights: " + errors.plain(_track(track)), help=_track_help())
        _terms(estimate, key)
    return found


def line(estimate: Estimate, budget: Budget, later: Collection[str] = ()) -> str:
    """The meter in one line of Markdown: the verdict and the band."""
    found = LOOKS[verdict(estimate, budget, later)]
    return f":{found.colour}[{found.icon} {found.word}] · {errors.plain(sentence(estimate, budget, later))}"


def sentence(estimate: Estimate, budget: Budget, later: Collection[str] = ()) -> str:
    """``Takes 5.9–6.2 of 31.2 GiB that are free now (estimate).``"""
    shown = band(at_once(estimate, later), estimate.p95)
    if budget.free is None:
        return _("Takes {band} GiB of memory (estimate).").format(band=shown)
    return _("Takes {band} of {free} GiB that are free now (estimate).").format(band=shown, free=_number(budget.free))


def reasons(
    estimate: Estimate, budget: Budget, found: Verdict, later: Collection[str] = (), limit: int | None = None
) -> list[str]:
    """Why the verdict is what it is, in sentences: nothing where it simply fits and nobody else grows."""
    said = []
    free = usable(budget, limit)
    if found in ("tight", "does_not_fit") and free is not None:
        least, term = at_once(estimate, later), max(estimate.terms, key=lambda term: term.p50, default=None)
        if found == "tight" and least < estimate.p50 and estimate.p50 > free:
            text = _(
                "It starts with {least} GiB, and runs out if all that may grow is used; it may count on {free} GiB."
            )
        elif found == "tight":
            text = _("It needs about {likely} GiB and at most {most} GiB; it may count on {free} GiB.")
        elif term is not None and term.p50 > free:
            text = _("It does not fit: one part alone, {term}, takes {size} GiB, and it may count on {free} GiB.")
        else:
            text = _("It does not fit: it needs {least} GiB, and may count on {free} GiB.")
        said.append(
            text.format(
                least=_number(least),
                likely=_number(estimate.p50),
                most=_number(estimate.p95),
                free=_number(free),
                term=memory_terms.word(term.name) if term else "",
                size=_number(term.p50) if term else "",
            )
        )
    if limit is not None and free == limit and found != "fits":
        said.append(_("You let it take {size} GiB.").format(size=_number(limit)))
    said += _less(budget)
    return said


def _less(budget: Budget) -> list[str]:
    """What was added to what is free, and is taken off of it; less than a tenth of a GiB is nothing to speak of."""
    said = []
    if budget.returned >= 0.05 * GIB:
        text = _("{size} GiB of it are those of the server that this one replaces.")
        said.append(text.format(size=_number(budget.returned)))
    if budget.growth >= 0.05 * GIB:
        text = _("Others here lately grew by up to {size} GiB within ten minutes, so that much is left to them.")
        said.append(text.format(size=_number(budget.growth)))
    if budget.promised >= 0.05 * GIB:
        text = _("{size} GiB are promised to jobs that are being started.")
        said.append(text.format(size=_number(budget.promised)))
    return said


def _bar(estimate: Estimate, budget: Budget, later: Collection[str], limit: int | None) -> None:
    terms = sorted(estimate.terms, key=lambda term: _place(term.name))
    segments = [fit_bar.Segment(term.name, int(term.p50), term.name in later) for term in terms]
    free, safe = budget.free, budget.free_after_growth
    if limit is not None and (free is None or limit < free):
        free, safe = limit, usable(budget, limit)
    key = (
        _("up to {size} GiB").format(size=_number(estimate.p95)),
        (_("may be taken: {size} GiB") if free == limit else _("free now: {size} GiB")).format(size=_number(free or 0)),
        _("may be counted on: {size} GiB").format(size=_number(safe or 0)),
    )
    shown = [segment for segment in segments if segment.size > 0]
    says = sentence(estimate, budget, later)
    st.html(fit_bar.bar(shown, int(estimate.p95), free, safe, says, key))


def ways_of(facts: ModelFacts, plan: Plan, free: int | None) -> list[Way]:
    """What would make ``plan`` fit into ``free`` bytes, as the forecast solves it."""
    from backend.memory.forecast import solve  # some milliseconds: asked for only where something does not fit

    changes = solve(facts, plan, free).changes if free else ()
    return [
        Way(str(found.text), dict(zip(found.field.split(", "), found.to, strict=True)), int(found.estimate.p95))
        for found in changes
    ]


def _ways(
    ways: Sequence[Way], key: str, change: Callable[[dict[str, Any]], None] | None, able: Collection[str]
) -> None:
    """What would fit: as buttons where the page can change it, else in words."""
    pressed = [way for way in ways if change is not None and set(way.fields) <= set(able)]
    said = [way for way in ways if way not in pressed]
    title = _("What would fit")
    st.markdown(f":small[**{title}**]")
    if pressed:
        with st.container(horizontal=True, gap="small"):
            for number, way in enumerate(pressed[:MOST_WAYS]):
                st.button(
                    errors.plain(way.label.rstrip(".。")),
                    key=f"fit_{key}_way_{number}",
                    icon=":material/tune:",
                    help=_("Then it takes at most {size} GiB.").format(size=_number(way.p95)) if way.p95 else None,
                    on_click=change,
                    args=(way.fields,),
                )
    if said:
        st.markdown("\n".join(f"- :small[{errors.plain(way.label)}]" for way in said[:MOST_WAYS]))


def _track(track: Track) -> str:
    said = []
    if track.n:
        text = ngettext(
            "Our last forecast on this machine was within {percent} %.",
            "Our last {n} forecasts on this machine were within {percent} %.",
            track.n,
        )
        said.append(text.format(n=track.n, percent=f"{track.percent:.0f}" if track.percent >= 1 else "1"))
    if track.rows:
        text = ngettext(
            "This one is corrected by what {n} job like it took.",
            "This one is corrected by what {n} jobs like it took.",
            track.rows,
        )
        said.append(text.format(n=track.rows))
    return " ".join(said)


def _track_help() -> str:
    return _(
        "Each job's forecast is kept, and held against its measured peak when it has ended. A peak between the empty "
        "server and the one with a full KV cache counts as met."
    )


def _terms(estimate: Estimate, key: str) -> None:
    """The terms with formula and source, folded."""
    folded = st.expander(
        _("How this is worked out"),
        icon=":material/calculate:",
        key=f"fit_{key}_terms",
        on_change="rerun",
        type="compact",
    )
    if not folded.open:
        return
    with folded:
        lines = []
        for term in sorted(estimate.terms, key=lambda term: _place(term.name)):
            if not term.p95:
                continue
            sizes = words.size(term.p50) if term.p50 == term.p95 else f"{words.size(term.p50)} – {words.size(term.p95)}"
            told = [
                memory_terms.meaning(term.name),
                _(term.formula),
                _("Source: {source}").format(source=_(term.source)),
            ]
            small = "  \n".join(f":small[:gray[{errors.plain(text)}]]" for text in told if text)
            lines.append(f"**{errors.plain(memory_terms.word(term.name))}** {sizes}  \n{small}")
        st.markdown("\n\n".join(lines))


def _place(name: str) -> int:
    return memory_terms.ORDER.index(name) if name in memory_terms.ORDER else len(memory_terms.ORDER)


def band(low: float, high: float) -> str:
    """``5.9–6.2``: GiB."""
    one, other = _number(low), _number(high)
    return one if one == other else f"{one}–{other}"


def _number(size: float) -> str:
    return f"{size / GIB:.1f}"
