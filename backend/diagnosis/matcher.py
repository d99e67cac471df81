"""The one matcher: which rows of the table fit a log, the most likely first.

A row counts only for a line that reports a failure: not for warnings, not for source code that a traceback shows, not
where the run went on training or ended well afterwards. Nothing is guessed: where no row fits, nothing is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.diagnosis.lines import Line, Text
from backend.diagnosis.patterns import LEAD, PLACE, Pattern, compiled
from backend.diagnosis.row import CAUSE, EXIT, Row
from backend.errors import fill
from backend.i18n import _

MOST = 5
TRIES = 40
"""Places at which a pattern is tried; a message that is repeated more often says the same again."""
REACH = 1500
BEFORE = 4
"""A message may begin this many wrapped lines above the words that were found first."""
LIVED = 3
ENDED_WELL = ("successfullyinstalled", "'train_runtime':", "trainingcompleted", "trainingfinished")


@dataclass(frozen=True)
class Finding:
    """A row that fits. line: counted from 1; None where it is not known or the exit code alone speaks."""

    row: Row
    line: int | None
    text: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        return self.row.code

    def cause(self) -> str:
        """What happened, in the current language, with its figures where the log has them."""
        told = self.row.told
        if told and all(name in self.params for name in re.findall(r"{(\w+)}", told)):
            return fill(_(told), self.params)
        return fill(_(self.row.cause), self.params)

    def fixes(self) -> list[dict[str, Any]]:
        """What helps, the likeliest first; see :class:`backend.diagnosis.row.Fix`."""
        return [fix.to_dict(self.params) for fix in self.row.fixes]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, in the current language."""
        return {
            "code": self.row.code,
            "cause": self.cause(),
            "evidence": {"line": self.line, "text": self.text},
            "fixes": self.fixes(),
        }


@dataclass(frozen=True)
class _Match:
    row: Row
    start: int
    end: int
    index: int
    params: dict[str, Any]
    far: bool


def find(
    lines: Iterable[tuple[int | None, str]],
    rows: Sequence[Row],
    *,
    exit_code: int | None = None,
    about: Sequence[str] = (),
) -> list[Finding]:
    """What the log says about a failure, the most likely cause first; empty where nothing is known.

    Args:
        lines: numbered, without colours (see :mod:`backend.diagnosis.reading`).
        exit_code: how the program ended, negative for a signal; None where it is not known.
        about: engine and verb that the log is from; rows that are about others are left out.
    """
    rows = [row for row in rows if not about or not row.about or set(row.about) & set(about)]
    log = Text(lines)
    facts = {"engine": next(iter(about), "")}
    matches = _survivors(log, [match for row in rows for match in _matches(log, row)])
    found = [_finding(log, match, facts) for match in _ordered(log, _best_of_line(matches))]
    for row in rows:
        if exit_code is not None and _as_signal(exit_code) in row.exits:
            found.append(Finding(row, None, f"exit code {exit_code}", {**facts, "exit_code": exit_code}))
    unique = {finding.code: finding for finding in reversed(found)}
    return [finding for finding in found if unique[finding.code] is finding][:MOST]


def _as_signal(exit_code: int) -> int:
    """A shell reports a child killed by signal 9 as 137."""
    return 128 - exit_code if 128 < exit_code < 128 + 65 else exit_code


def _matches(log: Text, row: Row) -> Iterable[_Match]:
    for source in row.patterns:
        pattern = compiled(source)
        at, tries, done = -1, 0, -1
        while tries < TRIES and (at := log.lowered.find(pattern.literal, at + 1)) >= 0:
            tries += 1
            if at < done:
                continue
            match = _match_at(log, row, pattern, at)
            if match is not None:
                done = match.end
                yield match
        if tries == TRIES:
            # The last one may be the one that counts.
            match = _match_at(log, row, pattern, log.lowered.rfind(pattern.literal))
            if match is not None:
                yield match


