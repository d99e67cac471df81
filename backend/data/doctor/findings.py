"""Findings and the report that holds them: what ``doctor.json`` beside a version keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backend.data.doctor.checks import CHECKS, SEVERITIES, Check, Severity
from backend.errors import fill
from backend.i18n import N_, _
from backend.workspace import read_json, write_json

FILE = "doctor.json"
FORMAT = 1
"""Of the file; a report of another one is made again."""


NAMES = {
    "zh": N_("Chinese"),
    "en": N_("English"),
    "other": N_("another script"),
    "private_key": N_("a private key"),
    "api_key": N_("a key of a service"),
    "web_token": N_("a login token"),
    "url_password": N_("a password in an address"),
    "email": N_("an e-mail address"),
    "id_number": N_("an identity number"),
    "card_number": N_("a card number"),
    "mobile_number": N_("a mobile number"),
    "ip_address": N_("a network address"),
    "no_row": N_("it is not a conversation"),
}
"""Words for the values that findings hold as codes."""
CODED = ("asked", "answered", "main", "what")
"""Which values are such codes."""


@dataclass(frozen=True)
class Limits:
    """From where on something counts.

    chars: of one row, all turns together. share: of the rows, from which a language is the main one. copies: how often one row
    must stand there to be told as such. listed: findings of one code that a report lists; all are counted.
    """

    chars: int = 32_000
    share: float = 0.9
    copies: int = 20
    listed: int = 1_000


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. row: counted from 1; None: the set as a whole. values: codes and numbers, never what was found."""

    row: int | None
    code: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def check(self) -> Check:
        """What was looked for."""
        return CHECKS[self.code]

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return self.check.severity

    @property
    def fixable(self) -> bool:
        """Whether there is a fix."""
        return self.check.fixable

    def message(self) -> str:
        """What is wrong, in the language of the current person."""
        values: dict[str, Any] = {
            k: _(NAMES.get(v, v)) if k in CODED and isinstance(v, str) else v for k, v in self.values.items()
        }
        if (problem := values.get("problem")) is not None:
            values["problem"] = fill(_(NAMES.get(problem, problem)), values.get("params") or {})
        values["row"] = self.row
        return fill(_(self.check.message), {k: f"{v:,}" if isinstance(v, int) else v for k, v in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """The form of the command line."""
        return {
            "row": self.row,
            "code": self.code,
            "severity": self.severity,
            "message": self.message(),
            "fixable": self.fixable,
        }


@dataclass(frozen=True)
class Read:
    """A row worth reading. row: counted from 1. why: ``longest``, ``shortest``, ``typical``, ``language`` or ``random``."""

    row: int
    why: str


@dataclass(frozen=True)
class Report:
    """What was found in a set.

    findings: in the order of severity, check and row; at most ``limits.listed`` of each code. counts: all of them. sample: rows
    to read. languages: rows by the language of their answers. lengths: ``[characters, rows]``, rows of at most so many
    characters and more than the entry before. against: the other dataset. seed: of the sample. seconds: what it took.
    """

    rows: int
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    sample: list[Read] = field(default_factory=list)
    languages: dict[str, int] = field(default_factory=dict)
    lengths: list[list[int]] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    against: str = ""
    seed: int = 1
    seconds: float = 0.0

    def of(self, code: str) -> list[Finding]:
        """The listed findings of one check."""
        return [finding for finding in self.findings if finding.code == code]

    def having(self, severity: Severity) -> int:
        """How many findings are that grave."""
        return sum(count for code, count in self.counts.items() if CHECKS[code].severity == severity)

    def checks(self) -> list[tuple[Check, int]]:
        """What was found, the gravest first, with how many."""
        found = [(check, self.counts[code]) for code, check in CHECKS.items() if self.counts.get(code)]
        return sorted(found, key=lambda pair: SEVERITIES.index(pair[0].severity))

    def save(self, folder: Path) -> Path:
        """Write ``doctor.json`` into ``folder``.

        Raises:
            WorkspaceError: the disk is full or read-only.
        """
        data = {**asdict(self), "format": FORMAT, "findings": [[f.row, f.code, f.values] for f in self.findings]}
        write_json(folder / FILE, data)
        return folder / FILE


def load(folder: Path) -> Report | None:
    """The report in ``folder``; None where there is none, or one of another kind."""
    data = read_json(folder / FILE)
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        return None
    try:
        findings = [Finding(row, code, values) for row, code, values in data.pop("findings") if code in CHECKS]
        sample = [Read(**one) for one in data.pop("sample")]
        limits = Limits(**data.pop("limits"))
        data["counts"] = {code: n for code, n in data.pop("counts").items() if code in CHECKS}
        return Report(**data, findings=findings, sample=sample, limits=limits)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """By severity, check and row."""
    place = {code: number for number, code in enumerate(CHECKS)}
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), place[f.code], f.row or 0))
