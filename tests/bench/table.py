"""Measure everything, print one table, write docs/benchmarks.md: ``make bench``, or ``make bench ARGS=panel`` for one part.

Every ``bench_*.py`` here has ``measure() -> list[Row]``. Ratios count: both sides of each are measured in the same run on
the same machine, in turns. A partial run prints its table and leaves docs/benchmarks.md alone.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NotRequired, TypedDict

import psutil

HERE = Path(__file__).resolve().parent
REPORT = HERE.parents[1] / "docs" / "benchmarks.md"


class Row(TypedDict):
    """One figure. ``ratio``: to what it is compared with; ``goal``: in words; ``ok``: None where there is no goal."""

    what: str
    value: float
    unit: str
    ratio: NotRequired[float | None]
    goal: NotRequired[str]
    ok: NotRequired[bool | None]


def main(chosen: list[str]) -> int:
    parts = sorted(path.stem for path in HERE.glob("bench_*.py"))
    names = [name for name in parts if not chosen or any(word in name for word in chosen)]
    if not names:
        print(f"Nothing here is called {' or '.join(chosen)}. There is: {', '.join(p[6:] for p in parts)}")
        return 1
    sections: list[tuple[str, str, float, list[Row]]] = []
    broken = False
    load = os.getloadavg()[0]
    for name in names:
        module = importlib.import_module(f"tests.bench.{name}")
        title = (module.__doc__ or name).strip().split("\n")[0]
        print(f"\n{title}", flush=True)
        begin = time.monotonic()
        try:
            rows: list[Row] = module.measure()
        except Exception:  # noqa: BLE001 - one broken part must not hide the figures of the others
            traceback.print_exc()
            broken = True
            continue
        sections.append((name, title, time.monotonic() - begin, rows))
        print("\n".join(plain(rows)), flush=True)
    missed = [row["what"] for *_, rows in sections for row in rows if row.get("ok") is False]
    print("\nMissed: " + "; ".join(missed) if missed else "\nEvery goal is met.")
    if not chosen and not broken:
        REPORT.write_text(report(sections, load), encoding="utf-8")
        print(f"Written: {REPORT.relative_to(HERE.parents[1])}")
    return 1 if missed or broken else 0


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """The row as text: what, value, ratio, goal, verdict."""
    value, ratio, ok = row["value"], row.get("ratio"), row.get("ok")
    figure = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    verdict = "" if ok is None else ("yes" if ok else "NO")
    return (
        row["what"],
        f"{figure} {row['unit']}".strip(),
        "" if ratio is None else f"{ratio:.2f} x",
        row.get("goal", ""),
        verdict,
    )


HEAD = ("what", "value", "ratio", "goal", "met")


def plain(rows: Iterable[Row]) -> list[str]:
    """The rows as lines for a terminal."""
    table = [HEAD, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEAD))]
    return [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]


def report(sections: list[tuple[str, str, float, list[Row]]], load: float) -> str:
    """docs/benchmarks.md. ``load``: the load average before the first measurement, which says how quiet the machine was."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {time.strftime('%Y-%m-%d')}. Machine: {machine()}; load average {load:.1f} when it began.",
        "Ratios compare with the side named in the row, measured in the same run, in turns; the figures themselves are this machine's.",
    ]
    for name, title, seconds, rows in sections:
        lines += ["", f"## {title}", "", f"`make bench ARGS={name[6:]}`, {seconds:.0f} s.", ""]
        lines += [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
        lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Cores, memory, Python; no names."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} CPU cores, {memory:.0f} GiB memory, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
