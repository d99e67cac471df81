"""Replies in Lagent's ReAct form: Thought, Action, Action Input; or Thought, Final Answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backend.agent.calls import Understood
from backend.agent.protocols import checking, embedded, problems, signs
from backend.agent.protocols.calling import Reading, call_of
from backend.agent.protocols.problems import Wrong

LABELS = {
    "thought": "thought", "思考": "thought", "想法": "thought",
    "action": "action", "行动": "action", "动作": "action", "工具": "action", "工具名称": "action",
    "action input": "input", "action_input": "input", "actioninput": "input", "行动输入": "input", "动作输入": "input",
    "工具输入": "input", "工具输入参数": "input",
    "response": "result", "observation": "result", "观察": "result", "工具返回": "result", "返回结果": "result",
    "final answer": "answer", "final_answer": "answer", "最终答案": "answer", "最终回答": "answer",
}  # fmt: skip
STRICT = ("Thought:", "Action:", "Action Input:", "Response:", "Final Answer:")
_WORDS = "|".join(re.escape(word) for word in sorted(LABELS, key=len, reverse=True))
LABEL = re.compile(rf"^([ \t>*#-]{{0,8}})({_WORDS})(\*{{0,2}}[ \t]{{0,4}}[:：]\*{{0,2}})", re.MULTILINE | re.IGNORECASE)
INLINE = re.compile(r"(?<![\w\n])(?=(Action|Action Input|Final Answer):)")
NO_TOOL = frozenset(
    [
        "none",
        "no",
        "n/a",
        "na",
        "null",
        "nil",
        "nothing",
        "no_tool",
        "no_action",
        "noaction",
        "finish",
        "final_answer",
        "finishaction",
        "无",
        "不需要",
        "没有",
        "无需",
        "不使用",
        "不需要使用工具",
        "无需使用工具",
        "无需工具",
    ]
)
CALLED = re.compile(r"\A[`'\"*\s\[]{0,8}([\w. -]{1,100}?)[`'\"*\]]{0,8}\s{0,8}(?=[({｛])")


@dataclass(frozen=True)
class Part:
    """What stands after a label. start: of the label in the text."""

    kind: str
    body: str
    start: int


def understand(text: str, reading: Reading) -> Understood:
    """What ``text`` is understood as.

    Raises:
        Wrong: a call in it cannot be.
    """
    head, parts = _parts(_unbroken(text), reading)
    thought = " ".join(_tidy(part) for part in (head, *_bodies(parts, "thought")) if _tidy(part))
    number = next((number for number, part in enumerate(parts) if part.kind == "action"), None)
    answers = [part for part in parts if part.kind == "answer"]
    if number is not None and not (answers and not _is_tool(parts[number].body, reading)):
        # Thoughts after the call are about a result that is not there yet.
        before = (head, *_bodies(parts[:number], "thought"))
        return _called(text, " ".join(_tidy(each) for each in before if _tidy(each)), parts[number:], reading)
    if answers:
        return _answered(thought, answers[0] if len(answers) == 1 else answers[-1], parts, reading)
    if number is None and any(part.kind == "input" for part in parts):
        raise Wrong(problems.no_call_made("react", text))
    if any(part.kind == "result" and part.body.strip() for part in parts):
        raise Wrong(problems.made_up_result(text))
    return _unformed(text, bool(parts), reading)


def _called(text: str, thought: str, parts: list[Part], reading: Reading) -> Understood:
    """parts: from the first action on."""
    name, rest = _name(parts[0].body, reading)
    own = parts[1] if len(parts) > 1 and parts[1].kind == "input" else None
    evidence = text[parts[0].start : parts[0].start + 2000]
    after = parts[2:] if own else parts[1:]
    if own is None and rest is None and reading.cut and not after:
        raise Wrong(problems.cut_off(evidence))
    actions = [part for part in parts if part.kind == "action"]
    ended = next((place for place, part in enumerate(after) if part.kind in ("result", "answer")), None)
    if ended is not None and (after[ended].body.strip() or ended + 1 < len(after)):
        made_up = "".join(f"{part.kind}: {part.body}" for part in after[ended:])
        reading.repaired("made_up_result", made_up, "")
        actions = [part for part in actions if part.start <= after[ended].start]
    reading.cut = reading.cut and not after
    given = own.body if own else rest
    if given is None:
        reading.repaired("no_input", evidence, "{}")
    call = call_of(reading, name, _unended(given or ""), evidence)
    problem = problems.several_calls(len(actions), call.name, text) if len(actions) > 1 else None
    return Understood(thought, (call,), problem=problem)


def _answered(thought: str, answer: Part, parts: list[Part], reading: Reading) -> Understood:
    body = _outside_fence(answer.body)
    made_up = next((part for part in parts if part.kind == "result" and part.body.strip()), None)
    problem = None
    if made_up:
        problem = problems.made_up_result(made_up.body)
    elif not body:
        problem = problems.cut_off(answer.body) if reading.cut else problems.empty_reply(thought)
    else:
        inside = embedded.unmarked(body, reading)
        if inside and any(reading.known(name) for name, _given in inside.calls):
            problem = problems.call_in_answer(inside.calls[0][0], body[inside.start : inside.end])
    return Understood(thought, answer=body or None, problem=problem)


def _unformed(text: str, labelled: bool, reading: Reading) -> Understood:
    """A reply without a call and without a final answer."""
    names = [tool.name for tool in reading.tools]
    other = signs.form_used(text, names, "react")
    if other:
        raise Wrong(problems.other_protocol("react", *other))
    found = next(iter(embedded.marked(text, reading)), None) or embedded.unmarked(text, reading)
    if found and found.calls:
        raise Wrong(problems.other_protocol("react", "openai", text[found.start : found.end]))
    said, ends = signs.announced(text, reading.tools)
    if reading.cut:
        raise Wrong(problems.cut_off(text[-2000:]))
    if said and ends:
        raise Wrong(problems.no_call_made("react", said))
    plain = re.sub(r"\A\s*Thought[:：]\s*", "", text)
    if labelled and not plain.strip():
        raise Wrong(problems.empty_reply())
    doubt = problems.form_ignored("react", text) if reading.tools else None
    return Understood(answer=plain.strip(), problem=doubt)


def _parts(text: str, reading: Reading) -> tuple[str, list[Part]]:
    """What stands before the first label, and what stands after each."""
    found = list(LABEL.finditer(text))
    if not found:
        return text, []
    parts: list[Part] = []
    for label, following in zip(found, [*found[1:], None], strict=True):
        written = label.group(2) + label.group(3).strip()
        kind = LABELS[label.group(2).lower()]
        if (written not in STRICT or label.group(1).strip()) and kind in ("action", "input", "answer"):
            reading.repaired(
                "label", label.group(), f"{STRICT[('thought', 'action', 'input', 'result', 'answer').index(kind)]}"
            )
        parts.append(Part(kind, text[label.end() : following.start() if following else len(text)], label.start()))
    return text[: found[0].start()], parts


def _unbroken(text: str) -> str:
    """``text`` with Lagent's own labels at the beginnings of lines, as it finds them anywhere."""
    if re.search(r"^Action Input:", text, re.MULTILINE) and re.search(r"^Action:", text, re.MULTILINE):
        return text
    if "Action:" in text and "Action Input:" in text:
        return INLINE.sub("\n", text)
    return text


