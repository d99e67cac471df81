"""``python -m backend finetune compare|sweep|leaderboard``: trainings side by side, and several as one grid."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from backend.cli import output
from backend.cli.jobs import as_dict as job_dict
from backend.cli.jobs import read_spec
from backend.errors import NotFoundError, SpecError
from backend.finetune import comparing, sweeps
from backend.finetune.comparing import OUTCOMES, Contender, said
from backend.finetune.sweeps import Sweep
from backend.i18n import N_, _
from backend.queue import watcher
from backend.queue.store import open_store
from backend.workspace import open_workspace

REFUSED = 2
GIB = 1 << 30
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``, the noun ``finetune``."""
    app.command(help=_("Lay runs side by side: what differs between them, and what came of it, the best first."))(
        compare
    )
    app.command(help=_("Try several settings: one run for each combination of their values."))(sweep)
    app.command(help=_("The runs of a sweep, the best first."))(leaderboard)


def compare(
    jobs: Annotated[list[int], typer.Argument(metavar="JOB...", help=_("Numbers of the runs."))], as_json: Json = False
) -> int:
    return _print(comparing.contenders(open_store(open_workspace()), jobs), as_json)


def leaderboard(
    number: Annotated[int, typer.Argument(metavar="SWEEP", help=_("Number of the sweep, or of one of its runs."))],
    as_json: Json = False,
) -> int:
    store = open_store(open_workspace())
    store.get(number)
    asked = sweeps.of_job(store, number)
    if asked is None:
        raise NotFoundError(
            "sweep_not_found",
            N_("Job {job} belongs to no sweep."),
            N_("Name the first run of a sweep, or one of its others."),
            job=number,
        )
    found = sweeps.sweeps(store, store.list(verb="finetune", limit=10_000))
    return _print(comparing.contenders(store, found[asked]), as_json)


def sweep(
    spec: Annotated[str, typer.Argument(metavar="SPEC.json", help=_("JSON file with its settings; - reads them."))],
    vary: Annotated[
        list[str], typer.Option(metavar="FIELD=A,B", help=_("A setting and its values; once for each setting."))
    ],
    start: Annotated[bool, typer.Option("--start", help=_("Start it; without, only say what it would take."))] = False,
    as_json: Json = False,
) -> int:
    workspace = open_workspace()
    made = sweeps.make(workspace, read_spec(spec), _axes(vary))
    data = _as_dict(made)
    if not start or not made.runs:
        output(data, as_json, "\n".join(_lines(made)))
        return 0 if made.runs else REFUSED
    rows = sweeps.start(open_store(workspace), made)
    watcher.ensure_running(workspace)
    data["jobs"] = [job_dict(row) for row in rows]
    output(data, as_json, "\n".join(_("Job {job}: {title}").format(job=row.id, title=row.title) for row in rows))
    return 0


def _axes(vary: list[str]) -> dict[str, list[Any]]:
    axes = {}
    for text in vary:
        name, mark, values = text.partition("=")
        if not mark:
            raise SpecError(
                "sweep_vary_bad",
                N_("'{text}' names no values."),
                N_("Write a setting and its values, such as: learning_rate=1e-4,2e-4"),
                text=text,
            )
        axes[name.strip()] = sweeps.read_values(name.strip(), values)
    return axes


def _as_dict(made: Sweep) -> dict[str, Any]:
    return {
        "axes": {name: list(values) for name, values in made.axes.items()},
        "points": [point.fields for point in made.points],
        "seconds": vars(made.seconds) if made.seconds else None,
        "disk_bytes": made.disk_bytes,
        "disk_free": made.disk_free,
        "faults": [
            {"code": one.code, "field": one.field, "fatal": one.fatal, "text": one.sentence()} for one in made.faults
        ],
        "runs": made.runs,
    }


def _lines(made: Sweep) -> list[str]:
    lines = [point.label() for point in made.points]
    if made.seconds is not None:
        text = _("about {minutes} min in all, {disk} GiB of disk")
        lines.append(text.format(minutes=f"{made.seconds.likely / 60:.0f}", disk=f"{made.disk_bytes / GIB:.1f}"))
    return lines + [f"{'✗' if fault.fatal else '!'} {fault.sentence()}" for fault in made.faults]


def _print(found: list[Contender], as_json: bool) -> int:
    differing = comparing.differences(found)
    places = {one.id: place for place, one in enumerate(found)}
    ranked = comparing.ranked(found)
    data = {
        "differs": [each.field for each in differing],
        "runs": [
            {
                "job": one.id,
                "state": one.row.state,
                "settings": {each.field: each.values[places[one.id]] for each in differing},
                "outcomes": one.outcomes,
            }
            for one in ranked
        ],
    }
    heads = ["job", "state", *(each.field for each in differing), *OUTCOMES]
    cells = [
        [
            f"#{one.id}",
            one.row.state,
            *(said(each.values[places[one.id]]) for each in differing),
            *(f"{one.outcomes[name]:.4g}" if name in one.outcomes else "–" for name in OUTCOMES),
        ]
        for one in ranked
    ]
    widths = [max(len(line[place]) for line in [heads, *cells]) for place in range(len(heads))]
    text = "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in [heads, *cells]
    )
    output(data, as_json, text)
    return 0
