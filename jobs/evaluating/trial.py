"""A few questions, spread over the subjects, to learn how long all would take and how the model answers. Nothing of it is kept as a score."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from backend.errors import ConflictError
from backend.evaluate.questions import Question
from backend.evaluate.records import Answer
from backend.i18n import N_
from backend.queue.store import Store
from jobs.evaluating import own, serving
from jobs.evaluating.answering import many
from jobs.evaluating.work import Work

LONGEST = 4000
"""Characters of a prompt or an answer that are shown."""


def run(work: Work, queue: Store) -> dict[str, Any]:
    """What came of ``spec.trial`` questions of ``work``, which keeps them all and asks them as its own evaluator would.

    Raises:
        ConflictError: ``evaluate_trial_server``. PanelError: the server cannot be asked.
    """
    if work.served is None:
        raise ConflictError(
            "evaluate_trial_server",
            N_("A trial asks a server, and here the evaluator loads the model itself."),
            N_("Try the model through a server first: the time per question is about the same."),
        )
    asked, came = spread(work.questions, work.spec.trial), list[Answer]()

    def keep(answers: list[Answer]) -> None:
        came.extend(answers)
        counts = own.tally("", len(asked), [{n: each.outcome for n, each in enumerate(came)}])
        work.tell(len(came), len(asked), counts)

    async def ask() -> float:
        async with own.asker(work, queue) as asks:
            # The first answer of a fresh server takes longer than any other.
            await asks.one(asked[0])
            began = time.monotonic()
            await many(asks, asked, work.spec.concurrency, keep)
            return time.monotonic() - began

    seconds = serving.until_stopped(ask(), lambda: work.stop_requested)
    counts = own.tally("", len(asked), [{n: each.outcome for n, each in enumerate(came)}])
    took = [each.seconds for each in came if each.seconds is not None]
    tokens = [each.tokens for each in came if each.tokens is not None]
    return {
        "complete": True,
        "trial": len(asked),
        "questions": len(work.questions),
        "seconds": round(seconds, 3),
        "seconds_per_question": round(sum(took) / len(took), 4) if took else None,
        "each_s": [round(each, 4) for each in took],
        "concurrency": min(work.spec.concurrency, len(asked)),
        "tokens": sum(tokens) if tokens else None,
        "right": counts.right,
        "wrong": counts.wrong,
        "unread": counts.unread,
        "failed": counts.failed,
        "answers": [_short(each) for each in sorted(came, key=lambda each: (each.subject, each.number))],
    }


def spread(questions: Sequence[Question], count: int) -> list[Question]:
    """``count`` of ``questions``, evenly over them, so that all subjects have their share."""
    if count >= len(questions):
        return list(questions)
    return [questions[place * len(questions) // count] for place in range(count)]


def _short(answer: Answer) -> dict[str, Any]:
    told = asdict(answer)
    return {name: value[:LONGEST] if isinstance(value, str) else value for name, value in told.items()}
