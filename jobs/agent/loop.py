"""One turn of an agent: the model is asked, its calls are made, their results go back to it, until it answers or a reason ends the turn.

Whatever happens is a step in the book before anything follows from it: killed at any point, the turn goes on from its steps. A call that may have acted on
the outside, and in whose middle the program died, is not repeated.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from backend.agent import endings, protocols
from backend.agent.calls import Call, Problem, Protocol, Understood
from backend.agent.protocols import problems
from backend.agent.protocols.sending import Turn as Said
from backend.agent.records import Called, Step, Turn, with_call
from backend.agent.tools import Context, Runs, Tool
from backend.errors import PanelError, fill
from backend.i18n import N_
from jobs.agent import past
from jobs.agent.asking import Asks, Interrupted, Reply
from jobs.agent.book import Book, throttled

MENDABLE = ("broken_json", "bad_arguments", "unknown_tool", "tool_off", "empty_reply", "made_up_result")
"""Problems that a model often mends when it is told of them."""
MOST_NUDGES, MOST_FAILURES = 2, 4
APPROVAL_HOURS = 12
DECISION_LOOK_S = 0.1
NOT_ALLOWED = "The person did not allow this call. Do not try it again; answer without it, or say what you would need."
NOT_KNOWN = (
    "Whether this call was carried out is not known: the program that made it ended in its middle. It was not repeated."
)


@dataclass(frozen=True)
class Outcome:
    """How a turn ended: ``done``, ``failed`` or ``stopped``. problem beside an answer is a doubt about it."""

    state: str
    answer: str | None = None
    problem: Problem | None = None
    error: PanelError | None = None


@dataclass
class _Going:
    """A turn while it goes on. until: ``time.monotonic()`` at which its time is over."""

    book: Book
    model: Asks
    tools: Mapping[str, Runs]
    turn: Turn
    protocol: Protocol
    context: Context
    history: Sequence[Said]
    off: Sequence[str]
    until: float
    steps: list[Step] = field(default_factory=list)
    tight: int = 0
    result_role: str = "system"

    def stopped(self) -> bool:
        return self.book.stopped() or time.monotonic() > self.until

    @property
    def offered(self) -> list[Tool]:
        return [each.tool for each in self.tools.values()]


class _End(Exception):
    """The turn ends here."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.state)
        self.outcome = outcome


def run_turn(
    book: Book,
    model: Asks,
    tools: Sequence[Runs],
    history: Sequence[Said],
    turn: Turn,
    protocol: Protocol,
    context: Context,
    *,
    done: Sequence[Step] = (),
    off: Sequence[str] = (),
) -> Outcome:
    """Work at ``turn`` until it ends; ``history``: what was said before it. ``done``: its steps from before, where it goes on.

    Never raises for what a model, a server or a tool did: that is an outcome with its reason. ``off``: names of tools that are switched off.
    """
    going = _Going(
        book=book,
        model=model,
        tools={each.tool.name: each for each in tools},
        turn=turn,
        protocol=protocol,
        context=context,
        history=history,
        off=off,
        until=time.monotonic() + turn.options.most_seconds,
        steps=list(done),
    )
    going.context = replace(context, stopped=going.stopped)
    try:
        if going.steps and going.steps[-1].open:
            _make_calls(going, going.steps[-1])
        while True:
            _step(going)
    except _End as end:
        return end.outcome
    except Interrupted:
        if book.stopped():
            return Outcome("stopped")
        return Outcome("failed", problem=endings.time_used(turn.options.most_seconds))
    except PanelError as error:
        return Outcome("failed", error=error)


def _step(going: _Going) -> None:
    """One reply, and the calls in it."""
    options = going.turn.options
    number = len(going.steps) + 1
    looped = _looping(going.steps)
    last = number >= options.most_steps or looped is not None
    step = going.book.begin_step(number)
    going.steps.append(step)
    try:
        step, reply = _asked(going, step, answer_now=last)
    except Interrupted as end:
        _keep(going, replace(going.steps[-1], reply=end.text or going.steps[-1].reply, state="failed"), ended=True)
        raise
    except PanelError:
        _keep(going, replace(going.steps[-1], state="failed"), ended=True)
        raise
    began = time.monotonic()
    made = protocols.understood(
        going.protocol,
        reply.message,
        going.offered,
        repair=options.repair,
        off=going.off,
        finish_reason=reply.finish_reason,
        template_takes_tools=going.model.takes_tools(),
    )
    step = _with(step, reply, made)
    if made.calls and last:
        problem = looped or endings.steps_used(options.most_steps, reply.text or str(reply.message))
        _keep(going, replace(step, state="failed", problem=problem, calls=()), ended=True, since=began)
        raise _End(Outcome("failed", problem=problem))
    if made.calls:
        step = _keep(going, replace(step, state="calling"), since=began, sent=reply.sent.packed())
        _make_calls(going, step)
        return
    step = _keep(going, replace(step, state="done" if made.answer is not None else "failed"), ended=True, since=began, sent=reply.sent.packed())  # fmt: skip
    if made.answer is not None:
        raise _End(Outcome("done", made.answer, made.problem))
    nudges = sum(bool(each.nudge) for each in going.steps)
    if made.problem and made.problem.code in MENDABLE and nudges < MOST_NUDGES and not last:
        # It stands as a step of its own, with the words that asked for a better one.
        _keep(going, replace(step, state="done", nudge=_nudge(made.problem)), ended=True)
        return
    raise _End(Outcome("failed", problem=made.problem))