def _match_at(log: Text, row: Row, pattern: Pattern, at: int) -> _Match | None:
    first = log.lines[max(0, log.index(at) - BEFORE)].start
    low = max(first, at - REACH)
    end = at + len(pattern.literal) + REACH
    while (found := pattern.regex.search(log.squeezed, low, end)) is not None:
        low = found.start() + 1
        if found.start() > at:
            return None
        if found.end() < at + len(pattern.literal):
            continue
        index = log.index(found.start())
        line = log.lines[index]
        if line.level in ("quiet", "code") and line.level not in row.even:
            continue
        if "quiet" in row.even and line.level != "loud" and not ("alive" in row.even or log.failed_after(index)):
            continue
        if not (_begins_word(line, found.start()) if pattern.anywhere else _leads(log, line.start, found.start())):
            continue
        if pattern.ends and found.end() != log.end(log.index(found.end() - 1)):
            continue
        params = {name: _value(log, pattern, found, name) for name in found.groupdict()}
        stop = found.end()
        if pattern.opened:
            stop = min(stop, log.end(log.index(found.start(pattern.opened))))
        return _Match(row, found.start(), stop, index, params, "……" in pattern.source)
    return None


def _leads(log: Text, start: int, place: int) -> bool:
    return place == start or LEAD.fullmatch(log.squeezed, start, place) is not None


def _begins_word(line: Line, place: int) -> bool:
    columns = [n for n, c in enumerate(line.said) if not c.isspace()]
    column = columns[place - line.start]
    return not (column and line.said[column - 1].isalnum() and line.said[column].isalnum())


def _value(log: Text, pattern: Pattern, found: re.Match[str], name: str) -> str:
    start, end = found.span(name)
    text = log.original(start, min(end, log.end(log.index(start))) if name == pattern.opened else end)
    kind = next(kind for each, kind in PLACE.findall(pattern.source) if each == name)
    if kind in ("name", "program") and text.split():
        return text.split()[0]  # without quotes a value ends at the next blank
    if kind == "cuda":  # the driver says 12040 and means 12.4
        return f"{int(text) // 1000}.{int(text) % 1000 // 10}"
    if kind == "size" and text.endswith("bytes"):
        return f"{float(text.removesuffix('bytes')) / (1 << 30):.1f} GiB"
    return text


def _survivors(log: Text, matches: list[_Match]) -> list[_Match]:
    """Those after which nothing shows that the run went on or ended well."""
    if not matches:
        return []
    well = max(log.lowered.rfind(words) for words in ENDED_WELL)
    return [
        match
        for match in matches
        if "alive" in match.row.even or (match.end > well and sum(place >= match.end for place in log.lives) < LIVED)
    ]


def _best_of_line(matches: list[_Match]) -> list[_Match]:
    best: dict[int, _Match] = {}
    for match in matches:
        other = best.get(match.index)
        if other is None or _rank(match) < _rank(other):
            best[match.index] = match
    return list(best.values())


def _rank(match: _Match) -> tuple[int, int]:
    return match.row.level, -match.row.weight


def _ordered(log: Text, matches: list[_Match]) -> list[_Match]:
    """Causes first, by weight and place; then what was nearest to the end, of one traceback its innermost."""

    def order(match: _Match) -> tuple[int, int, int, int]:
        if match.row.level == CAUSE:
            return CAUSE, 0, -match.row.weight, match.index
        return match.row.level, -log.lines[match.index].episode, -match.row.weight, match.index

    return sorted(matches, key=order)


def _finding(log: Text, match: _Match, facts: dict[str, Any]) -> Finding:
    # Where a row names a place in a program and what was raised there, the latter says more.
    start = log.lines[log.index(match.end - 1)].start if match.far else match.start
    number, text = log.evidence(start, match.end)
    return Finding(match.row, number, text, {**facts, **match.params})


assert EXIT > CAUSE
