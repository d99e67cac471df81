"""Examine a set of rows: what is wrong in which row, what all rows together show, and a few rows to read.

A version is read where it lies, by two processes when it is large; rows from elsewhere are laid down in a temporary file first.
One million rows, about a gigabyte: see docs/benchmarks.md.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from backend.data.doctor.findings import Finding, Limits, Report, load, ordered
from backend.data.doctor.sample import sample
from backend.data.doctor.scan import Lines, scan
from backend.data.doctor.spool import of_version, spooled
from backend.data.doctor.together import Other, Together, judge
from backend.data.versions import Version

Progress = Callable[[float, int], None]
"""Called with the share that is done (0 to 1) and the number of rows looked at."""
Stop = Callable[[], bool]
Against = Version | Iterable[Any]
LENGTHS = [2**power for power in range(6, 21)]
_SCANNED = 0.9
"""Share of the time that reading the rows takes."""


class Stopped(Exception):
    """The person asked to stop; nothing was written."""


def examine(
    lines: Iterable[tuple[int, Any]],
    *,
    against: Against | None = None,
    against_name: str = "",
    limits: Limits | None = None,
    images: Path | None = None,
    rejected: Iterable[dict[str, Any]] = (),
    seed: int = 1,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Report:
    """The report on ``(number, row)`` from anywhere; any JSON value is taken for a row.

    Args:
        against: another dataset, in which none of these questions should stand. against_name: what to call it.
        images: the folder that pictures lie below; None: they are not looked at.
        rejected: records that could not be rows, ``{"number", "message", "params"}`` each.
        seed: of the rows drawn to be read.

    Raises:
        Stopped: ``stop`` said so.
        DataError: a dataset is damaged.
    """
    with spooled(lines, images) as found:
        return _examine(found, against, against_name, limits or Limits(), rejected, None, seed, progress, stop)


def examine_version(
    version: Version,
    *,
    against: Against | None = None,
    against_name: str = "",
    limits: Limits | None = None,
    seed: int = 1,
    progress: Progress | None = None,
    stop: Stop | None = None,
    save: bool = True,
) -> Report:
    """The report on a version, see :func:`examine`; kept beside it as ``doctor.json``."""
    limits = limits or Limits()
    rejected = version.rejected(0, limits.listed)
    report = _examine(
        of_version(version), against, against_name, limits, rejected, version.info.rejected, seed, progress, stop
    )
    if save:
        report.save(version.folder)
    return report


def read_report(version: Version) -> Report | None:
    """The report that was kept beside a version; None where it was not examined yet."""
    return load(version.folder)


def lines_of(source: Against, images: Path | None = None) -> AbstractContextManager[Lines]:
    """The rows of a version, or from anywhere, as lines."""
    if isinstance(source, Version):
        return nullcontext(of_version(source))
    return spooled(enumerate(source, 1), images)


def name_of(source: Against | None, name: str = "") -> str:
    """What to call the other dataset."""
    return name or (f"{source.dataset}@{source.info.id}" if isinstance(source, Version) else "")


def _examine(
    lines: Lines,
    against: Against | None,
    against_name: str,
    limits: Limits,
    rejected: Iterable[dict[str, Any]],
    rejected_count: int | None,
    seed: int,
    progress: Progress | None,
    stop: Stop | None,
) -> Report:
    begin = time.monotonic()
    total = max(1, len(lines))

    def tick(done: int) -> None:
        if stop is not None and stop():
            raise Stopped
        if progress is not None:
            progress(_SCANNED * min(done, total) / total, min(done, total))

    seen = scan(lines, limits, tick)
    counts: Counter[str] = seen.counts
    findings = seen.findings
    told = [Finding(int(r.get("number") or 0), "malformed", _problem(r)) for r in rejected][: limits.listed]
    if told:
        findings += told
        counts["malformed"] += max(len(told), rejected_count or 0)

    def say(code: str, found: list[Finding], count: int) -> None:
        tick(total)
        if count:
            counts[code] += count
            findings.extend(found)

    def together(other: Other | None) -> Together:
        whole = Together(lines, seen, limits, other)
        judge(whole, say)
        return whole

    if against is None:
        whole = together(None)
    else:
        with lines_of(against) as theirs:
            plain = Lines(
                theirs.path, theirs.edges, None, theirs.numbers
            )  # whether its pictures are whole is not asked
            whole = together(Other(name_of(against, against_name), plain, scan(plain, limits, lambda _: tick(total))))
    if progress is not None:
        progress(1.0, len(lines))
    return Report(
        rows=len(lines),
        findings=ordered(findings),
        counts=dict(counts),
        sample=sample(lines, seen, seed),
        languages=whole.languages(np.ones(len(lines), bool)),
        lengths=_lengths(seen.chars),
        limits=limits,
        against=name_of(against, against_name),
        seed=seed,
        seconds=round(time.monotonic() - begin, 2),
    )


def _problem(record: dict[str, Any]) -> dict[str, Any]:
    return {"problem": str(record.get("message") or ""), "params": record.get("params") or {}}


def _lengths(chars: Any) -> list[list[int]]:
    if not len(chars):
        return []
    places = np.bincount(np.searchsorted(LENGTHS, chars), minlength=len(LENGTHS) + 1)
    last = int(np.flatnonzero(places)[-1])
    edges = [*LENGTHS, int(chars.max())]
    return [[edges[place], int(places[place])] for place in range(last + 1)]
