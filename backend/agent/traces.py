"""From a turn of an agent to a row that a model can be taught with: what was good, or was corrected by hand, in the form in which it was asked.

Learned is what the model should say in this turn: thoughts, calls and the answer. What it was told (its tools, results, earlier turns) is there to be
understood. Calls stand as they were understood, so a repaired one is in the right form; replies that came to nothing, and calls that failed or were
refused, are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from backend.agent.calls import Call, Protocol
from backend.agent.protocols import sending
from backend.agent.records import Called, Step, Turn
from backend.agent.tools import Tool
from backend.chat.sent import Sent
from backend.data.collected import Added, Collected
from backend.data.rows import IMAGE, Row, trained
from backend.errors import ConflictError
from backend.i18n import N_
from backend.workspace import Workspace

Before = Sequence[tuple[Turn, Sequence[Step]]]
"""Earlier turns of the conversation, each with its steps."""


@dataclass(frozen=True)
class Told:
    """What the model was told before anything was said: system messages, and the functions where the server has them."""

    system: tuple[Mapping[str, Any], ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Part:
    """One reply that is learned: a call or several with what they gave, or the answer."""

    thought: str = ""
    calls: tuple[Called, ...] = ()
    answer: str | None = None


def told_by(protocol: Protocol, tools: Sequence[Tool], own_system: str = "", lang: str = "en") -> Told:
    """What a model that is offered ``tools`` is told."""
    sent = sending.sent(protocol, tools, own_system, (), lang=lang)
    return Told(tuple(sent.messages), tuple(sent.tools))


def told_in(sent: Sent) -> Told:
    """What it was really told, from the record of a request.

    Raises:
        ConflictError: ``trace_prompt_unknown``: the record does not hold it.
    """
    messages = sent.request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ConflictError(
            "trace_prompt_unknown",
            N_("What the model was told about its tools is not known any more."),
            N_("Ask the question again: a new turn keeps it."),
        )
    first: list[Mapping[str, Any]] = []
    for message in messages:
        if message.get("role") != "system":
            break
        first.append(message)
    return Told(tuple(first), tuple(sent.request.get("tools") or ()))


def parts(turn: Turn, steps: Sequence[Step]) -> list[Part]:
    """The replies of ``turn`` that are worth learning; the answer is the last one, empty where there is none."""
    made = [Part(step.thought, step.calls) for step in steps if step.calls and _sound(step)]
    last = next((step for step in reversed(steps) if step.answer is not None), None)
    answer = turn.answer if turn.answer is not None else last.answer if last else None
    return [*made, Part(last.thought if last else "", answer=answer or "")]


def left_out(steps: Sequence[Step]) -> int:
    """How many replies :func:`parts` leaves out."""
    return sum(not _sound(step) for step in steps)


def _sound(step: Step) -> bool:
    if step.state == "failed" or step.nudge:
        return False
    return all(called.state == "done" for called in step.calls) if step.calls else step.answer is not None


def arguments(text: str, tool: str) -> dict[str, Any]:
    """The arguments of a call of ``tool`` that a person has typed.

    Raises:
        ConflictError: ``trace_arguments_bad``.
    """
    try:
        found = json.loads(text)
        why = "" if isinstance(found, dict) else "{…}"
    except (ValueError, RecursionError) as error:
        found, why = None, str(error)
    if not isinstance(found, dict):
        raise ConflictError(
            "trace_arguments_bad",
            N_("The arguments of {tool} are no JSON object: {problem}."),
            N_('Write them as {{"name": "value"}}, with double quotes.'),
            tool=tool,
            problem=why,
        )
    return found


def with_arguments(part: Part, given: Sequence[Mapping[str, Any]]) -> Part:
    """``part`` with other arguments in its calls; the results stay."""
    calls = (
        replace(each, call=replace(each.call, arguments=dict(new))) for each, new in zip(part.calls, given, strict=True)
    )
    return replace(part, calls=tuple(calls))  # fmt: skip


def messages(before: Before, turn: Turn, learned: Sequence[Part], told: Told) -> list[dict[str, Any]]:
    """The whole conversation as it is sent in the form of ``turn``, each message with its ``loss``.

    Raises:
        ConflictError: ``trace_no_answer``.
    """
    if not learned or not (learned[-1].answer or "").strip():
        raise ConflictError(
            "trace_no_answer",
            N_("There is no answer to learn from."),
            N_("Type the answer that the model should give at the end."),
        )
    earlier: list[sending.Turn] = []
    for number, (asked, steps) in enumerate(before):
        if asked.answer is not None:
            earlier += [sending.Turn("user", asked.text), *_said(parts(asked, steps), f"{number}_")]
    now = [sending.Turn("user", turn.text), *_said(learned, "")]
    form = protocol_of(turn)
    # Without tools and system prompt: those are what the model was really told.
    bodies = [sending.sent(form, (), "", each, lang=turn.options.lang).messages for each in (earlier, now)]
    made = [{**message, "loss": False} for message in (*told.system, *bodies[0])]
    made += [{**message, "loss": message["role"] == "assistant"} for message in bodies[1]]
    return [{**message, "content": _as_text(message["content"])} for message in made]


def own(said: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()) -> Row:
    """The same as a row of ours, in which calls stay calls; ``loss`` only where it is not what its role says."""
    listed: list[dict[str, Any]] = []
    for message in said:
        kept = {key: value for key, value in message.items() if key != "loss"}
        if kept["role"] == "environment":
            kept["role"] = "tool"
        if message["loss"] != trained(cast(Any, kept)):
            kept["loss"] = message["loss"]
        listed.append(kept)
    made: dict[str, Any] = {"messages": listed}
    if tools:
        made["tools"] = [dict(tool) for tool in tools]
    return cast(Row, made)


def collect(
    workspace: Workspace, name: str, before: Before, turn: Turn, learned: Sequence[Part], told: Told, original: Sequence[Part]
) -> Added:  # fmt: skip
    """Append the turn to the collection ``name``. ``original``: what the model itself said.

    Raises:
        ConflictError: ``trace_no_answer``, ``collection_name_bad``. WorkspaceError: the disk is full or read-only.
    """
    made = own(messages(before, turn, learned, told), told.tools)
    corrected = list(learned) != list(original)
    lineage = {
        "source": "agent",
        "conversation": turn.conversation,
        "message": turn.id,
        "model": turn.model,
        "collected": datetime.now(UTC).isoformat(timespec="seconds"),
        "corrected": corrected,
        "original": json.dumps([_told(part) for part in original], ensure_ascii=False) if corrected else "",
        "protocol": protocol_of(turn),
    }
    return Collected(workspace).add(name, cast(Any, made["messages"]), lineage, made.get("tools", ()))


def protocol_of(turn: Turn) -> Protocol:
    """The form in which ``turn`` was asked."""
    return turn.protocol or ("react" if turn.options.protocol == "auto" else turn.options.protocol)


def _said(learned: Sequence[Part], prefix: str) -> list[sending.Turn]:
    said: list[sending.Turn] = []
    for number, part in enumerate(learned, 1):
        calls = tuple(_with_id(each.call, f"call_{prefix}{number}_{place}") for place, each in enumerate(part.calls))
        said.append(sending.Turn("assistant", part.answer or "", thought=part.thought, calls=calls))
        said += [sending.Turn("tool", each.text, id=call.id) for call, each in zip(calls, part.calls, strict=True)]
    return said


def _with_id(call: Call, number: str) -> Call:
    return call if call.id else replace(call, id=number)


def _told(part: Part) -> dict[str, Any]:
    calls = [{name: asdict(each.call)[name] for name in ("name", "arguments")} for each in part.calls]
    return {"thought": part.thought, "calls": calls, "answer": part.answer}


def _as_text(text: Any) -> str:
    """``text`` in which nothing stands for a picture that is not there."""
    return str(text or "").replace(IMAGE, "< image >")
