"""Cells without a number, by cause: none is ever empty without saying why. And answers out of which nothing could be read, which are not wrong ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backend.errors import PanelError
from backend.evaluate.records import Run, Score, Tally
from backend.i18n import N_

MANY_UNREAD = 0.1
"""A share of answers that could not be read, from which on a score says more about their form than about what is known."""


@dataclass(frozen=True)
class Trouble:
    """One cause, and the cells that it concerns."""

    cause: dict[str, Any]
    cells: tuple[Score, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """What is to be run again."""
        return tuple(dict.fromkeys(cell.subject for cell in self.cells))


def missing(run: Run, scores: Iterable[Score], tallies: Iterable[Tally] = ()) -> list[Trouble]:
    """The causes of all cells without a number, the one of most cells first. A cell that still waits for its turn is none."""
    counts = {tally.subject: tally for tally in tallies}
    by_cause: dict[str, list[Score]] = {}
    for score in scores:
        if score.value is not None or score.group or (run.state == "running" and not score.cause):
            continue
        cell = score if score.cause else replace(score, cause=_cause(run, counts.get(score.subject)).to_dict())
        by_cause.setdefault(str(PanelError.from_dict(cell.cause)), []).append(cell)
    return [Trouble(cells[0].cause, tuple(cells)) for cells in sorted(by_cause.values(), key=len, reverse=True)]


def with_causes(run: Run, scores: Sequence[Score], tallies: Iterable[Tally] = ()) -> list[Score]:
    """``scores``, each empty cell with a cause."""
    told = {(cell.subject, cell.metric): cell for each in missing(run, scores, tallies) for cell in each.cells}
    return [told.get((score.subject, score.metric), score) for score in scores]


def _cause(run: Run, tally: Tally | None) -> PanelError:
    """Of a cell about which nobody wrote down anything."""
    if run.state == "stopped":
        return PanelError(
            "score_stopped",
            N_(
                "The evaluation was stopped before this subject was finished: {asked} of {planned} questions were asked."
            ),
            N_("Resume its job: only what is missing is asked."),
            asked=tally.asked if tally else 0,
            planned=tally.planned if tally else 0,
        )
    if tally is not None and tally.failed and not tally.counted:
        return PanelError(
            "score_all_failed",
            N_("All {count} questions of this subject failed."),
            N_("Look at the answers for the reason, then run only this again."),
            count=tally.failed,
        )
    return PanelError(
        "score_cause_unknown",
        N_("The evaluator ended without a score and without saying why."),
        N_("Run it again; the log of the job has what the program wrote."),
    )
