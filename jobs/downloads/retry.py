"""Trying again: how long to wait, and for how long it is worth it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeVar

from jobs.harness import Job, Stopped

T = TypeVar("T")
TRIES, LIST_TRIES = 5, 3
"""For a file; for the list of files, where a wrong address should be told soon."""

LONGEST_WAIT_S = 3600.0


class Cut(Exception):
    """The answer ended too early, or was too long."""


@dataclass(frozen=True)
class Again:
    """It may help to try again. wait_s: as the hub told; None: it told nothing. tried: the client has done so itself."""

    wait_s: float | None = None
    tried: bool = False


class Judge(Protocol):
    """What a hub's client says about its own failures."""

    def again(self, error: Exception, fetching: bool) -> Again | None: ...

    def explain(self, error: Exception, file: str = "") -> NoReturn: ...


def persist(
    call: Callable[[], T],
    judge: Judge,
    job: Job,
    stopping: threading.Event,
    file: str = "",
    arrived: Callable[[], int] = lambda: 0,
) -> T:
    """``call`` until it succeeds, until it is no use, or until several tries in a row brought nothing.

    ``file`` names what is fetched, empty for the list of files; ``arrived`` tells its bytes that are here: tries are
    counted anew whenever there are more.
    """
    tries, before = 0, arrived()
    most = TRIES if file else LIST_TRIES
    while True:
        try:
            return call()
        except Exception as error:
            if stopping.is_set():
                raise Stopped from error
            again = judge.again(error, bool(file))
            now = arrived()
            tries = 0 if now > before else tries
            grown, before = now > before, now
            if again is None or tries >= most or (again.tried and not grown):
                judge.explain(error, file)
            tries += 1
            wait = min(again.wait_s if again.wait_s is not None else 2.0 ** (tries - 1), LONGEST_WAIT_S)
            what = file or "list of files"
            if again.wait_s is not None:
                job.log(f"{what}: the hub asks to wait {wait:.0f} s (429), then goes on")
                job.events.phase("wait")
            else:
                job.log(f"{what}: {type(error).__name__}, trying again in {wait:.0f} s ({tries} of {most})")
        if stopping.wait(wait):
            raise Stopped


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that an answer 429 asks to wait; 10 where it does not say so in seconds."""
    for name in ("Retry-After", "retry-after"):
        try:
            return max(0.0, float(headers[name]))
        except (KeyError, ValueError):
            continue
    return 10.0
