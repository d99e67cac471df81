"""All checks at once, each in a thread with a deadline. One that crashes or hangs is unknown, with its reason.

A thread, and not a signal, since a look at a dead NFS mount or at a lost GPU cannot be interrupted: it is left behind, and
ends with the process. That is why the panel does not do this itself but starts ``python -m backend.doctor``.
"""

from __future__ import annotations

import platform
import queue
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.doctor import masking
from backend.doctor.findings import ORDER, Check, Finding, Text, say, unknown
from backend.doctor.here import Here
from backend.errors import PanelError
from backend.i18n import N_

AT_ONCE = 24
"""More would wait for one another on a small machine, and then miss their deadlines without being slow."""
TOTAL_S = 12.0


@dataclass(frozen=True)
class Examination:
    """What all checks said, the most urgent first. at: epoch seconds. about: the machine in a few words, name to value."""

    at: float
    seconds: float
    findings: tuple[Finding, ...]
    about: Mapping[str, str] = field(default_factory=dict)

    def having(self, *states: str) -> list[Finding]:
        """The findings in one of these states."""
        return [finding for finding in self.findings if finding.state in states]

    def counts(self) -> dict[str, int]:
        """How many findings are in each state."""
        return {state: len(self.having(state)) for state in ORDER}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, texts as templates; :meth:`from_dict` reads it."""
        return {
            "at": self.at,
            "seconds": self.seconds,
            "about": dict(self.about),
            "findings": [finding.to_dict() for finding in self.findings],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Examination:
        """What :meth:`to_dict` wrote."""
        return cls(data["at"], data["seconds"], tuple(map(Finding.from_dict, data["findings"])), data["about"])


def examine(here: Here | None = None, checks: Sequence[Check] | None = None, total_s: float = TOTAL_S) -> Examination:
    """Ask every check, by default all there are. Takes as long as the slowest, and never more than ``total_s`` seconds."""
    if checks is None:
        from backend.doctor.checks import CHECKS

        checks = CHECKS
    here = here or Here()
    at, began = time.time(), time.monotonic()
    secrets = masking.known(here.environ)
    found = _ask_all(here, checks, began + total_s)
    clean = [finding.mapped(lambda _name, value: masking.scrub(value, secrets)) for finding in found]
    ordered = sorted(clean, key=lambda finding: ORDER.index(finding.state))
    return Examination(at, time.monotonic() - began, tuple(ordered), _about())


class _Asked:
    """A check that was asked, and what it has said so far."""

    def __init__(self, place: int, check: Check, here: Here, done: queue.SimpleQueue[int]) -> None:
        self.check = check
        self.said: list[Finding] = []
        self.problem: Exception | None = None
        self.began = time.monotonic()
        self.seconds = 0.0

        def work() -> None:
            try:
                for finding in check.run(here):
                    self.said.append(finding)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
                self.problem = error
            self.seconds = time.monotonic() - self.began
            done.put(place)

        threading.Thread(target=work, name=f"doctor {check.code}", daemon=True).start()

    def result(self, late: bool) -> list[Finding]:
        """Its findings. late: it has not ended and is no longer waited for."""
        said = list(self.said)
        seconds = time.monotonic() - self.began if late else self.seconds
        if late:
            said.append(unknown(say(N_("No answer within {seconds} s."), seconds=f"{seconds:.0f}"), meaning=HANGS))
        elif self.problem is not None:
            said.append(unknown(_problem(self.problem)))
        return [_named(finding, self.check, seconds) for finding in said]


HANGS = say(N_("Something that was asked does not answer: often a network drive whose server is gone, or a lost GPU."))


def _ask_all(here: Here, checks: Sequence[Check], until: float) -> list[Finding]:
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    results: dict[int, list[Finding]] = {}
    running: dict[int, _Asked] = {}
    waiting = list(enumerate(checks))[::-1]
    while waiting or running:
        while waiting and len(running) < AT_ONCE and time.monotonic() < until:
            place, check = waiting.pop()
            running[place] = _Asked(place, check, here, done)
        if not running:
            break
        next_end = min(min(asked.began + asked.check.deadline_s for asked in running.values()), until)
        try:
            place = done.get(timeout=max(0.0, next_end - time.monotonic()))
            if place in running:  # else it ended after it was given up
                results[place] = running.pop(place).result(late=False)
            continue
        except queue.Empty:
            now = time.monotonic()
        for place, asked in list(running.items()):
            if now >= min(asked.began + asked.check.deadline_s, until):
                results[place] = running.pop(place).result(late=True)
    for place, check in waiting:
        results[place] = [_named(unknown(say(N_("There was no time left to ask."))), check, 0.0)]
    return [finding for place in sorted(results) for finding in results[place]]


def _named(finding: Finding, check: Check, seconds: float) -> Finding:
    title = finding.title if finding.title.message else check.title
    return replace(finding, code=finding.code or check.code, title=title, seconds=round(seconds, 4))


def _problem(error: Exception) -> Text:
    if isinstance(error, PanelError):
        return Text(error.message, error.params)
    return say(N_("The check failed: {kind}: {problem}"), kind=type(error).__name__, problem=str(error))


def _about() -> dict[str, str]:
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        system = ""
    return {
        "host": socket.gethostname(),
        "system": system or platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "executable": sys.executable,
    }
