"""How well a model calls tools, in each form: what came of the twenty tasks, which form to use with it, and where that is kept.

    workspace/agent/checks/<model>.json     the last check of a model, its fingerprint beside it

A task is passed where the calls were the right ones, in their order and with the right arguments, and the answer holds what it has to.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from backend import catalog
from backend.agent.calls import PROTOCOLS, Call, Protocol
from backend.agent.checks_judging import Came
from backend.agent.checks_tasks import BY_ID, TASKS, Task
from backend.agent.records import problem_from
from backend.catalog.entries import entry_file
from backend.catalog.looks import folder_stamp
from backend.errors import PanelError, fill
from backend.i18n import N_, _
from backend.workspace import Workspace, read_json, write_json

TITLES: dict[Protocol, str] = {
    "openai": N_("the server's own tools"),
    "react": N_("ReAct"),
    "internlm2": N_("the InternLM2 form"),
}
"""What people read for a protocol, within a sentence."""


@dataclass(frozen=True)
class Score:
    """Of one protocol."""

    tasks: tuple[Came, ...]

    @property
    def called(self) -> int:
        return sum(each.called for each in self.tasks)

    @property
    def answered(self) -> int:
        return sum(each.answered for each in self.tasks)

    @property
    def passed(self) -> int:
        return sum(each.passed for each in self.tasks)

    @property
    def with_tool(self) -> int:
        """Passed, of those that need a tool."""
        return sum(each.passed and bool(BY_ID[each.task].calls) for each in self.tasks)

    @property
    def repaired(self) -> int:
        """Calls that had to be mended."""
        return sum(len(each.repairs) for each in self.tasks)

    @property
    def problems(self) -> Counter[str]:
        """Code -> in how many tasks that were not passed it was met."""
        return Counter(each.problem.code for each in self.tasks if each.problem and not each.passed)


@dataclass(frozen=True)
class Checked:
    """A check of ``model``, which had that ``fingerprint`` then. at: epoch seconds."""

    model: str
    fingerprint: str
    at: float
    protocols: Mapping[str, Score] = field(default_factory=dict)


def best(record: Checked) -> Protocol | None:
    """The form in which most tasks were passed; of equals the one with more right calls, then with fewer repairs, then the first of
    :data:`PROTOCOLS`. None where no task that needs a tool was passed: a model that never calls one passes the others."""
    known = [name for name in PROTOCOLS if name in record.protocols and record.protocols[name].with_tool]
    return max(known, key=lambda name: _rank(record.protocols[name]), default=None)


def _rank(score: Score) -> tuple[float, float, float]:
    count = len(score.tasks)
    return score.passed / count, score.called / count, -score.repaired / count


def choose(workspace: Workspace, model: str) -> Protocol | None:
    """The form to use with ``model``; None where it was not checked as it is now, or does not call tools rightly in any."""
    record = read(workspace, model)
    if record is None or record.fingerprint != fingerprint(workspace, model):
        return None
    return best(record)


def sentence(record: Checked) -> str:
    """What to do with the model, for a person."""
    found = best(record)
    if found is None:
        return _(
            "No task that needs a tool was passed in any form. Teach the model with good traces, or take another one."
        )
    score = record.protocols[found]
    text = _("Use {protocol} for this model: it passed {passed} of {count} tasks.")
    return fill(text, {"protocol": _(TITLES[found]), "passed": score.passed, "count": len(score.tasks)})


def fingerprint(workspace: Workspace, model: str) -> str:
    """Of the model's files, those of an adapter's base and its chat template; empty for one that is not on the list."""
    try:
        card = catalog.find(workspace, model)
    except PanelError:
        return ""
    folders = [card.path, *([card.base.path] if card.base else [])]
    stamps = [[each[:3] for each in folder_stamp(str(folder)) if not _only_told(each[0])] for folder in folders]
    text = json.dumps([stamps, card.served.template_fingerprint])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _only_told(name: str) -> bool:
    """Files that change nothing about what the model says."""
    return name.endswith((".md", ".txt")) or name.startswith(("LICEN", "COPYING"))


def read(workspace: Workspace, model: str) -> Checked | None:
    """The last check of ``model``, None where there is none."""
    found = read_json(_file(workspace, model))
    try:
        return from_dict(found) if isinstance(found, dict) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def keep(workspace: Workspace, record: Checked) -> Checked:
    """Store ``record``; forms that were checked before and not now stay, as long as the model is the same.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    before = read(workspace, record.model)
    if before is not None and before.fingerprint == record.fingerprint:
        record = replace(record, protocols={**before.protocols, **record.protocols})
    path = _file(workspace, record.model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, to_dict(record))
    return record


def to_dict(record: Checked) -> dict[str, Any]:
    """JSON, with the counts of each form beside its tasks."""
    return {
        "model": record.model,
        "fingerprint": record.fingerprint,
        "at": record.at,
        "protocols": {name: {**counts(score), "tasks": came_dicts(score.tasks)} for name, score in record.protocols.items()},
    }  # fmt: skip


def counts(score: Score) -> dict[str, Any]:
    """The figures of a score."""
    return {
        "passed": score.passed,
        "called": score.called,
        "answered": score.answered,
        "of": len(score.tasks),
        "repaired": score.repaired,
        "problems": dict(score.problems),
    }


def came_dicts(came: Sequence[Came]) -> list[dict[str, Any]]:
    """As JSON; :func:`came_from` takes each back."""
    return [asdict(each) for each in came]


def came_from(data: Mapping[str, Any]) -> Came:
    """What :func:`came_dicts` wrote; what a later version added is passed over."""
    known = {name: value for name, value in data.items() if name in Came.__dataclass_fields__}
    known["calls"] = tuple(Call(**each) for each in known.get("calls") or ())
    known["repairs"] = tuple(known.get("repairs") or ())
    known["problem"] = problem_from(known.get("problem"))
    return Came(**known)


def from_dict(data: Mapping[str, Any]) -> Checked:
    """The record that :func:`to_dict` wrote; tasks that there are no more are passed over."""
    protocols = {
        str(name): Score(tuple(came_from(each) for each in score["tasks"] if each.get("task") in BY_ID))
        for name, score in data["protocols"].items()
        if name in PROTOCOLS
    }
    return Checked(str(data["model"]), str(data["fingerprint"]), float(data["at"]), protocols)


def chosen(limit: int) -> tuple[Task, ...]:
    """``limit`` of the tasks (0: all), spread over them, so that both languages and every kind are among few."""
    if limit <= 0 or limit >= len(TASKS):
        return TASKS
    return tuple(TASKS[place * len(TASKS) // limit] for place in range(limit))


def _file(workspace: Workspace, model: str) -> Path:
    return workspace.root / "agent" / "checks" / entry_file(workspace, model).name
