"""How far a person has come: ``course.json`` in the workspace.

    {"format": 1, "began": epoch s, "model": "starter", "skipped": ["memory"], "done": {"talk": {"when": …, "facts": {…}}},
     "at": {"step": "rows", "when": epoch s}, "notice": {…}}

model: that the person chose; empty: the proposed one. done: what was seen, with the figures of that time, so that deleting a
conversation or a job later does not undo it. at: the step for which the person left the Course page. notice: what has to be said
once (``PanelError.to_dict``). Every key may be missing; one of a wrong type counts as missing. A file that is no JSON object is kept beside
and the course begins anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backend.course.lessons import BY_ID, STEPS, Step
from backend.errors import WorkspaceError
from backend.i18n import N_
from backend.workspace import Workspace, alone, read_json, write_json

FILE, LOCK, FORMAT = "course.json", "course.lock", 1
AWAY_S = 24 * 3600.0
"""After so long nobody is on the way from the course any more."""


@dataclass(frozen=True)
class Done:
    """A step that was seen done. when: epoch seconds. facts: JSON-able names, numbers and figures of then."""

    when: float
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """began: epoch seconds, 0: never. See the module for the others; left: when the person left for ``at``."""

    began: float = 0.0
    model: str = ""
    skipped: tuple[str, ...] = ()
    done: Mapping[str, Done] = field(default_factory=dict)
    at: str = ""
    left: float = 0.0
    notice: Mapping[str, Any] | None = None

    @property
    def next(self) -> Step | None:
        """The first step that is neither done nor skipped; None at the end."""
        return next((step for step in STEPS if step.id not in self.done and step.id not in self.skipped), None)

    @property
    def pending(self) -> tuple[str, ...]:
        """Steps that were not seen done, skipped ones too: who does one later, has done it."""
        return tuple(step.id for step in STEPS if step.id not in self.done)

    @property
    def under_way(self) -> bool:
        """Something was done or skipped."""
        return bool(self.done or self.skipped)

    @property
    def away(self) -> Step | None:
        """The step for which the person has left the Course page a while ago, if any."""
        return BY_ID.get(self.at) if time.time() - self.left < AWAY_S else None


Change = Callable[[Progress], Progress]


def read(workspace: Workspace) -> Progress:
    """The progress; a new one where there is none. Never raises: a damaged file is put beside, and ``notice`` says so."""
    path = workspace.root / FILE
    try:
        data = read_json(path)
        if isinstance(data, dict):
            return _parsed(data)
        if not path.is_file():
            return Progress()
    except OSError:
        return Progress()  # it cannot be read now; what it holds stays
    except (ValueError, RecursionError):
        pass  # nested deeper, or with larger numbers, than Python reads
    return _begun_anew(workspace, path)


def begin(workspace: Workspace) -> Progress:
    """The course begins now, where it has not.

    Raises:
        WorkspaceError: the disk is full or read-only. So does every function below.
    """
    return _change(workspace, lambda now: now if now.began else replace(now, began=time.time()))


def note(workspace: Workspace, found: Mapping[str, Done]) -> Progress:
    """Steps were seen done; one that was seen before stays as it was seen first."""
    return _change(workspace, lambda now: replace(now, done={**found, **now.done}) if found else now)


def skip(workspace: Workspace, step: str, *, again: bool = False) -> Progress:
    """The person passes a step over; ``again``: wants it after all."""

    def changed(now: Progress) -> Progress:
        left = tuple(one for one in now.skipped if one != step)
        return replace(now, skipped=left if again or step not in BY_ID else (*left, step))

    return _change(workspace, changed)


def choose(workspace: Workspace, model: str) -> Progress:
    """Another model for the steps to come; empty: the proposed one."""
    return _change(workspace, lambda now: replace(now, model=model))


def leave_for(workspace: Workspace, step: str) -> Progress:
    """The person goes to the page of ``step``; empty: has put the line about the course away."""
    return _change(workspace, lambda now: replace(now, at=step, left=time.time() if step else 0.0))


def restart(workspace: Workspace) -> Progress:
    """Forget the progress and begin now. Models, datasets, jobs and conversations stay."""
    return _change(workspace, lambda now: Progress(began=time.time(), model=now.model))


def dismiss(workspace: Workspace) -> Progress:
    """The notice was read."""
    return _change(workspace, lambda now: replace(now, notice=None))


def _change(workspace: Workspace, change: Change) -> Progress:
    """Two tabs may change it at once: each sees what the other wrote."""
    with alone(workspace.run / LOCK):
        before = read(workspace)
        after = change(before)
        if after != before:
            write_json(workspace.root / FILE, _data(after))
        return after


def _begun_anew(workspace: Workspace, path: Path) -> Progress:
    kept = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}")
    told = WorkspaceError(
        "course_damaged",
        N_("The file with your progress in the course was damaged. It was kept as {path}."),
        N_("The course begins anew. What you made is all there; skip the steps that you have done."),
        path=str(kept),
    )
    found = Progress(began=time.time(), notice=told.to_dict())
    with suppress(OSError, WorkspaceError):  # on a read-only disk it is said at each look
        path.rename(kept)
        write_json(path, _data(found))
    return found


def _data(progress: Progress) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "began": progress.began,
        "model": progress.model,
        "skipped": list(progress.skipped),
        "done": {name: {"when": one.when, "facts": dict(one.facts)} for name, one in progress.done.items()},
        "at": {"step": progress.at, "when": progress.left},
        "notice": progress.notice,
    }


def _parsed(data: Mapping[str, Any]) -> Progress:
    done, at, skipped = _object(data.get("done")), _object(data.get("at")), data.get("skipped")
    notice = data.get("notice")
    return Progress(
        began=_number(data.get("began")),
        model=_text(data.get("model")),
        skipped=tuple(one for one in skipped if one in BY_ID) if isinstance(skipped, list) else (),
        done={
            name: Done(_number(one.get("when")), _object(one.get("facts")))
            for name, one in done.items()
            if name in BY_ID and isinstance(one, dict)
        },
        at=_text(at.get("step")),
        left=_number(at.get("when")),
        notice=notice if isinstance(notice, dict) else None,
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