def _asked(going: _Going, step: Step, *, answer_now: bool) -> tuple[Step, Reply]:
    """The reply; with less of the past where the model's context has no room for all of it."""
    keep = throttled(going.book.save)

    def watch(text: str) -> None:
        going.steps[-1] = keep(going.steps[-1], text)

    while True:
        said = [*past.tight(going.history, going.tight), Said("user", going.turn.text)]
        said += past.of_steps(going.steps[:-1], going.protocol, going.tight)
        sent = protocols.sent(
            going.protocol,
            going.offered,
            going.turn.options.system,
            said,
            lang=going.turn.options.lang,
            answer_now=answer_now,
            result_role="user" if going.result_role == "user" else "system",
        )
        try:
            reply = going.model.reply(sent, going.turn.options, watch=watch, stopped=going.stopped)
            return replace(going.steps[-1], left_out=going.tight), reply
        except PanelError as error:
            if error.code == "context_length_exceeded":
                if going.tight >= past.TIGHTEST:
                    raise _End(_full(going)) from error
                going.tight += 1
            elif error.code in ("request_refused", "server_failed") and going.result_role == "system":
                # Templates such as Llama 2's and Gemma's refuse a system message in the middle of a conversation.
                if going.protocol != "react" or not any(each.calls for each in going.steps):
                    raise
                going.result_role = "user"
            else:
                raise


def _full(going: _Going) -> Outcome:
    problem = endings.context_full(going.turn.model)
    _keep(going, replace(going.steps[-1], state="failed", problem=problem), ended=True)
    return Outcome("failed", problem=problem)


def _make_calls(going: _Going, step: Step) -> None:
    """Make those calls of ``step`` that were not made yet, one after the other."""
    for place, called in enumerate(step.calls):
        if called.state in ("done", "failed", "refused", "unknown"):
            continue
        runs = going.tools.get(called.call.name)
        if runs is None:  # it was switched off since
            problem = problems.tool_off(called.call.name, called.call.name)
            made = replace(called, state="failed", text=_nudge(problem))
        elif called.state == "running" and (runs.tool.asks_first or runs.tool.network):
            made = replace(called, state="unknown", text=NOT_KNOWN)
        elif not _allowed(going, step, place, runs.tool):
            made = replace(called, state="refused", text=NOT_ALLOWED)
        else:
            step = going.steps[-1]
            step = _keep(going, replace(with_call(step, place, replace(called, state="running")), state="calling"))
            made = _call(going, runs, called)
        step = _keep(going, with_call(going.steps[-1], place, made))
        if going.stopped():
            _keep(going, replace(step, state="done"), ended=True)
            raise Interrupted
    _keep(going, replace(going.steps[-1], state="done"), ended=True)
    _stop_at_failures(going)


def _call(going: _Going, runs: Runs, called: Called) -> Called:
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


def _allowed(going: _Going, step: Step, place: int, tool: Tool) -> bool:
    """Whether the call may be made: at once, or after a person's word, for which the turn's time stands still.

    Raises:
        Interrupted; _End: nobody answered.
    """
    if not tool.asks_first or tool.name in going.turn.options.unasked or tool.name in going.book.unasked():
        return True
    began = time.monotonic()
    step = replace(going.steps[-1], state="asking")
    _keep(going, with_call(step, place, replace(step.calls[place], state="asking")))
    budget, going.until = going.until - began, float("inf")
    try:
        while (word := going.book.decision(step, place)) is None:
            if going.book.stopped():
                raise Interrupted
            if time.monotonic() - began > APPROVAL_HOURS * 3600:
                raise _End(Outcome("failed", problem=endings.nobody_answered(tool.title, APPROVAL_HOURS)))
            if tool.name in going.book.unasked():
                return True
            time.sleep(DECISION_LOOK_S)
        return word
    finally:
        going.until = time.monotonic() + budget


def _stop_at_failures(going: _Going) -> None:
    """A tool that fails again and again will not do better the next time."""
    failed = [called for step in going.steps for called in step.calls if called.state == "failed"]
    if not failed:
        return
    last = failed[-1]
    times = sum(each.call.name == last.call.name for each in failed)
    if times >= MOST_FAILURES:
        raise _End(Outcome("failed", problem=endings.tools_failed(last.call.name, times, last.text)))


def _looping(steps: Sequence[Step]) -> Problem | None:
    calls: list[Call] = [called.call for step in steps for called in step.calls]
    return protocols.looping(calls)


def _with(step: Step, reply: Reply, made: Understood) -> Step:
    return replace(
        step,
        reply=reply.text,
        message=reply.message if reply.message.get("tool_calls") else {},
        thought=made.thought,
        calls=tuple(Called(call) for call in made.calls),
        answer=made.answer,
        repairs=made.repairs,
        problem=made.problem,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        counted=reply.counted,
        model_s=reply.seconds,
    )


def _keep(
    going: _Going, step: Step, *, ended: bool = False, since: float | None = None, sent: bytes | None = None
) -> Step:
    """Store ``step``, the last one; ``since``: when our own work on it began."""
    if since is not None:
        step = replace(step, ours_s=step.ours_s + time.monotonic() - since)
    if ended:
        step = replace(step, ended=time.time())
    going.book.save(step, sent)
    going.steps[-1] = step
    return step


def _nudge(problem: Problem) -> str:
    """For the model, in English."""
    return f"Error: {fill(problem.did, problem.params)} Expected: {fill(problem.expected, problem.params)}"
