"""The fit meter of Deploy: what the planned server takes, and the ways out that the form can take by a press."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from backend.catalog import ModelCard
from backend.deploy import planning
from backend.deploy.planning import Plan, Wish
from backend.errors import PanelError
from backend.i18n import _
from backend.memory import planned
from backend.memory.sample import HOST
from backend.memory.trust import Residual
from backend.queue.rows import JobRow
from ui import errors, machine_view
from ui.fit import meter as fit_meter
from ui.fit import now as fit_now
from ui.fit.meter import Way

GIB = 2**30
FIELDS = {
    "memory_gib": "deploy_memory",
    "model": "deploy_model",
    "concurrency": "deploy_people",
    "session_len": "deploy_spec_context_length",
    "cache_ratio": "deploy_spec_cache_max_entry_count",
    "kv_bits": "deploy_spec_quant_policy",
}
"""Field of a way out -> the widget of the form that it sets."""
MEMORY_CODES = ("serve_memory_too_small", "not_enough_memory", "not_enough_gpu_memory")
OTHERS = 2
"""Other models on the list that are proposed where the chosen one is too large."""
LOOKED_AT = 50


def plan(wish: Wish, instead_of: JobRow | None = None) -> Plan:
    """What ``wish`` comes to on this machine as it is now. instead_of: the server that it would replace, and whose memory it
    gets."""
    machine, room = fit_now.here(HOST if wish.more.get("device") == "cpu" else None)
    if instead_of is not None:
        room = fit_now.without(room, instead_of.id)
    return planning.plan(wish, machine, room, _learned(wish, room.on_gpu))


def draw(wish: Wish, made: Plan, usable: Mapping[str, ModelCard]) -> None:
    """The meter; where there is no forecast, why."""
    if made.planned is None:
        st.markdown(f":gray[:material/help:] {errors.plain(no_forecast(made))}")
        return
    limit = int(wish.memory_gib * GIB) or None
    found = made.planned
    fits = fit_meter.verdict(found.estimate, made.room, found.later, limit) == "fits"
    fit_meter.draw(
        found.estimate,
        made.room,
        key="deploy",
        later=found.later,
        limit=limit,
        ways=[] if fits else _ways(wish, made, usable),
        change=_change,
        able=FIELDS,
        because=" ".join(made.problem.localized()) if said(made) and made.problem else "",
        track=fit_now.track(_learned(wish, made.on_gpu)),
    )


def no_forecast(made: Plan) -> str:
    """Why there is no forecast."""
    reason = made.unknown.localized()[0] if made.unknown else ""
    return _("No memory forecast: {reason}").format(reason=reason)


def said(made: Plan) -> bool:
    """Whether the meter says why ``made`` cannot be started: it is the memory."""
    return made.planned is not None and made.problem is not None and made.problem.code in MEMORY_CODES


def _learned(wish: Wish, on_gpu: bool) -> Residual:
    return fit_now.residual("serve", wish.engine, "cuda" if on_gpu else "cpu")


def _ways(wish: Wish, made: Plan, usable: Mapping[str, ModelCard]) -> list[Way]:
    """More memory where there is some, what the forecast solves, then models that are smaller."""
    safe = made.room.free_after_growth
    ways = []
    if made.planned is not None and safe is not None:
        needed = math.ceil(10 * made.high / GIB) / 10
        if wish.memory_gib and wish.memory_gib < needed <= safe / GIB:
            label = _("Let it take {size} GiB").format(size=f"{needed:.1f}")
            ways.append(Way(label, {"memory_gib": needed}, made.high))
        if made.planned.facts is not None and made.planned.plan is not None:
            ways += fit_meter.ways_of(made.planned.facts, made.planned.plan, fit_meter.usable(made.room, _limit(wish)))
    return ways + _smaller(wish, made, usable)


def _limit(wish: Wish) -> int | None:
    return int(wish.memory_gib * GIB) or None


def _smaller(wish: Wish, made: Plan, usable: Mapping[str, ModelCard]) -> list[Way]:
    """The largest models on the list that would fit as they are."""
    free = fit_meter.usable(made.room, _limit(wish))
    cards = sorted(usable.values(), key=lambda card: -card.served.size_bytes)
    smaller = [card for card in cards if card.served.size_bytes < wish.card.served.size_bytes]
    ways: list[Way] = []
    for card in smaller[:LOOKED_AT]:
        if free is None or len(ways) == OTHERS:
            break
        try:
            found = planned.serving(
                card, "transformers", {}, machine_view.read(), on_gpu=made.on_gpu, free=made.free
            ).estimate
        except PanelError:
            continue
        if found.p95 <= free:
            ways.append(Way(_("Serve {model} instead").format(model=card.name), {"model": card.name}, int(found.p95)))
    return ways


def _change(fields: dict[str, Any]) -> None:
    """Callback: set the form as a way out says."""
    for name, value in fields.items():
        st.session_state[FIELDS[name]] = value
