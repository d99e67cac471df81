"""``python -m backend memory history``: any part of the record, as JSON, as CSV, or in a few words."""

from __future__ import annotations

import csv
import math
import re
import sys
import time
from datetime import datetime
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.i18n import _
from backend.memory import wire
from backend.memory.sample import Moment, SeriesKey, Window
from backend.memory.series import open_memory
from backend.workspace import open_workspace

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
BYTES = ("used", "total", "swap", "disk", "job", "user", "neighbours")
GIB = 1 << 30
AROUND_S = 300.0


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command(
        "history", help=_("Print what was recorded: memory of GPUs, jobs and people over time, and what happened.")
    )(history)


def history(
    last: Annotated[str, typer.Option(metavar="TIME", help=_("How far back: 90s, 15m, 1h, 7d or 4w."))] = "1h",
    begin: Annotated[
        str, typer.Option("--from", metavar="TIME", help=_("Beginning: epoch seconds or 2026-01-31T03:00."))
    ] = "",
    end: Annotated[
        str, typer.Option("--to", metavar="TIME", help=_("End, written the same way; without it, now."))
    ] = "",
    points: Annotated[int, typer.Option(min=1, max=10000, help=_("About how many values of each series."))] = 600,
    job: Annotated[int | None, typer.Option(help=_("Only this job, from its first second to its last."))] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help=_("Print CSV: a line for each value; gaps have none."))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    memory = open_memory(open_workspace())
    until = moment(end, "--to") if end else time.time()
    since = moment(begin, "--from") if begin else until - seconds(last)
    if since >= until:
        raise typer.BadParameter(_("The beginning must be before the end."))
    if job is None:
        window = memory.window(since, until, points)
    else:
        limits = (since if begin else None, until if end else None)
        window = memory.job_series(job, points, *limits)
    # A job begins before it is first seen, and its end is told after it was last seen.
    around = 0.0 if job is None else AROUND_S
    moments = memory.moments(window.start - (0 if begin else around), window.end + (0 if end else around))
    moments = [each for each in moments if job is None or each.subject == str(job)]
    if as_csv:
        _write_csv(window)
        return
    data = {
        "start": window.start,
        "end": window.end,
        "step": window.step,
        "series": [
            {**wire.plain(key), **{name: _rounded(key, getattr(series, name)) for name in ("mean", "low", "high")}}
            for key, series in sorted(window.series.items())
        ],
        "moments": [wire.plain(each) for each in moments],
        "peaks": [wire.plain(peak) for peak in memory.peaks(job)] if job is not None else [],
    }
    output(data, as_json, "\n".join(_lines(window, moments)) or _("Nothing was recorded then."))


def seconds(text: str) -> float:
    """``90s``, ``15m``, ``1h``, ``7d`` or ``4w`` in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if found is None or float(found[1]) <= 0:
        raise typer.BadParameter(_("'{text}' is no length of time; write 90s, 15m, 1h, 7d or 4w.").format(text=text))
    return float(found[1]) * UNITS[found[2]]


def moment(text: str, option: str) -> float:
    """Epoch seconds, or a date and time of this machine's zone."""
    try:
        value = float(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            value = math.nan
    if not 0 <= value < 1e11:  # also what is not a number at all
        raise typer.BadParameter(
            _("{option}: '{text}' is no time; write epoch seconds or 2026-01-31T03:00.").format(
                option=option, text=text
            )
        )
    return value


def _rounded(key: SeriesKey, values: tuple[float | None, ...]) -> list[float | None]:
    digits = None if key.name in BYTES else 3
    return [None if value is None else round(value, digits) for value in values]


def _write_csv(window: Window) -> None:
    table = csv.writer(sys.stdout)
    table.writerow(("t", "place", "name", "subject", "mean", "low", "high"))
    for key, series in sorted(window.series.items()):
        values = zip(*(_rounded(key, row) for row in (series.mean, series.low, series.high)), strict=True)
        for at, cell in enumerate(values):
            if cell[0] is not None:
                table.writerow((window.start + at * window.step, key.place, key.name, key.subject, *cell))


def _lines(window: Window, moments: list[Moment]) -> list[str]:
    """Lowest and highest of each series, then what happened."""
    lines = []
    for key, series in sorted(window.series.items()):
        low = min(value for value in series.low if value is not None)
        high = max(value for value in series.high if value is not None)
        name = " ".join(part for part in (key.place, key.name, key.subject) if part)
        lines.append(f"{name:<56}{_figure(key, low):>12} - {_figure(key, high)}")
    return [*lines, *(f"{datetime.fromtimestamp(m.t):%Y-%m-%d %H:%M:%S}  {_told(m)}" for m in moments)]


def _told(what: Moment) -> str:
    details: dict[str, Any] = what.details or {}
    extra = [str(details[name]) for name in ("phase", "state", "title", "user", "command") if details.get(name)]
    return "  ".join(part for part in (what.kind, what.place, what.subject, *extra) if part)


def _figure(key: SeriesKey, value: float) -> str:
    return f"{value / GIB:.2f} GiB" if key.name in BYTES else f"{value:.2f}"
