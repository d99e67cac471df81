"""What a fit meter needs from this machine, read at most every few seconds whatever is drawn: the budget, and how earlier
forecasts turned out."""

from __future__ import annotations

import streamlit as st

from backend.errors import PanelError
from backend.memory import budget as budget_module
from backend.memory import trust
from backend.memory.budget import Budget, free_now
from backend.memory.machine import Machine
from backend.memory.trust import Residual
from backend.workspace import default_root
from ui import context, machine_view
from ui.fit.meter import Track


def budget(device: str | None = None) -> Budget:
    """The budget on ``device`` (a GPU's UUID, or HOST); None: the roomiest GPU, or main memory where there is none."""
    return here(device)[1]


def here(device: str | None = None) -> tuple[Machine, Budget]:
    """This machine, and the budget on ``device``."""
    return _here(str(default_root()), device)


# What is kept is frozen, so that nothing has to be copied for each reader. Numbers, not "5s": text is read with pandas.
@st.cache_resource(ttl=5, show_spinner=False)
def _here(_root: str, device: str | None) -> tuple[Machine, Budget]:
    machine = machine_view.read()
    try:
        return machine, free_now(machine, context.memory(), device, store=context.store())
    except PanelError:  # a record that cannot be opened must not hide what is free
        return machine, free_now(machine, None, device, store=context.store())


def without(room: Budget, job: int) -> Budget:
    """``room`` as it will be when ``job``, which runs, has ended."""
    try:
        return budget_module.without(room, job, context.memory())
    except PanelError:
        return room


@st.cache_resource(ttl=30, show_spinner=False)
def _residual(_root: str, verb: str, engine: str, kind: str) -> Residual:
    try:
        return trust.residual(context.store(), context.memory(), verb, engine, kind)
    except PanelError:
        return Residual()


def residual(verb: str, engine: str, kind: str) -> Residual:
    """What earlier jobs of this kind say about the guessed terms of a forecast."""
    return _residual(str(default_root()), verb, engine, kind)


@st.cache_resource(ttl=30, show_spinner=False)
def _within(_root: str) -> tuple[int, float]:
    try:
        return trust.within(context.store(), context.memory())
    except PanelError:
        return 0, 0.0


def track(found: Residual) -> Track:
    """The line under a meter: how the last forecasts turned out, and what corrected this one."""
    count, percent = _within(str(default_root()))
    return Track(count, percent, found.n if found.n >= trust.LEAST else 0)
