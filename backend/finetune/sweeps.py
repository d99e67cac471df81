"""A small sweep: a grid over two or three settings, each of its points a job of the queue, and afterwards the best of them.

What all of it takes is said before it is started: the sum of the times, since jobs of one machine run one after another, and
the disk. Every point is planned as a single run is; one that cannot run keeps the sweep from starting, and says why.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backend.catalog.names import legal_name
from backend.errors import SpecError
from backend.finetune.comparing import said
from backend.finetune.plan import Fault, Plan, Span, plan
from backend.i18n import N_, _
from backend.memory.machine import Machine
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.specs import takes
from backend.specs.finetune import FinetuneSpec, short
from backend.workspace import Workspace, read_json, write_json

FILE = "sweep.json"
"""In the folder of each job of a sweep: ``{"sweep": number of its first job, "axes": {...}, "point": {...}}``."""
MOST_RUNS, MOST_AXES, MOST_VALUES = 16, 3, 6
SWEPT = (
    "learning_rate",
    "lora_rank",
    "epochs",
    "batch_size",
    "accumulation",
    "max_length",
    "lora_alpha",
    "lora_dropout",
    "warmup_ratio",
    "weight_decay",
    "scheduler",
    "method",
    "packing",
    "replay",
    "seed",
)
"""Settings that a sweep can go over, those that matter most first."""
ALIKE = frozenset(
    [
        "learning_rate",
        "lora_alpha",
        "lora_dropout",
        "warmup_ratio",
        "weight_decay",
        "scheduler",
        "seed",
        "replay",
        "max_grad_norm",
    ]
)
"""Settings that change neither memory nor time: points that differ in these only are planned once."""


@dataclass(frozen=True)
class Point:
    """One run of the grid: what it has of its own, and its plan."""

    fields: dict[str, Any]
    plan: Plan

    def label(self) -> str:
        return " · ".join(
            f"{FinetuneSpec.model_fields[name].title} {said(value)}" for name, value in self.fields.items()
        )


@dataclass(frozen=True)
class Sweep:
    """axes: field -> its values. seconds: of all runs after one another; None where nobody can tell. disk_bytes: of all that
    is kept. faults: what keeps it from starting, each once."""

    axes: dict[str, tuple[Any, ...]]
    points: tuple[Point, ...]
    seconds: Span | None
    disk_bytes: int
    disk_free: int | None
    faults: tuple[Fault, ...]

    @property
    def runs(self) -> bool:
        return len(self.points) > 1 and not any(fault.fatal for fault in self.faults)


def around(spec: Mapping[str, Any], field: str) -> list[Any]:
    """Values of ``field`` that are worth trying around the one in ``spec``."""
    about = FinetuneSpec.model_fields[field]
    now = spec.get(field, about.default)
    tried: list[Any]
    if field in ("learning_rate", "weight_decay"):
        middle = now or 0.01
        tried = [float(f"{middle * factor:.2g}") for factor in (1 / 3, 1, 3)]
    elif field in ("lora_rank", "lora_alpha", "batch_size", "accumulation", "max_length"):
        tried = [max(1, now // 2), now, now * 2]
    elif field == "epochs":
        tried = [max(1.0, now / 2), now, now * 2]
    elif field == "seed":
        tried = [now, now + 1, now + 2]
    elif field == "packing":
        tried = [False, True]
    elif field == "scheduler":
        tried = ["cosine", "linear", "constant"]
    elif field == "method":
        tried = ["lora", "full"]
    else:
        tried = {"lora_dropout": [0.0, 0.05, 0.1], "warmup_ratio": [0.0, 0.03, 0.1], "replay": [0.0, 0.1, 0.3]}[field]
    return list(dict.fromkeys(value for value in tried if takes("finetune", field, value)))


def read_values(field: str, text: str) -> list[Any]:
    """The values in ``text``, separated by commas.

    Raises:
        SpecError: ``sweep_values_bad``, ``sweep_field_unknown``.
    """
    if field not in SWEPT:
        raise SpecError(
            "sweep_field_unknown",
            N_("A sweep cannot go over '{field}'."),
            N_("It can go over: {known}."),
            field=field,
            known=", ".join(SWEPT),
        )
    found: list[Any] = []
    for word in filter(None, (part.strip() for part in text.replace("，", ",").split(","))):
        value = _parsed(field, word)
        if not takes("finetune", field, value):
            raise SpecError(
                "sweep_values_bad",
                N_("'{word}' is no value of '{field}'."),
                N_("Write values with commas between, such as: {example}."),
                word=word,
                field=field,
                example=", ".join(map(said, around({}, field))),
            )
        found.append(value)
    return list(dict.fromkeys(found))


def make(
    workspace: Workspace, spec: Mapping[str, Any], axes: Mapping[str, Sequence[Any]], machine: Machine | None = None
) -> Sweep:
    """The sweep of ``spec`` over ``axes``.

    Raises:
        SpecError: ``sweep_size``: no grid of two to :data:`MOST_RUNS` runs over at most :data:`MOST_AXES` settings.
    """
    wanted = {name: tuple(dict.fromkeys(values)) for name, values in axes.items() if values}
    count = _count(wanted)
    if not 2 <= count <= MOST_RUNS or len(wanted) > MOST_AXES:
        raise SpecError(
            "sweep_size",
            N_("This sweep would be {count} runs over {axes} settings."),
            N_("Choose two or three settings with a few values each: 2 to {most} runs in all."),
            count=count,
            axes=len(wanted),
            most=MOST_RUNS,
        )
    known: dict[str, Plan] = {}
    points = []
    for values in itertools.product(*wanted.values()):
        fields = dict(zip(wanted, values, strict=True))
        points.append(Point(fields, _planned(workspace, spec, fields, known, machine)))
    spans = [point.plan.seconds for point in points]
    told = [span for span in spans if span is not None]
    return Sweep(
        axes=wanted,
        points=tuple(points),
        seconds=_together(told) if len(told) == len(spans) else None,
        disk_bytes=sum(point.plan.disk_bytes for point in points),
        disk_free=points[0].plan.disk_free,
        faults=_faults(points),
    )


def start(store: Store, sweep: Sweep, *, submit_key: str | None = None) -> list[JobRow]:
    """Submit every run of ``sweep``; the first is the parent of the others.

    Raises:
        SpecError: ``sweep_refused``: something keeps one of the runs from starting.
    """
    if not sweep.runs:
        raise SpecError(
            "sweep_refused",
            N_("This sweep cannot be started. {listing}"),
            N_("Change the settings named, or leave out the values that do not fit."),
            listing=" ".join(fault.sentence() for fault in sweep.faults if fault.fatal),
        )
    made: list[JobRow] = []
    for number, point in enumerate(sweep.points):
        spec = point.plan.spec
        first = made[0].id if made else None
        row = store.submit(
            "finetune",
            spec.model_dump(mode="json"),
            title=f"{spec.default_title()} · {_short(point.fields)}",
            parent=first,
            submit_key=f"{submit_key}-{number}" if submit_key else None,
        )
        made.append(row)
        axes = {name: list(values) for name, values in sweep.axes.items()}
        write_json(store.job_dir(row.id) / FILE, {"sweep": made[0].id, "axes": axes, "point": point.fields})
    return made


def of_job(store: Store, job_id: int) -> int | None:
    """The number of the sweep that job ``job_id`` belongs to; None where it is a run of its own."""
    data = read_json(store.job_dir(job_id) / FILE)
    number = data.get("sweep") if isinstance(data, dict) else None
    return number if isinstance(number, int) else None


def sweeps(store: Store, rows: Iterable[JobRow]) -> dict[int, list[int]]:
    """The sweeps among ``rows``: number -> the numbers of its jobs, in their order; the newest sweep first."""
    found: dict[int, list[int]] = {}
    for row in rows:
        number = of_job(store, row.id) if row.verb == "finetune" else None
        if number is not None:
            found.setdefault(number, []).append(row.id)
    return {number: sorted(found[number]) for number in sorted(found, reverse=True)}


def _parsed(field: str, word: str) -> Any:
    kind = FinetuneSpec.model_fields[field].annotation
    try:
        return float(word) if kind is float else int(word) if kind is int else json.loads(word.lower())
    except ValueError:
        return word


def _count(axes: Mapping[str, Sequence[Any]]) -> int:
    count = 1
    for values in axes.values():
        count *= len(values)
    return count if axes else 0


def _planned(
    workspace: Workspace,
    spec: Mapping[str, Any],
    fields: Mapping[str, Any],
    known: dict[str, Plan],
    machine: Machine | None,
) -> Plan:
    """The plan of one point; one that differs in nothing that costs memory or time from a point before is not made again."""
    name = str(spec.get("name") or "") or f"{short(str(spec.get('model') or ''))} {spec.get('dataset') or ''}"
    own = {**spec, **fields, "name": legal_name(f"{name} {_short(fields, ' ')}")}
    like = json.dumps({key: value for key, value in fields.items() if key not in ALIKE}, sort_keys=True)
    if like not in known:
        made = plan(workspace, own, machine)
        known[like] = made
        return made
    made = known[like]
    # What was rehearsed once need not be for the points that take the same memory and time.
    changed = {**made.spec.model_dump(mode="json"), **fields, "name": own["name"], "rehearse": False}
    try:
        return replace(made, spec=FinetuneSpec.model_validate(changed))
    except ValueError:
        return plan(workspace, own, machine)


def _together(spans: Sequence[Span]) -> Span:
    worst = next((name for name in ("assumed", "earlier") if any(span.source == name for span in spans)), "rehearsal")
    return Span(
        sum(span.low for span in spans),
        sum(span.likely for span in spans),
        sum(span.high for span in spans),
        worst,  # type: ignore[arg-type]
    )


def _faults(points: Sequence[Point]) -> tuple[Fault, ...]:
    found: dict[tuple[str, str, str], Fault] = {}
    for point in points:
        for fault in point.plan.faults:
            found.setdefault((fault.code, fault.field, fault.message), fault)
    need, free = sum(point.plan.disk_bytes for point in points), points[0].plan.disk_free
    if free is not None and need > free and not any(fault.code == "finetune_no_disk" for fault in found.values()):
        text = _("All runs together need {need} GiB of disk, and {free} GiB are free.")
        message = text.format(need=f"{need / 2**30:.1f}", free=f"{free / 2**30:.1f}")
        hint = _("Keep one checkpoint a run, do not merge, or try fewer values.")
        found["finetune_no_disk", "keep", ""] = Fault("finetune_no_disk", "keep", message, hint)
    return tuple(sorted(found.values(), key=lambda fault: not fault.fatal))


def _short(fields: Mapping[str, Any], between: str = " · ") -> str:
    """``lr 0.0002 · rank 8``; not translated: it is a part of names."""
    words = {"learning_rate": "lr", "lora_rank": "rank", "batch_size": "batch", "max_length": "length"}
    return between.join(f"{words.get(name, name)} {said(value)}" for name, value in fields.items())
