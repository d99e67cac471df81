"""What base and tuned model are asked at the end of a run: questions of the dataset that were held out, the general slice, and rows for the loss."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from backend.data.rows import Row
from backend.data.tokens import mask
from backend.data.tokens.encoded import Encoded
from backend.data.tokens.model import TokenModel
from backend.errors import PanelError
from backend.finetune import general, scoring
from backend.finetune.scoring import Question
from jobs.finetuning import asking, rows

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

MOST_QUESTIONS, MOST_ROWS, MOST_TOKENS = 200, 200, 100_000
"""Questions of the dataset, and rows and tokens of the loss: more say little more."""


@dataclass(frozen=True)
class Asked:
    """A question that both models get. part: ``questions`` or ``general``."""

    part: str
    question: Question
    prompt: asking.Prompt


@dataclass(frozen=True)
class Exam:
    """All that both get. asked: in an order in which any beginning is a fair sample. split, rows_split: of the dataset, where
    the questions and the rows of the loss are from. there: part -> how many questions there were to ask."""

    asked: list[Asked]
    rows: list[Encoded]
    split: str
    rows_split: str
    there: dict[str, int]

    def only(self, asked: list[int], rows: list[int]) -> Exam:
        """Some of it, by place."""
        return Exam(
            [self.asked[place] for place in asked],
            [self.rows[place] for place in rows],
            self.split,
            self.rows_split,
            self.there,
        )


def make(job_dir: Path, plan: Plan, tokens: TokenModel, context: int) -> Exam:
    """The exam of the run in ``job_dir``, the same each time. context: tokens that a prompt and its answer may have.

    Raises:
        DataError: the rows are gone, or damaged.
    """
    # The run's own copy, made when it began: the dataset may be gone by now.
    prepared = rows.prepare(job_dir, plan.spec)
    test, validation = list(prepared.rows("test")), list(prepared.rows("validation"))
    taught = [one["content"] for row in prepared.rows("train") for one in row["messages"] if one["role"] == "user"]
    asked_of = test or validation
    questions = [one for one in map(scoring.question, asked_of) if one is not None]
    # A random order of their own, one kind and then the other: whenever time ends it, both are well represented.
    rng = random.Random(plan.spec.seed)  # noqa: S311 - a sample that must repeat
    chosen = _chosen(questions, rng)
    simple = general.untaught(scoring.said(taught))
    mixed = rng.sample(simple, len(simple))
    asked = []
    for pair in zip_longest(chosen, mixed):
        for kind, one in zip(("questions", "general"), pair, strict=True):
            prompt = asking.prompt(tokens, one, context) if one is not None else None
            if one is not None and prompt is not None:
                asked.append(Asked(kind, one, prompt))
    encoded = _encoded(validation or test, tokens, min(plan.spec.max_length, context), rng)
    there = {"questions": len(questions), "general": len(mixed)}
    return Exam(asked, encoded, "test" if test else "validation", "validation" if validation else "test", there)


def _chosen(questions: list[Question], rng: random.Random) -> list[Question]:
    """Some of the questions, in a random order; where they say how far their words are from the taught ones, as many of each."""
    distances = sorted({one.distance for one in questions})
    most = MOST_QUESTIONS // max(1, len(distances))
    found: list[Question] = []
    for distance in distances:
        of_it = [one for one in questions if one.distance == distance]
        # What can be told apart from wrong says most.
        told = [one for one in of_it if one.rule] or of_it
        found += rng.sample(told, min(len(told), most))
    rng.shuffle(found)
    return found


def _encoded(held_out: list[Row], tokens: TokenModel, cutoff: int, rng: random.Random) -> list[Encoded]:
    """Some of the rows as the training is given them, those from which something is learned."""
    found: list[Encoded] = []
    total = 0
    for row in rng.sample(held_out, min(len(held_out), MOST_ROWS)):
        try:
            one = mask.encode(tokens, row, cutoff)
        except PanelError:
            continue
        total += len(one.ids)
        if found and total > MOST_TOKENS:
            break
        if any(one.trained[1:]):
            found.append(one)
    return found
