"""What came of measuring a server under one load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backend.bench.columns import Columns
from backend.bench.notices import ERRORS
from backend.bench.records import Record
from backend.errors import ServerError
from backend.i18n import N_

Ended = Literal["", "stopped", "server_died", "all_failed"]


@dataclass(frozen=True)
class Measured:
    """concurrency: people at once. columns: :mod:`backend.bench.columns`. records: every request. errors: failed requests by
    kind. complete: as many were sent as were asked for. ended: why not: ``stopped`` by the person, ``server_died``,
    ``all_failed`` (so many in a row failed that the rest was not tried). notices: codes of :mod:`backend.bench.notices`.
    first_error: what the server said, or what happened, at the first that failed.
    """

    concurrency: int
    columns: Columns
    records: Sequence[Record]
    complete: bool
    ended: Ended = ""
    notices: tuple[str, ...] = ()
    first_error: str = ""

    @property
    def errors(self) -> dict[str, int]:
        return dict(Counter(one.error for one in self.records if one.error).most_common())

    @property
    def answered(self) -> int:
        return sum(not one.error for one in self.records)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``bench.json``, without the single requests."""
        return {
            "concurrency": self.concurrency,
            "columns": self.columns,
            "errors": self.errors,
            "complete": self.complete,
            "ended": self.ended,
            "notices": list(self.notices),
            "first_error": self.first_error,
        }

    def problem(self, model: str) -> ServerError | None:
        """Why it is not what was asked for; None: it is, or the person stopped it."""
        if self.ended == "server_died" or (self.ended == "all_failed" and self.answered):
            return ServerError(
                "bench_server_died",
                N_("With {people} people at once, the server of '{model}' stopped answering after {answered} answers."),
                N_(
                    "What was measured until then is kept and marked. Look at the server's log for the cause, start it again, and measure again, perhaps with fewer people at once."
                ),
                model=model,
                answered=self.answered,
                people=self.concurrency,
                line=self.first_error,
            )
        kinds = self.errors
        if self.answered or not kinds:
            return None
        kind = next(iter(kinds))
        if kind == "context":
            return ServerError(
                "bench_prompts_too_long",
                N_("Every prompt is too long for '{model}': {problem}"),
                N_("Give a shorter prompt length or answer length, or serve the model with a longer context."),
                model=model,
                problem=self.first_error,
            )
        return ServerError(
            "bench_nothing_answered",
            N_("The server of '{model}' answered none of {count} requests in full: {kind}. {problem}"),
            N_("Ask it something in the Chat or with curl first; the server's log shows what it makes of a request."),
            model=model,
            count=len(self.records),
            kind=ERRORS.get(kind, kind),
            problem=self.first_error,
        )
