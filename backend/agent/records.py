"""A conversation with an agent, as it is stored and shown: turns (a question and its answer), each of steps (a reply of the model
and the calls in it).

A turn's state: waiting ──▶ running ──▶ done | failed (``problem`` or ``error`` says why) | stopped (a person stopped it)
                               └──────▶ lost (the program that worked at it is gone; it can go on)
A step's state: server (one is started) ─▶ writing ─▶ asking (a person's yes) | calling ─▶ done | failed
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from backend.agent.calls import Call, Problem, Protocol, Repair
from backend.agent.options import Options

OVER = ("done", "failed", "stopped", "lost")


@dataclass(frozen=True)
class Conversation:
    """Times are epoch seconds. model and options: what it is asked with next."""

    id: str
    title: str
    model: str
    options: Options
    created: float
    updated: float


@dataclass(frozen=True)
class Called:
    """A call and what became of it. state: waiting, asking (for a yes), running, done, failed, refused (the person said no), unknown (a program
    died in its middle). text: the result as the model reads it. files: names in the conversation's folder. error:
    :meth:`backend.errors.PanelError.to_dict`. shortened: characters that ``text`` lacks."""

    call: Call
    state: str = "waiting"
    text: str = ""
    files: tuple[str, ...] = ()
    error: Mapping[str, Any] = field(default_factory=dict)
    shortened: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Step:
    """One reply. reply: the raw text, as far as it has come; message: the server's whole message where it holds more than text. answer:
    None without one. model_s: seconds until the reply was whole; ours_s: of our own work (reading the reply, recording), tools apart.
    left_out: results that were shortened, or turns left away, so that the context holds. nudge: what the model was told after this
    reply, so that it mends it. job: of a server that is started for it."""

    id: int
    turn: int
    number: int
    state: str
    reply: str = ""
    message: Mapping[str, Any] = field(default_factory=dict)
    thought: str = ""
    calls: tuple[Called, ...] = ()
    answer: str | None = None
    repairs: tuple[Repair, ...] = ()
    problem: Problem | None = None
    nudge: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    counted: bool = False
    model_s: float = 0.0
    ours_s: float = 0.0
    left_out: int = 0
    job: int | None = None
    started: float = 0.0
    ended: float | None = None

    @property
    def open(self) -> bool:
        """Whether it is still worked at."""
        return self.state not in ("done", "failed")


@dataclass(frozen=True)
class Turn:
    """A question and what came of it. protocol: the one that was used, empty before the first step. problem: why there is no answer, or what is doubtful
    about it; error: of a server or of this machine, :meth:`backend.errors.PanelError.to_dict`; notes: the same, of what was missing beside, such as
    a server of tools."""

    id: int
    conversation: str
    text: str
    state: str
    model: str
    options: Options
    created: float
    protocol: Protocol | None = None
    answer: str | None = None
    problem: Problem | None = None
    error: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Mapping[str, Any], ...] = ()
    stop: bool = False
    started: float | None = None
    ended: float | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER


def step_data(step: Step) -> dict[str, Any]:
    """All of ``step`` but what has columns of its own, as JSON."""
    data = asdict(step)
    for name in ("id", "turn", "number", "state", "reply"):
        del data[name]
    return data


def step_from(id_: int, turn: int, number: int, state: str, reply: str, data: dict[str, Any]) -> Step:
    """The step that :func:`step_data` wrote; what a later version added is passed over."""
    known = {name: value for name, value in data.items() if name in Step.__dataclass_fields__}
    known["calls"] = tuple(called_from(each) for each in known.get("calls") or ())
    known["repairs"] = tuple(Repair(**each) for each in known.get("repairs") or ())
    known["problem"] = problem_from(known.get("problem"))
    return Step(id=id_, turn=turn, number=number, state=state, reply=reply, **known)


def called_from(data: dict[str, Any]) -> Called:
    """A call from its JSON."""
    known = {name: value for name, value in data.items() if name in Called.__dataclass_fields__}
    return Called(**{**known, "call": Call(**known["call"]), "files": tuple(known.get("files") or ())})


def problem_from(data: Mapping[str, Any] | None) -> Problem | None:
    """A problem from its JSON."""
    return Problem(**{**data, "helps": tuple(data.get("helps") or ())}) if data else None


def with_call(step: Step, place: int, called: Called) -> Step:
    """``step`` with another ``called`` at ``place``."""
    return replace(step, calls=(*step.calls[:place], called, *step.calls[place + 1 :]))
