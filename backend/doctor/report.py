"""The examination for a colleague, as Markdown or JSON: in English, without secrets, names of people, and this host's name.

Left out or replaced: secrets (the runner has masked them already; done again here), the home folder (``~``), the names of
users and servers, and the host's name unless it is asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backend.doctor import masking
from backend.doctor.findings import ORDER, Finding, Text
from backend.doctor.run import Examination

TITLES = {"bad": "Bad", "attention": "Needs attention", "unknown": "Not known", "ok": "Fine"}


def cleaned(examination: Examination, *, host: bool = False) -> Examination:
    """``examination`` as it may be given away. host: with the name of this machine and of file servers."""
    change = _changer(examination.about.get("host", ""), host)
    about = {k: change(k, v) for k, v in examination.about.items() if host or k != "host"}
    return Examination(
        examination.at,
        examination.seconds,
        tuple(finding.mapped(change) for finding in examination.findings),
        about,
    )


def as_dict(examination: Examination, text: Callable[[Text], str] = Text.english) -> dict[str, Any]:
    """JSON for scripts: the texts filled in, by default in English."""
    return {
        "at": datetime.fromtimestamp(examination.at, UTC).isoformat(timespec="seconds"),
        "seconds": round(examination.seconds, 3),
        "about": dict(examination.about),
        "counts": examination.counts(),
        "findings": [
            {
                "code": finding.code,
                "state": finding.state,
                "title": text(finding.title),
                "evidence": [text(line) for line in finding.evidence],
                "meaning": text(finding.meaning) if finding.meaning else "",
                "fixes": [
                    {"text": text(fix.text), "command": fix.command, "setting": fix.setting, "place": fix.place}
                    for fix in finding.fixes
                ],
                "seconds": finding.seconds,
            }
            for finding in examination.findings
        ],
    }


def markdown(examination: Examination) -> str:
    """The same to read. Clean it first (:func:`cleaned`) where it is to leave the machine."""
    counts = examination.counts()
    about = " · ".join(f"{name} {value}" for name, value in examination.about.items())
    lines = [
        "# TuneDeck: this machine",
        "",
        f"{datetime.fromtimestamp(examination.at, UTC):%Y-%m-%d %H:%M:%S} UTC, looked at for {examination.seconds:.1f} s  ",
        about + "  ",
        ", ".join(f"{counts[state]} {TITLES[state].lower()}" for state in ORDER),
    ]
    for state in ORDER[:-1]:
        found = examination.having(state)
        if found:
            lines += ["", f"## {TITLES[state]}"]
        for finding in found:
            lines += _full(finding)
    fine = examination.having("ok")
    if fine:
        lines += ["", f"## {TITLES['ok']}", ""]
        lines += [f"- {f.title.english()} (`{f.code}`): " + " ".join(e.english() for e in f.evidence) for f in fine]
    return "\n".join(lines) + "\n"


def _full(finding: Finding) -> list[str]:
    took = f"{finding.seconds * 1000:.0f} ms"
    lines = ["", f"### {finding.title.english()} (`{finding.code}`, {took})", ""]
    lines += [f"- {line.english()}" for line in finding.evidence]
    if finding.meaning:
        lines += ["", finding.meaning.english()]
    for fix in finding.fixes:
        lines += ["", f"To do: {fix.text.english()}"]
        if fix.command:
            lines += ["", *(f"    {line}" for line in fix.command.splitlines())]
    return lines


def _changer(name: str, keep_host: bool) -> Callable[[str, str], str]:
    secrets = masking.known(os.environ)
    home = str(Path.home())
    # As a word of its own: a machine called "node" must not spoil "node_modules".
    own_name = (
        re.compile(rf"(?<![\w.-]){re.escape(name.split('.')[0])}(?:\.[\w.-]+)?(?![\w-])") if len(name) > 3 else None
    )

    def change(key: str, value: str) -> str:
        if key == "user":
            return "another user"
        if key == "server" and not keep_host:
            return "server"
        value = masking.scrub(value, secrets)
        if home != "/":
            value = re.sub(rf"{re.escape(home)}(?=/|$|[\s:;,'\"])", "~", value)
        if own_name is not None and not keep_host and key != "host" and name != "localhost":
            value = own_name.sub("this-host", value)
        return value

    return change
