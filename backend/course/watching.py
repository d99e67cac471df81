"""Whether a step was really done: what the workspace shows of it since the course began. Nothing that a person says counts.

Each look at one step is one small query, or a handful of file dates. What is found is kept by :mod:`backend.course.progress`, with the
figures of that time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from backend.course import talks
from backend.course.lessons import BY_ID, STEPS
from backend.course.progress import Done, Progress
from backend.data.store import DATASET, DatasetInfo, Datasets
from backend.errors import DataError, PanelError
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import Workspace

NEWEST = 20
NAMING = "identity"
"""What a dataset's first step is called that teaches a name (``ui/datasets/make_name.py``)."""


@dataclass(frozen=True)
class Place:
    """Where is looked, what earlier steps have shown, and which were skipped."""

    workspace: Workspace
    store: Store
    since: float
    facts: Mapping[str, Mapping[str, Any]]
    skipped: Collection[str] = ()

    def told(self, step: str, name: str) -> Any:
        """What an earlier step has shown; None where it has not."""
        return self.facts.get(step, {}).get(name)

    @property
    def tuned(self) -> set[str]:
        """Names of the model that learned the name."""
        return self._names("finetune", "model", "adapter")

    @property
    def small(self) -> set[str]:
        """Names of its smaller copy."""
        return self._names("quantize", "model")

    def waits_for(self, *steps: str) -> bool:
        """Whether one of ``steps`` is still to come: then any other model would be taken for the one that it makes."""
        return any(step not in self.facts and step not in self.skipped for step in steps)

    def _names(self, step: str, *keys: str) -> set[str]:
        return {name for key in keys if (name := self.told(step, key))}


def look(
    workspace: Workspace, store: Store, progress: Progress, steps: Collection[str] | None = None
) -> dict[str, Done]:
    """Steps that are seen done now and were not before; of ``steps``, all where none are named. Nothing before the course began."""
    if not progress.began:
        return {}
    facts = {name: one.facts for name, one in progress.done.items()}
    place = Place(workspace, store, progress.began, facts, progress.skipped)
    found: dict[str, Done] = {}
    for step in STEPS:
        if step.id in progress.done or (steps is not None and step.id not in steps):
            continue
        try:
            done = LOOKS[step.id](place)
        except (PanelError, OSError):
            continue  # what cannot be read now is no evidence
        if done is not None:
            found[step.id] = done
            place = replace(place, facts={**place.facts, step.id: done.facts})
    return found


def _rows(place: Place) -> Done | None:
    sets = Datasets(place.workspace)
    for file in sorted(sets.folder.glob(f"*/{DATASET}")):
        if file.stat().st_mtime < place.since:
            continue
        info = _dataset(sets, file.parent.name)
        naming = _naming(info) if info is not None else None
        if info is not None and naming is not None and info.current.created >= place.since:
            facts = {
                "dataset": info.name,
                "rows": info.current.rows,
                "name": _name(naming),
                "counts": info.current.counts,
            }
            return Done(info.current.created, facts)
    return None


def _finetune(place: Place) -> Done | None:
    for row in _ended_well(place, "finetune"):
        spec, result = place.store.spec(row.id), place.store.result(row.id) or {}
        dataset = str(spec.get("dataset") or "")
        if not _teaches_a_name(place, dataset):
            continue
        facts = {
            "job": row.id,
            "base": str(spec.get("model") or ""),
            "dataset": dataset,
            "name": _taught_name(place, dataset),
            "model": str(result.get("model") or result.get("adapter") or ""),
            "adapter": str(result.get("adapter") or ""),
            "seconds": row.elapsed,
            **_proof(place, row.id),
        }
        return Done(row.ended or row.created, facts)
    return None


def _both(place: Place) -> Done | None:
    return None if place.waits_for("finetune") else talks.asked_both(place.workspace, place.since, place.tuned)


def _memory(place: Place) -> Done | None:
    from backend.memory import comparisons  # only where one was saved

    if not place.workspace.comparisons.is_dir():
        return None
    fresh = [file for file in place.workspace.comparisons.glob("*.json") if file.stat().st_mtime >= place.since]
    for file in sorted(fresh, key=lambda one: -one.stat().st_mtime):
        try:
            found = comparisons.load(place.workspace, file.name.removesuffix(comparisons.SUFFIX))
        except PanelError:
            continue
        peaks = [[row.run.title, _peak(row.figures)] for row in found.rows]
        return Done(file.stat().st_mtime, {"comparison": found.name, "peaks": peaks})
    return None


