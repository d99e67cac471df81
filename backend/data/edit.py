"""Making a version of a dataset from another one, or from several: a list of steps, one pass, nothing half done.

    {"do": "fix", "codes": ["leading_blanks", …], "against": ""}   the doctor's fixes
    {"do": "split", "shares": {"train": 0.8, …}, "seed": 0, "stratify": "", "keep_test": true, "near": true}
    {"do": "sample", "size": 100, "seed": 0, "balance_by": ""}
    {"do": "balance", "by": "language", "seed": 0}
    {"do": "drop", "rows": [3, 17]}                          rows are counted from 1, as they stand before the step
    {"do": "edit", "rows": {"3": {"messages": […]}}}
    {"do": "add", "rows": [{"messages": […]}]}
    {"do": "meta", "field": "source", "value": "manual", "rows": [3, 17]}     without rows: all of them
    {"do": "review", "only_reviewed": false}                 what was decided in :mod:`backend.data.review`
    {"do": "mix", "parts": [{"dataset", "version", "weight"}], "size": null, "seed": 0, "balance_by": "", "repeat": false}

Each is a step of the new version's lineage; what stands in the rows now is not told there once more. ``mix`` comes first, or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from backend.data import mix as mixing
from backend.data import review, split
from backend.data.rows import SPLITS, Row
from backend.data.store import Datasets
from backend.data.traits import with_meta
from backend.data.versions import Version, VersionInfo
from backend.errors import DataError
from backend.i18n import N_

Step = Mapping[str, Any]
Progress = Callable[[float, int], None]
"""Called with the share that is done (0 to 1) and the rows read so far; what it raises ends the work, which leaves nothing."""
EVERY = 500
TOLD = 100
"""Of longer lists of row numbers the lineage tells so many, and how many there were."""


class Rows:
    """What a step works on: rows that can be read several times. Of a version it counts what is read."""

    def __init__(self, dataset: str, read: Callable[[], Iterator[Row]], count: int | None = None) -> None:
        self.dataset = dataset
        self._read = read
        self._count = count

    def __iter__(self) -> Iterator[Row]:
        return self._read()

    def __len__(self) -> int:
        if self._count is None:
            self._count = sum(1 for _row in self)
        return self._count


class _Meter:
    """How much of the reading is done. total: rows that will be read, passes included."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.progress, self.read = max(1, total), progress, 0

    def counted(self, version: Version) -> Rows:
        def rows() -> Iterator[Row]:
            for row in version:
                self.read += 1
                if self.progress is not None and self.read % EVERY == 0:
                    self.progress(min(0.99, self.read / self.total), self.read)
                yield row

        return Rows(version.dataset, rows, len(version))


def apply(
    sets: Datasets,
    version: Version | None,
    steps: Step | Sequence[Step],
    *,
    name: str = "",
    note: str = "",
    progress: Progress | None = None,
) -> VersionInfo:
    """Do ``steps`` one after the other; the result becomes the current version of ``name`` (default: the dataset of ``version``).

    Args:
        version: where the rows come from; None for ``mix``.

    Raises:
        DataError: ``step_unknown``, ``rows_missing``, ``row_bad``, ``change_empties``, and what the steps themselves raise.
        ConflictError: ``collection_name_bad``.
        WorkspaceError: the disk is full or read-only.
    """
    todo = [dict(step) for step in ([steps] if isinstance(steps, Mapping) else steps)]
    _refuse_unknown(todo)
    parts: list[tuple[Version, float]] = []
    if todo[0]["do"] == "mix":
        parts = _parts(sets, todo[0])
        bases = [part for part, _weight in parts]
    else:
        assert version is not None, "only a mix has no version to begin with"
        bases = [version]
    passes = 1 + sum(_reads_first(step) for step in todo)
    meter = _Meter(passes * sum(map(len, bases)), progress)
    if parts:
        counted = [(meter.counted(part), weight) for part, weight in parts]
        rows = _mixed(counted, todo[0], name)
    else:
        rows = meter.counted(bases[0])
    for step in todo[1:] if parts else todo:
        rows = _STEPS[str(step["do"])](rows, step, sets)
    made_from = [{"dataset": base.dataset, "version": base.info.id} for base in bases]
    schemas = {base.info.schema for base in bases}
    with sets.write(
        name or bases[0].dataset,
        steps=[told(step) for step in todo],
        made_from=made_from,
        note=note,
        schema=schemas.pop() if len(schemas) == 1 else "",
    ) as out:
        for row in rows:
            out.add(row)
        if not len(out):
            raise DataError(
                "change_empties",
                N_("This would leave no row of '{dataset}'."),
                N_("Keep at least one row; a dataset that is not needed any more can be deleted."),
                dataset=rows.dataset,
            )
    if progress is not None:
        progress(1.0, meter.read)
    return out.version


def told(step: Step) -> dict[str, Any]:
    """``step`` as it stands in the lineage: without the rows themselves, and with a long list of numbers cut."""
    found = dict(step)
    rows = found.pop("rows", None)
    if rows is None:
        return found
    found["count"] = len(rows)
    if step["do"] != "add":
        found["rows"] = sorted(int(number) for number in rows)[:TOLD]
    return found


def _refuse_unknown(steps: Sequence[Step]) -> None:
    for place, step in enumerate(steps):
        what = str(step.get("do"))
        if what not in _STEPS and (what != "mix" or place):
            raise DataError(
                "step_unknown",
                N_("There is no step called '{step}' here."),
                N_("Known steps: {known}. A mix comes first."),
                step=what,
                known=", ".join([*_STEPS, "mix"]),
            )
    if not steps:
        raise DataError("step_unknown", N_("There is nothing to do."), N_("Name at least one step."))


