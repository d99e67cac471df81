"""What the raw reply of a model is understood as, whichever way of calling tools it was asked to use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Protocol = Literal["openai", "react", "internlm2"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
"""openai: the server's own ``tools=``. react: Lagent's ReAct text. internlm2: Lagent's form for InternLM2, with special tokens."""


@dataclass(frozen=True)
class Call:
    """One call of a tool. id: the server's, or one that we gave."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Repair:
    """A call that was nearly right. code: what was done, such as ``bare_value`` or ``single_quotes``. before, after: the piece of text."""

    code: str
    before: str
    after: str


@dataclass(frozen=True)
class Problem:
    """What went wrong, to be shown as a banner. code: stable. did, expected: English templates marked with ``N_``, filled from ``params``.
    evidence: the piece of the reply that shows it. helps: what helps, best first: ``repair``, ``other_protocol``, ``other_template``,
    ``more_examples``, ``finetune``, ``other_tool``, ``longer_context``, ``try_again``."""

    code: str
    did: str
    expected: str
    evidence: str = ""
    helps: tuple[str, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Understood:
    """thought: what stands before a call. calls: in their order. answer: the final one, None where there is none. With neither calls nor answer
    there is a problem; a problem beside an answer is a doubt ("it answered without a tool, and speaks of having used one")."""

    thought: str = ""
    calls: tuple[Call, ...] = ()
    answer: str | None = None
    repairs: tuple[Repair, ...] = ()
    problem: Problem | None = None
