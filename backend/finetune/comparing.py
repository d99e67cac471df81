"""Trainings side by side: what differs between their settings, what came of each, and their curves.

Only settings that differ are told: of two runs that are alike but for the learning rate, that is the one thing to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import NotFoundError
from backend.finetune import proof
from backend.finetune.record import Reader, Run
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.specs.finetune import FinetuneSpec

LEAST, MOST = 2, 16
NOT_COMPARED = frozenset(
    [
        "name",
        "template",
        "config_text",
        "sample_prompts",
        "eval_every",
        "save_every",
        "sample_every",
        "keep",
        "rehearse",
        "merge",
        "prove",
        "gpu_mib",
    ]
)
"""Settings that say how a run is looked after, not what it learns."""
SHORT = {
    "model": N_("model"),
    "dataset": N_("dataset"),
    "learning_rate": N_("rate"),
    "lora_rank": N_("rank"),
    "batch_size": N_("batch"),
    "max_length": N_("length"),
    "epochs": N_("epochs"),
    "seed": N_("seed"),
}
"""Words for a label, where the field's title is too long for one."""
METRICS = ("eval_loss", "loss", "lr", "grad_norm", "tokens_s", "memory_mib")
"""Curves that can be laid over one another, the most telling first."""
OUTCOMES = ("eval_loss", "right", "general", "loss", "steps", "seconds", "tokens_s", "memory_mib")
BETTER = {"eval_loss": min, "right": max, "general": max}
"""Outcomes that tell which run learned best, and whether the lowest or the highest does. Not the training loss: what learned
its rows by heart has the lowest."""


@dataclass(frozen=True)
class Contender:
    """One run. spec: its settings, as its plan settled them. outcomes: by :data:`OUTCOMES`, those that are known: best
    validation loss, share of right answers to held-out and to general questions, last training loss, steps done, seconds,
    tokens/s, MiB at most."""

    row: JobRow
    run: Run
    spec: dict[str, Any]
    outcomes: dict[str, float]

    @property
    def id(self) -> int:
        return self.row.id


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all runs: its values, in the order of the runs."""

    field: str
    title: str
    values: tuple[Any, ...]

    @property
    def numeric(self) -> bool:
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)


def contenders(store: Store, ids: Iterable[int]) -> list[Contender]:
    """The runs with these numbers, each once, in the order given.

    Raises:
        NotFoundError: there is no such job, or it is no training (``job``: its number).
    """
    return [contender(Reader(store.job_dir(row.id)).read(row)) for row in rows(store, ids)]


def rows(store: Store, ids: Iterable[int]) -> list[JobRow]:
    """The jobs with these numbers; raises as :func:`contenders` does."""
    found = [store.get(job) for job in dict.fromkeys(ids)]
    for row in found:
        if row.verb != "finetune":
            raise NotFoundError(
                "finetune_not_a_run",
                N_("Job {job} is no training."),
                N_("Choose jobs of the kind fine-tune."),
                job=row.id,
            )
    return found


def contender(run: Run) -> Contender:
    """``run`` with what came of it."""
    settled = run.plan.get("spec")
    return Contender(run.row, run, {**run.spec, **(settled if isinstance(settled, dict) else {})}, _outcomes(run))


def differences(found: Sequence[Contender]) -> list[Difference]:
    """What is not the same in all of ``found``, in the order of the spec."""
    made = []
    for name, about in FinetuneSpec.model_fields.items():
        values = tuple(_value(one.spec.get(name, about.default)) for one in found)
        if name not in NOT_COMPARED and len(set(map(repr, values))) > 1:
            made.append(Difference(name, _(about.title or name), values))
    return made


def labels(found: Sequence[Contender]) -> list[str]:
    """A short name for each: what differs, where that tells them apart, with its number."""
    parts: list[list[str]] = [[] for _each in found]
    for each in differences(found)[:3]:
        for place, value in enumerate(each.values):
            word = _(SHORT[each.field]) if each.field in SHORT else each.title
            parts[place].append(f"{word} {said(value)}" if each.numeric else said(value))
    return [" ".join(filter(None, (f"#{one.id}", " · ".join(words)))) for one, words in zip(found, parts, strict=True)]


def ranked(found: Sequence[Contender]) -> list[Contender]:
    """``found``, those that learned best first: by validation loss, then by right answers; what has none stands last."""

    def worth(one: Contender) -> tuple[float, float, int]:
        return (one.outcomes.get("eval_loss", float("inf")), -one.outcomes.get("right", -1.0), one.id)

    return sorted(found, key=worth)


def best(found: Sequence[Contender], outcome: str) -> float | None:
    """The best value of ``outcome`` among ``found``; None where it tells nothing."""
    values = [one.outcomes[outcome] for one in found if outcome in one.outcomes]
    return BETTER[outcome](values) if outcome in BETTER and len(set(values)) > 1 else None


def said(value: Any) -> str:
    """A setting's value in as few characters as it takes."""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return str(value) if value not in ("", None) else "–"


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    # A spec that was written by hand may say 3 where another says 3.0.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53 else value


def _outcomes(run: Run) -> dict[str, float]:
    found: dict[str, float] = {}
    evaluated = [value for _t, step, value in _points(run, "eval_loss") if step]
    kept = run.result.get("eval_loss")
    if isinstance(kept, int | float):
        evaluated.append(float(kept))
    if evaluated:
        found["eval_loss"] = min(evaluated)
    for name in ("loss", "tokens_s"):
        value = run.last(name)
        if isinstance(value, int | float):
            found[name] = float(value)
    most = run.most("memory_mib")
    if most is not None:
        found["memory_mib"] = most
    if run.step:
        found["steps"] = float(run.step)
    if run.row.elapsed:
        found["seconds"] = float(run.row.elapsed)
    shown = proof.read(run.dir)
    for name, part in (("right", shown.questions), ("general", shown.general)) if shown is not None else ():
        if part is not None and part.tally is not None and part.tally.n:
            found[name] = part.tally.tuned / part.tally.n
    return found


def _points(run: Run, metric: str) -> list[tuple[float, float | None, float]]:
    curve = run.curves.get(metric)
    return curve.points if curve else []
