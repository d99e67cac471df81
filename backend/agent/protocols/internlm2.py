"""Replies in Lagent's form for InternLM2: text, then a plugin's JSON between special tokens."""

from __future__ import annotations

import re

from backend.agent.calls import Call, Understood
from backend.agent.protocols import checking, embedded, problems, signs
from backend.agent.protocols.calling import Reading, call_of, named_in, note_slips, unfenced
from backend.agent.protocols.problems import Wrong
from backend.agent.protocols.values import Broken, read

START, END, PLUGIN, INTERPRETER = "<|action_start|>", "<|action_end|>", "<|plugin|>", "<|interpreter|>"
RESULT = re.compile(r"<\|im_start\|>\s{0,9}(?:environment|user|system)|\[UNUSED_TOKEN_146\]\s{0,9}environment")
HALF = re.compile(r"(?:\A|\n)\s{0,99}(?:<\|)?(?:plugin|action_start)(?:\|>)?\s{0,99}(?=[{｛])")


def understand(text: str, reading: Reading) -> Understood:
    """What ``text`` is understood as.

    Raises:
        Wrong: a call in it cannot be.
    """
    if START in text or PLUGIN in text or INTERPRETER in text:
        return _called(text, reading)
    other = signs.form_used(text, [tool.name for tool in reading.tools], "internlm2")
    if other:
        raise Wrong(problems.other_protocol("internlm2", *other))
    wrapped = next((each for each in embedded.marked(text, reading) if each.calls), None)
    if wrapped:
        raise Wrong(problems.other_protocol("internlm2", "openai", text[wrapped.start : wrapped.end]))
    return _without_tokens(text, reading)


def _called(text: str, reading: Reading) -> Understood:
    at = text.find(START)
    if at < 0:
        at = min(place for place in (text.find(PLUGIN), text.find(INTERPRETER)) if place >= 0)
        reading.repaired("token_missing", text[at : at + 100], START + text[at : at + 100])
    thought = text[:at].strip()
    body = text[at:].removeprefix(START)
    result = RESULT.search(body)
    if result:
        if body[: result.start()].replace(END, "").strip() != body.replace(END, "").strip():
            reading.repaired("made_up_result", body[result.start() :], "")
        body, reading.cut = body[: result.start()].replace("<|im_end|>", ""), False
    inside, ended, after = body.partition(END)
    reading.cut = reading.cut and not ended
    others = after.count(START) + (inside.count(START) if not ended else 0)
    inside = inside.partition(START)[0]
    kind = inside.lstrip()
    if kind.startswith(INTERPRETER):
        return Understood(thought, (_interpreted(kind.removeprefix(INTERPRETER), reading),))
    if not kind.startswith(PLUGIN):
        reading.repaired("token_missing", inside[:100], PLUGIN + inside[:100])
    call = _plugin(kind.removeprefix(PLUGIN), reading)
    if after.strip() and not others:
        reading.repaired("text_after", after, "")
    problem = problems.several_calls(others + 1, call.name, text[at:]) if others else None
    return Understood(thought, (call,), problem=problem)


def _plugin(body: str, reading: Reading) -> Call:
    body = unfenced(reading, body)
    if not body:
        raise Wrong(problems.cut_off(START) if reading.cut else problems.broken_json("", START + PLUGIN))
    try:
        found = read(body)
    except Broken as error:
        raise reading.broken(_guess(body, reading), body, error) from error
    note_slips(reading, body, 0, found.end, found.value, found.slips)
    if body[found.end :].strip():
        reading.repaired("text_after", body, body[: found.end])
    calls = named_in(found.value)
    if not calls:
        raise Wrong(problems.broken_json("", body))
    name, given, _there = calls[0]
    if not (isinstance(found.value, dict) and set(found.value) >= {"name", "parameters"}) and given is not None:
        reading.repaired("other_keys", body[: found.end], '{"name": …, "parameters": …}')
    return call_of(reading, name, given, body)


def _interpreted(code: str, reading: Reading) -> Call:
    """A call of the interpreter: for the one tool here that takes code."""
    fits = [tool for tool in reading.tools if "code" in checking.properties(tool)]
    if len(fits) != 1:
        raise Wrong(problems.unknown_tool("interpreter", "", INTERPRETER + code))
    reading.repaired("interpreter", INTERPRETER + code, fits[0].name)
    if reading.cut:
        raise Wrong(problems.cut_off(code))
    return call_of(reading, fits[0].name, {"code": unfenced(reading, code)}, code)


def _guess(body: str, reading: Reading) -> str:
    return next((tool.name for tool in reading.tools if f'"{tool.name}"' in body[:1000]), "")


def _without_tokens(text: str, reading: Reading) -> Understood:
    found = embedded.unmarked(text, reading)
    if found and any(reading.known(name) for name, _given in found.calls):
        before, after = text[: found.start], text[found.end :]
        if before.strip() and after.strip():
            return Understood(
                answer=text.strip(), problem=problems.call_in_answer(found.calls[0][0], text[found.start : found.end])
            )
        note_slips(reading, text, found.json_start, found.json_end, found.value, found.slips)
        reading.repaired(
            "stripped_tokens", text[found.start : found.end], START + PLUGIN + text[found.start : found.end]
        )
        name, given = found.calls[0]
        call = call_of(reading, name, given, text[found.start : found.end])
        return Understood(HALF.sub("", before.strip() + "{").rstrip("{").strip(), (call,))
    broken = embedded.broken_call(text, reading)
    if broken:
        raise reading.broken(_guess(text, reading), text, broken)
    if found:
        raise Wrong(problems.unknown_tool(found.calls[0][0], "", text[found.start : found.end]))
    return _prose(text, reading)


def _prose(text: str, reading: Reading) -> Understood:
    said, ends = signs.announced(text, reading.tools)
    if reading.cut:
        return Understood(answer=text.strip(), problem=problems.cut_off(text[-2000:]))
    problem = problems.no_call_made("internlm2", said) if said else None
    if problem and ends:
        raise Wrong(problem)
    return Understood(answer=text.strip(), problem=problem)
