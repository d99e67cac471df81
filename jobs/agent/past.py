"""What a model is told of earlier turns and of earlier steps of its turn: whole, or shortened as far as its context demands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backend.agent.calls import Call, Protocol
from backend.agent.protocols.sending import Turn as Said
from backend.agent.records import Step, Turn

TIGHTEST = 4
"""0: all of it. 1: results of earlier turns are short. 2: half of the earlier turns. 3: none of them, and results of this turn shortened. 4: very much."""
_RESULT_CHARS = {0: 20_000, 1: 8_000, 2: 4_000, 3: 1_500, 4: 300}
_EARLIER_CHARS = {0: 2_000, 1: 300, 2: 150}


def of_turns(turns: Sequence[tuple[Turn, Sequence[Step]]], protocol: Protocol) -> list[Said]:
    """Earlier turns that came to an answer, with their calls."""
    said: list[Said] = []
    for turn, steps in turns:
        if turn.answer is None:
            continue
        said.append(Said("user", turn.text))
        said += [each for each in of_steps(steps, protocol, 0) if each.calls or each.role == "tool"]
        said.append(Said("assistant", turn.answer, thought=steps[-1].thought if steps else ""))
    return said


def of_steps(steps: Sequence[Step], protocol: Protocol, tight: int) -> list[Said]:
    """Steps of one turn: replies with calls and their results; a reply that was not understood, with what was said to it."""
    said: list[Said] = []
    for step in steps:
        if step.nudge:
            said.append(Said("assistant", raw=step.reply or "…"))
            said.append(Said("tool" if protocol == "react" else "user", step.nudge))
        elif step.calls:
            calls = tuple(_with_id(step, place, called.call) for place, called in enumerate(step.calls))
            said.append(Said("assistant", thought=step.thought, calls=calls))
            for call, called in zip(calls, step.calls, strict=True):
                said.append(Said("tool", _cut(called.text, _RESULT_CHARS[tight]), id=call.id))
    return said


def tight(history: Sequence[Said], level: int) -> list[Said]:
    """``history`` as far as ``level`` leaves it; it begins with a person's words."""
    if level >= 3:
        return []
    kept = [
        replace(each, text=_cut(each.text, _EARLIER_CHARS[level])) if each.role == "tool" else each for each in history
    ]
    if level == 2:
        begins = [place for place, each in enumerate(kept) if each.role == "user"]
        kept = kept[begins[len(begins) // 2] :] if len(begins) > 1 else []
    return kept


def _with_id(step: Step, place: int, call: Call) -> Call:
    return call if call.id else replace(call, id=f"call_{step.number}_{place}")


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters left out …]\n{text[-half:]}"
