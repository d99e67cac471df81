"""What can be wrong with a plan, and the presses that mend it. Texts read in the language of whoever made the plan; a plan that is
kept holds what they were made of (:mod:`backend.said`), and reads in that of whoever opens it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from backend import said
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
        return said.joined((self.message, self.hint))


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
        params = {name: said.stored(value) for name, value in error.params.items()}
        texts = [said.Said.of({"said": text, "params": params}) if text else "" for text in (error.message, error.hint)]
        self.add(error.code, where, *texts, fatal=fatal, ways=ways)

    def has(self, where: str) -> bool:
        """Whether something fatal was found about this field."""
        return any(one.fatal and one.field == where for one in self.found)


def as_dict(fault: Fault) -> dict[str, Any]:
    """JSON-able: texts as they read now, and under ``said`` what :func:`kept` makes them of in another language."""
    texts = {name: said.stored(getattr(fault, name)) for name in ("message", "hint")}
    ways = [{**vars(way), "said": said.stored(way.label)} for way in fault.ways]
    return {**vars(fault), "said": texts, "ways": ways}


def kept(data: Any) -> list[Fault]:
    """The faults that a plan was kept with (:func:`as_dict` of each), in the language of the current person; without their ways,
    for it has begun. What is none is left out."""
    found = []
    for one in data if isinstance(data, list) else ():
        if isinstance(one, dict) and isinstance(one.get("message"), str):
            texts = one.get("said") or {}
            message, hint = (str(said.read(texts.get(name, one.get(name, "")))) for name in ("message", "hint"))
            found.append(Fault(str(one.get("code")), str(one.get("field")), message, hint, bool(one.get("fatal"))))
    return found
