"""How long asking about all chunks will take: from one that was just tried, or from what earlier jobs with this model took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend.queue.store import Store

LOOKED_AT = 20
_FASTER, _SLOWER = 0.7, 1.5
"""Answers of one model differ in length; so far a whole run was off its mean in trials with real documents."""


@dataclass(frozen=True)
class Forecast:
    """Seconds, as a band. source: ``trial`` (one passage was asked about just now) or ``jobs`` (measured earlier)."""

    low_s: float
    high_s: float
    source: Literal["trial", "jobs"]


def forecast(store: Store, model: str, requests: int, concurrency: int, trial_s: float | None) -> Forecast | None:
    """The band for ``requests``; None where nothing was measured yet. trial_s: seconds that one request alone took."""
    if (pace := measured(store, model, concurrency)) is not None:
        return Forecast(requests * pace * _FASTER, requests * pace * _SLOWER, "jobs")
    if trial_s is None:
        return None
    # Between a server that answers all of them as quickly as one, and one that answers them one by one.
    return Forecast(requests * trial_s * _FASTER / concurrency, requests * trial_s * _SLOWER, "trial")


def measured(store: Store, model: str, concurrency: int) -> float | None:
    """Seconds from one answer to the next in the newest job that asked ``model``, so many requests at a time."""
    for row in store.list(states=("succeeded",), verb="ask_documents", limit=LOOKED_AT):
        spec = store.spec(row.id)
        if spec.get("model") == model and spec.get("concurrency") == concurrency:
            pace = (store.result(row.id) or {}).get("pace_s")
            if isinstance(pace, int | float) and pace > 0:
                return float(pace)
    return None
