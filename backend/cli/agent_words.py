"""What several commands of ``agent`` print: problems and repairs, as JSON and for a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backend.agent.calls import Problem, Repair
from backend.agent.protocols.problems import piece
from backend.errors import fill
from backend.i18n import _


def problem_dict(problem: Problem) -> dict[str, Any]:
    """A problem as JSON, in words."""
    return {
        "code": problem.code,
        "did": fill(_(problem.did), problem.params),
        "expected": fill(_(problem.expected), problem.params),
        "evidence": problem.evidence,
        "helps": list(problem.helps),
    }


def repair_dicts(repairs: Iterable[Repair]) -> list[dict[str, str]]:
    """Repairs as JSON."""
    return [{"code": each.code, "before": each.before, "after": each.after} for each in repairs]


def repairs_told(repairs: Iterable[Repair]) -> list[str]:
    """A line for each repair."""
    text = _("Repaired ({code}): {before} -> {after}")
    return [text.format(code=r.code, before=piece(r.before, 200), after=piece(r.after, 200)) for r in repairs]