def _quantize(place: Place) -> Done | None:
    from backend.quantize import report

    for row in _ended_well(place, "quantize"):
        result, base = place.store.result(row.id) or {}, str(place.store.spec(row.id).get("model") or "")
        if place.tuned and base not in place.tuned:
            continue
        facts: dict[str, Any] = {
            "job": row.id,
            "base": base,
            "model": str(result.get("model") or ""),
        }
        card = report.read(place.store.job_dir(row.id))
        if card is not None and card.models:
            sizes = [subject.value("size_bytes") for subject in card.models[:2]]
            facts |= {"bytes": sizes, "verdict": report.verdict(card.models[1]) if len(card.models) > 1 else "unknown"}
        return Done(row.ended or row.created, facts)
    return None


def _serve(place: Place) -> Done | None:
    wanted = place.small or place.tuned
    if not place.small and place.waits_for("finetune", "quantize"):
        return None
    for row in place.store.list(verb="serve", limit=NEWEST):
        spec = place.store.spec(row.id)
        names = {row.title, str(spec.get("model") or "")}
        ready = row.progress.get("phase") == "ready" and (row.live or row.ended)
        if row.created >= place.since and ready and (not wanted or names & wanted):
            return Done(row.started or row.created, {"job": row.id, "model": str(spec.get("model") or row.title)})
    return None


def _python(place: Place) -> Done | None:
    from backend.web.keys import Keys

    used = [key for key in Keys(place.workspace).list() if (key.answered or 0.0) >= place.since]
    newest = max(used, key=lambda key: key.answered or 0.0, default=None)
    if newest is None or newest.answered is None:
        return None
    return Done(newest.answered, {"key": newest.name, "model": newest.model})


def _evaluate(place: Place) -> Done | None:
    if place.waits_for("finetune") or not place.workspace.evaluate_db.is_file():
        return None
    from backend.course import proof

    base = str(place.told("finetune", "base") or "")
    return proof.evaluated(place.workspace, place.since, base, place.tuned | place.small if place.tuned else ())


LOOKS: dict[str, Callable[[Place], Done | None]] = {
    "talk": lambda place: talks.talked(place.workspace, place.since),
    "rows": _rows,
    "finetune": _finetune,
    "both": _both,
    "memory": _memory,
    "quantize": _quantize,
    "serve": _serve,
    "python": _python,
    "tool": lambda place: talks.called_a_tool(place.workspace, place.since),
    "evaluate": _evaluate,
}
assert LOOKS.keys() == BY_ID.keys()


def _ended_well(place: Place, verb: str) -> list[JobRow]:
    rows = place.store.list(verb=verb, states=("succeeded",), limit=NEWEST)
    return [row for row in rows if (row.ended or row.created) >= place.since]


def _dataset(sets: Datasets, name: str) -> DatasetInfo | None:
    try:
        return sets.get(name)
    except DataError:
        return None


def _naming(info: DatasetInfo) -> Mapping[str, Any] | None:
    """The step that made rows which teach a name."""
    return next((step for step in info.current.steps if step.get("do") == NAMING), None)


def _name(naming: Mapping[str, Any]) -> str:
    return str(naming.get("name") or naming.get("name_zh") or "")


def _teaches_a_name(place: Place, dataset: str) -> bool:
    """Whether ``dataset`` is that of the course, or another one that teaches a name."""
    info = _dataset(Datasets(place.workspace), dataset)
    return dataset == place.told("rows", "dataset") or (info is not None and _naming(info) is not None)


def _taught_name(place: Place, dataset: str) -> str:
    info = _dataset(Datasets(place.workspace), dataset)
    naming = _naming(info) if info is not None else None
    return _name(naming) if naming is not None else str(place.told("rows", "name") or "")


def _proof(place: Place, job: int) -> dict[str, Any]:
    """Held-out questions that base and tuned model answered right, where that was checked."""
    from backend.finetune import proof

    found = proof.read(place.store.job_dir(job))
    tally = found.questions.judged if found is not None and found.questions is not None else None
    verdicts = {"verdicts": list(found.verdicts)} if found is not None else {}
    return verdicts | ({"n": tally.n, "right": tally.tuned, "base_right": tally.base} if tally is not None else {})


def _peak(figures: Mapping[str, Any]) -> float | None:
    """Bytes at the peak: of the GPU where it used one, else of main memory."""
    for name in ("gpu_peak", "ram_peak"):
        value = getattr(figures.get(name), "value", None)
        if isinstance(value, int | float):
            return float(value)
    return None
