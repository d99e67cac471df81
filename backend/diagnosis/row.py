"""A row of the table: what a failure looks like in a log, its cause in plain words, and what helps. Rows are data only.

Rows are told apart by level. A full disk or memory draws other errors after it, so that it counts wherever it stands
(``CAUSE``); of the others that one is likely which stands nearest to the end (``REASON``); what only follows from
something else counts where nothing else is known (``CONSEQUENCE``); an exit code alone says least (``EXIT``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from backend.errors import fill
from backend.i18n import _

CAUSE, REASON, CONSEQUENCE, EXIT = range(4)
Kind = Literal["spec", "environment", "setting", "command", "text"]


@dataclass(frozen=True)
class Fix:
    """Something that helps. ``say`` is a marked text for people; a page can make a button of every kind but ``text``.

    spec         another value of the job's field ``name``; ``value`` where one is known
    environment  make the environment of the engine ``name`` again (empty: the engine that the log is about)
    setting      look at the setting ``name``
    command      ``value`` is a line for a shell
    text         only words
    """

    kind: Kind
    say: str
    name: str = ""
    value: Any = None

    def to_dict(self, params: dict[str, Any]) -> dict[str, Any]:
        """JSON-able, in the current language. For a command ``text`` is the command, and ``hint`` says what it does."""
        said = fill(_(self.say), params)
        if self.kind == "command":
            return {"kind": self.kind, "text": str(self.value), "hint": said}
        data: dict[str, Any] = {"kind": self.kind, "text": said}
        if self.kind == "spec":
            data |= {"field": self.name, "hint": said} | ({} if self.value is None else {"value": self.value})
        elif self.kind == "environment":
            data["engine"] = self.name or params.get("engine", "")
        elif self.kind == "setting":
            data["name"] = self.name
        return data


def spec(name: str, say: str, value: Any = None) -> Fix:
    """Another value of the job's field ``name``."""
    return Fix("spec", say, name, value)


def environment(say: str, engine: str = "") -> Fix:
    """Make the environment of ``engine`` again."""
    return Fix("environment", say, engine)


def setting(name: str, say: str) -> Fix:
    """Look at a setting of the panel."""
    return Fix("setting", say, name)


def command(line: str, say: str) -> Fix:
    """A line for a shell. It never holds text from a log: people paste it."""
    return Fix("command", say, value=line)


def text(say: str) -> Fix:
    """Only words."""
    return Fix("text", say)


@dataclass(frozen=True)
class Row:
    """One failure.

    code: its stable name. patterns: see :mod:`backend.diagnosis.patterns`. cause: what a person reads, a marked text. told:
    the same with places for what the pattern captured; taken where all of them were. about: the engines and verbs that it
    can happen to; empty: any. weight: of two rows that fit the same line, or of two causes, the heavier one counts. even:
    where it counts all the same: in a line that is only ``quiet`` (a warning), in the source ``code`` that a traceback
    shows, or while the run is ``alive`` and goes on. exits: it also follows from one of these exit codes alone. server:
    how a failed model server calls it, see :mod:`backend.engines.crashes`.
    """

    code: str
    patterns: tuple[str, ...]
    cause: str
    fixes: tuple[Fix, ...]
    told: str = ""
    level: int = REASON
    weight: int = 0
    about: tuple[str, ...] = ()
    even: tuple[str, ...] = ()
    exits: tuple[int, ...] = ()
    server: str = ""
