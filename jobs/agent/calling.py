"""The calls of a step: made one after the other, each kept before and after; what acts outside asks first."""

from __future__ import annotations

import time
from dataclasses import replace

from backend.agent import endings
from backend.agent.protocols import problems
from backend.agent.records import Called, Step, with_call
from backend.agent.tools import Runs, Tool
from backend.errors import PanelError
from backend.i18n import N_
from jobs.agent.asking import Interrupted
from jobs.agent.going import End, Going, Outcome, keep, nudge

MADE = ("done", "failed", "refused", "unknown")
MOST_FAILURES = 4
APPROVAL_HOURS = 12
DECISION_LOOK_S = 0.1
NOT_ALLOWED = "The person did not allow this call. Do not try it again; answer without it, or say what you would need."
NOT_KNOWN = (
    "Whether this call was carried out is not known: the program that made it ended in its middle. It was not repeated."
)


def make(going: Going, step: Step) -> None:
    """Make those calls of ``step`` that were not made yet, one after the other."""
    for place, called in enumerate(step.calls):
        if called.state in MADE:
            continue
        runs = going.tools.get(called.call.name)
        if runs is None:  # it was switched off since
            problem = problems.tool_off(called.call.name, called.call.name)
            made = replace(called, state="failed", text=nudge(problem))
        elif called.state == "running" and (runs.tool.asks_first or runs.tool.network):
            made = replace(called, state="unknown", text=NOT_KNOWN)
        elif not _allowed(going, step, place, runs.tool):
            made = replace(called, state="refused", text=NOT_ALLOWED)
        else:
            step = going.steps[-1]
            step = keep(going, replace(with_call(step, place, replace(called, state="running")), state="calling"))
            made = _call(going, runs, called)
        step = keep(going, with_call(going.steps[-1], place, made))
        if going.stopped():
            # Calls that were not made yet are made when the turn goes on.
            whole = all(each.state in MADE for each in step.calls)
            keep(going, replace(step, state="done" if whole else "calling"), ended=whole)
            raise Interrupted
    keep(going, replace(going.steps[-1], state="done"), ended=True)
    _stop_at_failures(going)


def _call(going: Going, runs: Runs, called: Called) -> Called:
    began = time.monotonic()
    try:
        result = runs.call(called.call.arguments, going.context)
    except Exception as error:  # noqa: BLE001 - a fault of a tool must not take the turn with it; it is told
        text = f"Error (tool_crashed): the tool broke: {type(error).__name__}: {error}"[:2000]
        failure = PanelError(
            "tool_crashed",
            N_("The tool {tool} broke: {problem}"),
            N_("This is a fault of the tool. Other tools go on working; switch this one off if it stays."),
            tool=called.call.name,
            problem=f"{type(error).__name__}: {error}"[:500],
        )
        return replace(called, state="failed", text=text, error=failure.to_dict(), seconds=time.monotonic() - began)
    folder = going.context.folder
    files = tuple(path.relative_to(folder).as_posix() for path in result.files if path.is_relative_to(folder))
    return replace(
        called,
        state="failed" if result.error else "done",
        text=result.text,
        files=files,
        error=result.error.to_dict() if result.error else {},
        shortened=result.shortened,
        seconds=result.seconds or time.monotonic() - began,
    )


def _allowed(going: Going, step: Step, place: int, tool: Tool) -> bool:
    """Whether the call may be made: at once, or after a person's word, for which the turn's time stands still.

    Raises:
        Interrupted; End: nobody answered.
    """
    if not tool.asks_first or tool.name in going.turn.options.unasked or tool.name in going.book.unasked():
        return True
    began = time.monotonic()
    step = replace(going.steps[-1], state="asking")
    keep(going, with_call(step, place, replace(step.calls[place], state="asking")))
    budget, going.until = going.until - began, float("inf")
    try:
        while (word := going.book.decision(step, place)) is None:
            if going.book.stopped():
                raise Interrupted
            if time.monotonic() - began > APPROVAL_HOURS * 3600:
                raise End(Outcome("failed", problem=endings.nobody_answered(tool.title, APPROVAL_HOURS)))
            if tool.name in going.book.unasked():
                return True
            time.sleep(DECISION_LOOK_S)
        return word
    finally:
        going.until = time.monotonic() + budget


def _stop_at_failures(going: Going) -> None:
    """A tool that fails again and again will not do better the next time."""
    failed = [called for step in going.steps for called in step.calls if called.state == "failed"]
    if not failed:
        return
    last = failed[-1]
    times = sum(each.call.name == last.call.name for each in failed)
    if times >= MOST_FAILURES:
        raise End(Outcome("failed", problem=endings.tools_failed(last.call.name, times, last.text)))
