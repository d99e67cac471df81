"""The groups that the subjects of a run are averaged in, where the set that it asked says so."""

from __future__ import annotations

from backend.errors import PanelError
from backend.evaluate import sets
from backend.evaluate.records import Run
from backend.workspace import Workspace


def of(workspace: Workspace, run: Run) -> dict[str, str]:
    """Subject -> group; empty where the set is gone or has none. C-Eval and MMLU need none: theirs are known by name."""
    if run.source == "import":
        return {}
    try:
        found = sets.get(workspace, run.set_name)
    except PanelError:
        return {}
    return {subject.name: subject.group for subject in found.subjects if subject.group}
