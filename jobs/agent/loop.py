"""One turn of an agent: the model is asked, its calls are made, their results go back to it, until it answers or a reason ends the turn.

Whatever happens is a step in the book before anything follows from it: killed at any point, the turn goes on from its steps. A call that may have acted on
the outside, and in whose middle the program died, is not repeated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from backend.agent import endings, protocols
from backend.agent.calls import Call, Problem, Protocol, Understood
from backend.agent.protocols.sending import Turn as Said
from backend.agent.records import Called, Step, Turn
from backend.agent.tools import Context, Runs
from backend.errors import PanelError
from jobs.agent import calling, past
from jobs.agent.asking import Asks, Interrupted, Reply
from jobs.agent.book import Book, throttled
from jobs.agent.going import End, Going, Outcome, keep, nudge

__all__ = ["Outcome", "run_turn"]
MENDABLE = ("broken_json", "bad_arguments", "unknown_tool", "tool_off", "empty_reply", "made_up_result")
"""Problems that a model often mends when it is told of them."""
MOST_NUDGES = 2


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
    going = Going(
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
            calling.make(going, going.steps[-1])
        while True:
            _step(going)
    except End as end:
        return end.outcome
    except Interrupted:
        if book.stopped():
            return Outcome("stopped")
        return Outcome("failed", problem=endings.time_used(turn.options.most_seconds))
    except PanelError as error:
        return Outcome("failed", error=error)


def _step(going: Going) -> None:
    """One reply, and the calls in it."""
    options = going.turn.options
    number = len(going.steps) + 1
    looped = _looping(going.steps)
    last = number >= options.most_steps or looped is not None
    step = going.book.begin_step(number)
    going.steps.append(step)
    try:
        step, reply = _asked(going, answer_now=last)
    except Interrupted as end:
        keep(going, replace(going.steps[-1], reply=end.text or going.steps[-1].reply, state="failed"), ended=True)
        raise
    except PanelError:
        keep(going, replace(going.steps[-1], state="failed"), ended=True)
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
    step, packed = _with(step, reply, made), reply.sent.packed()
    if made.calls and last:
        problem = looped or endings.steps_used(options.most_steps, reply.text or str(reply.message))
        step = replace(step, state="failed", problem=problem, calls=())
        keep(going, step, ended=True, since=began, sent=packed)
        raise End(Outcome("failed", problem=problem))
    if made.calls:
        step = keep(going, replace(step, state="calling"), since=began, sent=packed)
        calling.make(going, step)
        return
    step = replace(step, state="done" if made.answer is not None else "failed")
    step = keep(going, step, ended=True, since=began, sent=packed)
    if made.answer is not None:
        raise End(Outcome("done", made.answer, made.problem))
    nudges = sum(bool(each.nudge) for each in going.steps)
    if made.problem and made.problem.code in MENDABLE and nudges < MOST_NUDGES and not last:
        # It stands as a step of its own, with the words that asked for a better one.
        keep(going, replace(step, state="done", nudge=nudge(made.problem)), ended=True)
        return
    raise End(Outcome("failed", problem=made.problem))


def _asked(going: Going, *, answer_now: bool) -> tuple[Step, Reply]:
    """The reply; with less of the past where the model's context has no room for all of it."""
    stream = throttled(going.book.save)

    def watch(text: str) -> None:
        going.steps[-1] = stream(going.steps[-1], text)

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
                    raise End(_full(going)) from error
                going.tight += 1
            elif error.code in ("request_refused", "server_failed") and going.result_role == "system":
                # Templates such as Llama 2's and Gemma's refuse a system message in the middle of a conversation.
                if going.protocol != "react" or not any(each.calls for each in going.steps):
                    raise
                going.result_role = "user"
            else:
                raise


def _full(going: Going) -> Outcome:
    problem = endings.context_full(going.turn.model)
    keep(going, replace(going.steps[-1], state="failed", problem=problem), ended=True)
    return Outcome("failed", problem=problem)


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
