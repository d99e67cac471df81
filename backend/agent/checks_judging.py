"""What came of one task of a protocol check: whether the calls were the right ones, and whether the answer is.

Other case, width, blanks and signs of punctuation make no difference, nor does a number that is written in another way.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.agent.calls import Call, Problem
from backend.agent.checks_tasks import Expected, Task, Wanted, Words, Worth
from backend.agent.checks_tools import normal, worth
from backend.agent.records import Step
from backend.errors import PanelError, fill
from backend.i18n import _

KEPT_CHARS = 2000
NEAR = 1e-6
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_THOUSANDS = re.compile(r"(?<=\d)[,\u2009\u202f](?=\d{3}(?!\d))")
_BELOW_ZERO = re.compile(r"(?:零下|minus|−)\s*(?=\d)")


@dataclass(frozen=True)
class Came:
    """What came of one task. called: the calls were right; answered: the answer was. repairs: codes. problem: why there is no answer, or a
    doubt about it; error: the server's refusal (:meth:`backend.errors.PanelError.to_dict`)."""

    task: str
    called: bool
    answered: bool
    calls: tuple[Call, ...] = ()
    answer: str = ""
    repairs: tuple[str, ...] = ()
    problem: Problem | None = None
    error: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.called and self.answered


def judged(
    task: Task,
    steps: Sequence[Step],
    answer: str | None,
    problem: Problem | None = None,
    error: PanelError | None = None,
) -> Came:
    """What came of ``task``: the steps of its turn, and how that ended."""
    calls = tuple(called.call for step in steps for called in step.calls)
    seconds = sum(step.model_s for step in steps)
    problem = problem or next((step.problem for step in reversed(steps) if step.problem), None)
    return Came(
        task.id,
        called=calls_right(task, calls),
        answered=answer_right(task, answer),
        calls=calls,
        answer=(answer or "")[:KEPT_CHARS],
        repairs=tuple(repair.code for step in steps for repair in step.repairs),
        problem=problem and replace(problem, evidence=problem.evidence[:KEPT_CHARS]),
        error=error.to_dict() if error else {},
        seconds=round(seconds, 3),
    )


def calls_right(task: Task, calls: Sequence[Call]) -> bool:
    """Whether these are the calls that ``task`` needs: no other one, none twice, in their order."""
    return len(calls) == len(task.calls) and all(map(_call_right, task.calls, calls))


def answer_right(task: Task, answer: str | None) -> bool:
    """Whether ``answer`` holds what it has to."""
    if answer is None:
        return False
    text = _BELOW_ZERO.sub("-", _THOUSANDS.sub("", normal(answer)))
    return all(any(_holds(text, one) for one in group) for group in task.answer)


def _call_right(expected: Expected, call: Call) -> bool:
    given = {name: value for name, value in call.arguments.items() if value not in (None, "")}
    return (
        call.name == expected.name
        and given.keys() == expected.arguments.keys()
        and all(_same(wanted, given[name]) for name, wanted in expected.arguments.items())
    )


def _same(wanted: Wanted, given: Any) -> bool:
    if isinstance(wanted, Words):
        return all(word in normal(given) for word in wanted.words)
    if isinstance(wanted, Worth):
        value = worth(str(given))
        return value is not None and math.isclose(value, wanted.value, rel_tol=NEAR)
    return any(_equal(one, given) for one in wanted)


def _equal(wanted: str | float, given: Any) -> bool:
    if isinstance(wanted, str):
        # A place is often told with its country: "Lisbon, Portugal".
        return normal(wanted) in (normal(given), normal(normal(given).split(",")[0]))
    try:
        return math.isclose(float(given), wanted, rel_tol=NEAR)
    except (TypeError, ValueError):
        return False


def _holds(text: str, wanted: str) -> bool:
    if _NUMBER.fullmatch(wanted):
        return any(math.isclose(float(one), float(wanted), rel_tol=NEAR) for one in _NUMBER.findall(text))
    if wanted.isascii():
        return re.search(rf"\b{re.escape(wanted)}\b", text) is not None
    return wanted in text


def expected(call: Expected) -> str:
    """A call as it should be, to be read."""
    return f"{call.name}({', '.join(f'{name}={_wanted(wanted)}' for name, wanted in call.arguments.items())})"


def made(call: Call) -> str:
    """A call as it came, to be read."""
    told = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    return f"{call.name}({told})"


def in_words(came: Came) -> str:
    """What came of a task: the calls, the answer, and why there is none."""
    parts = [", ".join(map(made, came.calls)) or _("no call")]
    if came.answer:
        parts.append(f"“{' '.join(came.answer.split())[:200]}”")
    if came.problem:
        parts.append(fill(_(came.problem.did), came.problem.params))
    if came.error:
        parts.append(PanelError.from_dict(dict(came.error)).localized()[0])
    return " · ".join(parts)


def _wanted(wanted: Wanted) -> str:
    if isinstance(wanted, Words):
        return json.dumps(f"… {' … '.join(wanted.words)} …", ensure_ascii=False)
    if isinstance(wanted, Worth):
        return f"… = {wanted.value:.10g}"
    return json.dumps(wanted[0], ensure_ascii=False)
