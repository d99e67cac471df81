"""What can be wrong with a plan, and the presses that mend it. Texts are translated where a fault is made: a plan is drawn at once,
and kept for the record only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from backend.errors import PanelError

Source = Literal["rehearsal", "earlier", "assumed"]


@dataclass(frozen=True)
class Way:
    """A press that changes fields of the spec. label: what it does, for people. bytes: of memory that the plan then takes, where
    that is what it is for."""

    label: str
    fields: dict[str, Any]
    bytes: int | None = None


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. code: stable, see docs/troubleshooting.md. field: of the spec; empty where it is none of them.
    message, hint: for people. fatal: it cannot be started like that; else it is worth knowing. ways: each alone mends it."""

    code: str
    field: str
    message: str
    hint: str = ""
    fatal: bool = True
    ways: tuple[Way, ...] = ()

    def sentence(self) -> str:
        """message and hint as one text."""
        return " ".join(part for part in (self.message, self.hint) if part)


@dataclass(frozen=True)
class Span:
    """Seconds. source: a ``rehearsal`` with these settings here, ``earlier`` runs here, or ``assumed`` from what processors can do."""

    low: float
    likely: float
    high: float
    source: Source = "assumed"


@dataclass
class Faults:
    """Faults as they are found; of one code and field only the first."""

    found: list[Fault] = field(default_factory=list)

    def add(
        self, code: str, where: str, message: str, hint: str = "", *, fatal: bool = True, ways: tuple[Way, ...] = ()
    ) -> None:
        """One more."""
        if not any((one.code, one.field) == (code, where) for one in self.found):
            self.found.append(Fault(code, where, message, hint, fatal, ways))

    def of(self, error: PanelError, where: str, *, fatal: bool = True, ways: tuple[Way, ...] = ()) -> None:
        """What ``error`` says."""
        message, hint = error.localized()
        self.add(error.code, where, message, hint, fatal=fatal, ways=ways)

    def has(self, where: str) -> bool:
        """Whether something fatal was found about this field."""
        return any(one.fatal and one.field == where for one in self.found)


def as_dict(fault: Fault) -> dict[str, Any]:
    """JSON-able."""
    return {**vars(fault), "ways": [dict(vars(way)) for way in fault.ways]}


def merged(spec: Mapping[str, Any], way: Way) -> dict[str, Any]:
    """``spec`` with what ``way`` changes."""
    return {**spec, **way.fields}
