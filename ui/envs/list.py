"""The engines as cards, redrawn by themselves while one of them is being installed, tested or bundled."""

from __future__ import annotations

import streamlit as st

from backend.engines import engines
from backend.envs import jobs, places
from backend.envs.jobs import EngineJobs
from backend.envs.status import Status
from backend.i18n import _
from ui import context, errors, pace
from ui.envs import actions as envs_actions
from ui.envs import card as envs_card
from ui.envs import plan as envs_plan
from ui.envs import words as envs_words
from ui.envs import work as envs_work

ASKED = "engine"
"""The address's parameter with the engine whose card comes first."""
NOBODY = EngineJobs()
WANTING = ("missing", "outdated", "damaged")


def draw() -> None:
    """Draw the cards."""
    before = _signature()
    every = pace.MOVING_S if any(alive for _name, alive, _ended in before) else None

    def listing() -> None:
        envs_actions.said()
        _cards()
        if before != _signature():
            st.rerun()  # a job began or ended: the timer starts or stops, and the rest of the page knows

    st.fragment(errors.guarded(listing, "environments"), run_every=every)()


def _signature() -> list[tuple[str, int, int]]:
    """(engine, job under way, job that ended last): the rest of a card changes only with one of them."""
    found = jobs.by_engine(context.store())
    return sorted(
        (name, of.alive.id if of.alive else 0, of.ended.id * 1000 + of.ended.attempt if of.ended else 0)
        for name, of in found.items()
    )


def _cards() -> None:
    known, work = engines(), jobs.by_engine(context.store())
    statuses = {status.engine: status for status in places.statuses(context.workspace())}
    if not any(status.usable and status.state != "builtin" for status in statuses.values()):
        st.caption(
            _(
                "The programs that serve, fine-tune and evaluate models. Each lives in an environment of its own, made here and "
                "proven by a self-test before it is used."
            )
        )
    st.caption(errors.plain(envs_words.count_line(list(statuses.values()), known)))
    # By its name, or by the title that a failure names it with.
    asked = st.query_params.get(ASKED, "")
    asked = next((name for name in statuses if asked in (name, known[name].title)), "")
    order = sorted(statuses, key=lambda name: name != asked)
    first = _first([statuses[name] for name in order], work)
    for name in order:
        envs_card.draw(known[name], statuses[name], work.get(name, NOBODY), primary=name == first)


def _first(statuses: list[Status], work: dict[str, EngineJobs]) -> str:
    """The engine whose button is the page's primary one: the first that needs something and can be given it. None while
    something is under way, or has failed: then the way on from there is what the page proposes."""
    ended = [envs_work.worth_showing(work.get(status.engine, NOBODY).ended, status) for status in statuses]
    if any(of.alive for of in work.values()) or any(envs_work.goes_on(row) for row in ended):
        return ""
    for status in statuses:
        if status.state == "unproven" or (status.state in WANTING and not envs_plan.now(status.engine).problems):
            return status.engine
    return ""
