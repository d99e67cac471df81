"""Where a model comes from: ``tunedeck.json`` in its folder, written by the job that made it.

    {"format": 1, "job": 12, "verb": "finetune", "base": "starter", "dataset": "persona", "created": 1760000000.0,
     "template": "3f2a…"}

job: number of the job in the workspace that made it. verb: kind of job. base: name or folder of the model it was made
from, or ``org/name`` on a hub. dataset: name or path of the data. created: epoch seconds. template: fingerprint
(:mod:`backend.catalog.template`) of the chat template, special tokens and ends that it was taught with; used with others,
it would answer badly and nobody would know why. Every key but ``format`` may be missing or empty; more keys may be there.
The file travels with the folder, so a job number means something only inside its own workspace.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.workspace import read_json, write_json

FILE = "tunedeck.json"
FORMAT = 1


@dataclass(frozen=True)
class Lineage:
    """What made a model, see the module. Empty or None: not known."""

    job: int | None = None
    verb: str = ""
    base: str = ""
    dataset: str = ""
    created: float | None = None
    template: str = ""


def read_lineage(folder: Path) -> Lineage | None:
    """The lineage of the model in ``folder``; None without a file, or with one that says nothing. Never raises."""
    try:
        data = read_json(folder / FILE)
    except OSError:
        return None
    return parse(data)


def parse(data: Any) -> Lineage | None:
    """``data`` as lineage; what has a wrong type is left out."""
    if not isinstance(data, dict):
        return None
    job, created = data.get("job"), data.get("created")
    found = Lineage(
        job=job if isinstance(job, int) and not isinstance(job, bool) and job > 0 else None,
        created=float(created) if isinstance(created, int | float) and not isinstance(created, bool) else None,
        **{key: str(data[key]) for key in ("verb", "base", "dataset", "template") if isinstance(data.get(key), str)},
    )
    return found if found != Lineage() else None


def write_lineage(folder: Path, lineage: Lineage) -> None:
    """Write ``lineage`` into ``folder``, with the time where it names none.

    Raises:
        WorkspaceError: the folder cannot be written.
    """
    said = asdict(lineage) | {"created": lineage.created or time.time()}
    # Readable by whom the weights are readable for: the folder may be shared.
    write_json(folder / FILE, {"format": FORMAT, **said}, mode=0o644)
