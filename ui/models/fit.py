"""Whether a model of the list would fit now, in one line of its card; of one that runs, what it takes."""

from __future__ import annotations

import streamlit as st

from backend.catalog import ModelCard
from backend.deploy import planning
from backend.engines import ENGINES
from backend.errors import PanelError
from backend.i18n import _
from backend.memory import trust
from backend.memory.sample import Sample
from backend.queue.rows import JobRow
from ui import context, errors, words
from ui.deploy import fit as deploy_fit
from ui.fit import meter as fit_meter


def draw(card: ModelCard, job: JobRow | None) -> None:
    """Draw the line; nothing for a model that nothing here could serve: its card says why."""
    if job is not None:
        _running(job)
        return
    engine = _engine(card)
    if not engine:
        return
    made = deploy_fit.plan(planning.Wish(card, engine))
    if made.planned is None:
        st.caption(f":material/help: {errors.plain(deploy_fit.no_forecast(made))}")
        return
    st.caption(fit_meter.line(made.planned.estimate, made.room, made.planned.later), help=_help(made, card))


def _help(made: planning.Plan, card: ModelCard) -> str:
    """What the line is true for."""
    engine = ENGINES[str(made.options["engine"])].title
    text = _("Served by {engine}, one conversation of {n} tokens. Deploy shows the terms, and what would change it.")
    return errors.plain(text.format(engine=engine, n=f"{made.context:,}"))


def _engine(card: ModelCard) -> str:
    """The engine that would be taken for it; empty where there is none."""
    missing = _missing()
    for name, engine in ENGINES.items():
        # The model that ships with TuneDeck is so small that no GPU is taken for it unasked.
        if missing[name] is None and engine.refuses(card) is None and not (name == "lmdeploy" and card.builtin):
            return name
    return ""


@st.cache_resource(ttl=5, show_spinner=False)
def _missing() -> dict[str, PanelError | None]:
    """Why an engine cannot run here: to ask for it takes a millisecond, and there may be a hundred cards."""
    return {name: engine.unavailable() for name, engine in ENGINES.items()}


def _running(job: JobRow) -> None:
    """``Takes 0.5 GiB (measured); forecast 0.4–0.5 GiB``."""
    found = trust.read(context.store().job_dir(job.id))
    taken = _taken(job.id, found.on_gpu if found else False)
    parts = [_("Takes {size} (measured)").format(size=words.gib(taken))] if taken else []
    if found is not None:
        band = fit_meter.band(found.low, found.p95)
        parts.append(_("forecast {band} GiB").format(band=band))
    if parts:
        st.caption(":material/memory: " + errors.plain(" · ".join(parts)))


def _taken(job: int, on_gpu: bool) -> int:
    sample = _latest()
    if sample is None:
        return 0
    return max((use.size for use in sample.jobs if use.job == job and (use.place != "host") == on_gpu), default=0)


@st.cache_resource(ttl=1, show_spinner=False)
def _latest() -> Sample | None:
    try:
        return context.memory().latest()
    except PanelError:
        return None