def _name(body: str, reading: Reading) -> tuple[str, str | None]:
    """The name of the tool in what stands after Action, and arguments that stand there with it."""
    line = body.strip().lstrip("`").strip()
    found = CALLED.match(line)
    if found and reading.known(found.group(1)):
        rest = line[found.end() :]
        if rest.startswith("("):
            end = rest.rfind(")")
            rest = rest[1:end] if end > 0 else rest[1:]
        return found.group(1).strip(), rest
    return line.partition("\n")[0].strip(), None


def _is_tool(body: str, reading: Reading) -> bool:
    """Whether what stands after Action is more than a way of saying that no tool is needed."""
    name, _rest = _name(body, reading)
    return bool(name) and checking.plain(name) not in NO_TOOL and (reading.known(name) or len(name) <= 64)


def _unended(text: str) -> str:
    """Action Input without the fence that was opened before the labels, as the prompt shows them in one."""
    stripped = text.strip()
    return stripped[:-3].rstrip() if stripped.endswith("```") and stripped.count("```") == 1 else stripped


def _outside_fence(text: str) -> str:
    stripped = text.strip()
    return stripped[:-3].rstrip() if stripped.endswith("```") and stripped.count("```") % 2 else stripped


def _bodies(parts: list[Part], kind: str) -> list[str]:
    return [part.body for part in parts if part.kind == kind]


def _tidy(text: str) -> str:
    return text.strip().strip("`").strip()