def _reads_first(step: Step) -> bool:
    """Whether ``step`` reads all rows once before it gives the first one."""
    return step["do"] in ("split", "balance") or bool(step.get("balance_by"))


def _parts(sets: Datasets, step: dict[str, Any]) -> list[tuple[Version, float]]:
    found: dict[tuple[str, str], tuple[Version, float]] = {}
    for part in step.get("parts") or ():
        version = sets.open(str(part["dataset"]), part.get("version") or None)
        key = (version.dataset, version.info.id)
        weight = float(part.get("weight", 1.0)) + (found[key][1] if key in found else 0.0)
        found[key] = (version, weight)
    if not found:
        raise DataError("mix_empty", N_("There are no rows to choose from."), N_("Choose a dataset that holds rows."))
    # What the lineage tells are the versions that were read, also where none was named.
    step["parts"] = [{"dataset": v.dataset, "version": v.info.id, "weight": weight} for v, weight in found.values()]
    return list(found.values())


def _mixed(parts: list[tuple[Rows, float]], step: Step, name: str) -> Rows:
    def rows() -> Iterator[Row]:
        return mixing.mix(
            parts,
            step.get("size"),
            int(step.get("seed") or 0),
            str(step.get("balance_by") or ""),
            repeat=bool(step.get("repeat")),
        )

    return Rows(name, rows)


def _fix(rows: Rows, step: Step, sets: Datasets) -> Rows:
    from backend.data import doctor

    codes = [str(code) for code in step.get("codes") or ()]
    against = sets.resolve(str(step["against"])) if step.get("against") else None
    return Rows(rows.dataset, lambda: iter(doctor.fix(rows, codes, against=against, images=sets.images)))


def _split(rows: Rows, step: Step, sets: Datasets) -> Rows:
    how = {name: bool(step[name]) for name in ("keep_test", "near") if name in step}
    shares, seed = dict(step.get("shares") or split.DEFAULT), int(step.get("seed") or 0)
    stratify = str(step.get("stratify") or "")
    return Rows(rows.dataset, lambda: split.split(rows, shares, seed, stratify, **how))


def _sample(rows: Rows, step: Step, sets: Datasets) -> Rows:
    by = str(step.get("balance_by") or "")
    return Rows(rows.dataset, lambda: mixing.sample(rows, int(step["size"]), int(step.get("seed") or 0), by))


def _balance(rows: Rows, step: Step, sets: Datasets) -> Rows:
    return Rows(rows.dataset, lambda: mixing.balance(rows, str(step["by"]), int(step.get("seed") or 0)))


def _drop(rows: Rows, step: Step, sets: Datasets) -> Rows:
    gone = _numbers(step.get("rows") or (), rows)
    return Rows(rows.dataset, lambda: (row for number, row in enumerate(rows, 1) if number not in gone))


def _edit(rows: Rows, step: Step, sets: Datasets) -> Rows:
    new = {int(number): review.checked(row) for number, row in dict(step.get("rows") or {}).items()}
    _numbers(new, rows)
    return Rows(rows.dataset, lambda: (new.get(number, row) for number, row in enumerate(rows, 1)))


def _add(rows: Rows, step: Step, sets: Datasets) -> Rows:
    more = [review.checked(row) for row in step.get("rows") or ()]

    def read() -> Iterator[Row]:
        yield from rows
        yield from more

    return Rows(rows.dataset, read)


def _meta(rows: Rows, step: Step, sets: Datasets) -> Rows:
    field, value = str(step["field"]), step.get("value")
    some = _numbers(step["rows"], rows) if step.get("rows") is not None else None
    if field == "split" and value not in SPLITS:
        raise split_unknown(str(value))

    def read() -> Iterator[Row]:
        for number, row in enumerate(rows, 1):
            yield row if some is not None and number not in some else with_meta(row, field, value)

    return Rows(rows.dataset, read)


def _review(rows: Rows, step: Step, sets: Datasets) -> Rows:
    decided = review.of(sets, rows.dataset)
    only = bool(step.get("only_reviewed"))
    return Rows(rows.dataset, lambda: review.reviewed(rows, decided, only_reviewed=only))


_STEPS: dict[str, Callable[[Rows, Step, Datasets], Rows]] = {
    "fix": _fix,
    "split": _split,
    "sample": _sample,
    "balance": _balance,
    "drop": _drop,
    "edit": _edit,
    "add": _add,
    "meta": _meta,
    "review": _review,
}


def split_unknown(value: str) -> DataError:
    """``value`` is no part of a dataset."""
    return DataError(
        "split_unknown",
        N_("'{value}' is no part of a dataset."),
        N_("The parts are train, validation and test."),
        value=value[:60],
    )


def _numbers(wanted: Iterable[Any], rows: Rows) -> set[int]:
    """Numbers of rows, from 1, that are there."""
    found = {int(number) for number in wanted}
    wrong = sorted(number for number in found if not 1 <= number <= len(rows))
    if wrong:
        raise DataError(
            "rows_missing",
            N_("'{dataset}' has {count} rows; there is no row {number}."),
            N_("Rows are counted from 1."),
            dataset=rows.dataset,
            count=len(rows),
            number=wrong[0],
        )
    return found
