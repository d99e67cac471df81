"""``python -m backend doctor``: what about this machine would spoil your day, and what to do about it. `make doctor`.

Exit code 0: nothing is bad. 1: something is.
"""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli import output
from backend.doctor import report
from backend.doctor.findings import ORDER, Finding, together
from backend.doctor.run import Examination, examine
from backend.i18n import N_, _, ngettext

WORDS = {"bad": N_("bad"), "attention": N_("needs attention"), "unknown": N_("not known"), "ok": N_("fine")}


def command(
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
    as_report: Annotated[
        bool, typer.Option("--report", help=_("Print a report for a colleague: no secrets, no names of people."))
    ] = False,
    host: Annotated[bool, typer.Option("--host", help=_("Leave the name of this machine in the report."))] = False,
    everything: Annotated[bool, typer.Option("--all", help=_("Also say at length what is fine."))] = False,
) -> int:
    """Look at this machine: GPUs, disks, limits, network, software."""
    found = examine()
    if as_report:
        found = report.cleaned(found, host=host)
    if as_json:
        output(report.as_dict(found), True)
    elif as_report:
        output(None, False, report.markdown(found).rstrip("\n"))
    else:
        output(None, False, "\n".join(_lines(found, everything)))
    return 1 if found.having("bad") else 0


def _lines(found: Examination, everything: bool) -> list[str]:
    lines: list[str] = []
    fine = found.having("ok")
    for finding in together(found.findings if everything else found.having(*ORDER[:-1])):
        lines += [*_paragraph(finding), ""]
    if not everything:
        lines.append(ngettext("{n} check is fine.", "{n} checks are fine.", len(fine)).format(n=len(fine)))
    lines.append(_("Looked at for {seconds} s.").format(seconds=f"{found.seconds:.1f}"))
    return lines


def _paragraph(finding: Finding) -> list[str]:
    lines = [f"{_(WORDS[finding.state])}: {finding.title.localized()}  ({finding.seconds * 1000:.0f} ms)"]
    lines += [f"  {line.localized()}" for line in finding.evidence]
    if finding.meaning:
        lines.append(f"  {finding.meaning.localized()}")
    for fix in finding.fixes:
        lines.append("  → " + fix.text.localized())
        lines += [f"      {line}" for line in fix.command.splitlines()]
        if fix.setting:
            lines.append(f"      TUNEDECK_{fix.setting.upper()}")
    return lines
