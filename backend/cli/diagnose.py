"""``python -m backend diagnose LOGFILE``: why something failed, told from its log; nothing where nobody knows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from backend.cli import output
from backend.diagnosis import ROWS, Finding, diagnose, reading
from backend.diagnosis.matcher import find
from backend.i18n import _

KNOWN = tuple(sorted({name for row in ROWS for name in row.about}))
"""The engines and verbs that rows are about."""


def command(
    log: Annotated[str, typer.Argument(help=_("The log file; '-' reads it from standard input."))],
    exit_code: Annotated[
        int | None, typer.Option(help=_("How the program ended: its exit code, or minus the signal that killed it."))
    ] = None,
    engine: Annotated[
        str, typer.Option(help=_("Engine or kind of job that the log is from: {names}.").format(names=", ".join(KNOWN)))
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    """Say why something failed, told from its log."""
    about = (engine,) if engine else ()
    if log == "-":
        found = find(reading.read_stream(sys.stdin.buffer, "-"), ROWS, exit_code=exit_code, about=about)
    else:
        found = diagnose(Path(log), exit_code=exit_code, about=about)
    said = "\n\n".join(map(told, found)) or _(
        "No known cause. Read the end of the log; what stands above the last error often says more."
    )
    output([finding.to_dict() for finding in found], as_json, said)


def told(finding: Finding) -> str:
    """A finding for a person: cause, evidence, what helps."""
    where = _("Line {n}").format(n=finding.line) if finding.line else _("Evidence")
    lines = [f"{finding.cause()}  [{finding.code}]", f"  {where}: {finding.text}"]
    for fix in finding.fixes():
        if fix["kind"] == "command":
            lines += [f"  - {fix['hint']}", f"      {fix['text']}"]
        else:
            lines.append(f"  - {fix['text']}")
    return "\n".join(lines)
