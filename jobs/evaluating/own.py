"""TuneDeck's own evaluator: asks through the served endpoint, marks by itself (:mod:`backend.evaluate.marking`), and keeps each answer as it comes.

A second attempt asks what has no answer yet and what failed. A subject's score is put as soon as all its questions have an outcome.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from backend.errors import DataError, PanelError
from backend.evaluate import sets
from backend.evaluate.questions import Question
from backend.evaluate.records import Answer, Outcome, Score, Tally
from backend.i18n import N_
from backend.queue.store import Store, open_store
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace
from jobs.evaluating import serving
from jobs.evaluating.answering import Asker, many
from jobs.evaluating.asking import Endpoint
from jobs.evaluating.work import Ended, Work
from jobs.harness import Job

VERSION = "1"
"""Goes up when the same answers would get other scores: another wording of questions, another reading of answers."""
TELL_S = 0.5
EVIDENCE = 3
"""Failed questions that are named as evidence."""
MANY_UNREAD = 0.1
FROM_ANSWERS = ("questions_failed", "answers_unread", "answers_cut", "judge_unread")
"""Notices that follow from all answers of a run."""


def evaluate(work: Work) -> Ended:
    """See :mod:`jobs.evaluating.work`."""
    book = Book(work)
    queue = open_store(work.workspace)
    try:
        serving.until_stopped(_ask(work, queue, book), lambda: work.stop_requested)
    finally:
        queue.close()
        book.tell(last=True)
    return Ended("done", notices(work), VERSION)


async def _ask(work: Work, queue: Store, book: Book) -> None:
    async with asker(work, queue) as asks:
        await many(asks, book.missing(), work.spec.concurrency, book.keep)


@asynccontextmanager
async def asker(work: Work, queue: Store) -> AsyncIterator[Asker]:
    """Who asks the questions of ``work``.

    Raises:
        PanelError: the judge cannot be had.
    """
    spec, workspace, job = work.spec, work.workspace, work.job
    assert work.served is not None
    async with contextlib.AsyncExitStack() as stack:
        model = await stack.enter_async_context(
            Endpoint(serving.reach(job, queue, workspace, spec), work.served, spec.timeout_s, job.log)
        )
        judge = None
        if needs_judge(work.questions):
            judge = await stack.enter_async_context(await _judge(job, queue, workspace, spec))
        yield Asker(model, spec.answer_tokens, examples(work), judge)


async def _judge(job: Job, queue: Store, workspace: Workspace, spec: EvaluateSpec) -> Endpoint:
    job.log(f"the judge is {spec.judge}")
    reach = serving.Ours(job, queue, workspace, spec.judge)
    return Endpoint(reach, await reach.find(), spec.timeout_s, job.log)


def needs_judge(questions: Sequence[Question]) -> bool:
    """Whether a model must mark some of the answers."""
    return any(question.rule == "judge" for question in questions)


def examples(work: Work) -> dict[str, list[Question]]:
    """The solved questions that stand before those of each subject: drawn by the seed, in their own order."""
    found: dict[str, list[Question]] = {}
    for subject in work.subjects() if work.spec.shots else ():
        solved = sets.examples(work.workspace, work.spec.questions, subject)
        drawn = random.Random(f"{work.spec.seed}:{subject}")  # noqa: S311 - a draw that can be had again, no secret
        if len(solved) > work.spec.shots:
            solved = [solved[place] for place in sorted(drawn.sample(range(len(solved)), work.spec.shots))]
        found[subject] = solved
    return found


class Book:
    """What has come so far, and where it is kept."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.subjects = work.subjects()
        self.outcomes: dict[str, dict[int, Outcome]] = {}
        self.failures: dict[str, list[Answer]] = {subject: [] for subject in self.subjects}
        self.told = 0.0
        work.store.plan(work.run_id, [Score(subject, n=len(asked)) for subject, asked in self.subjects.items()])
        for subject, outcomes in work.answered().items():
            wanted = {question.number for question in self.subjects.get(subject, ())}
            self.outcomes[subject] = {
                number: outcome for number, outcome in outcomes.items() if number in wanted and outcome != "failed"
            }
        for subject in self.subjects:
            self.outcomes.setdefault(subject, {})
            self._score(subject)
        self._put_left_out()
        self.tell(last=True)

    def missing(self) -> list[Question]:
        """What is still to be asked."""
        return [each for each in self.work.questions if each.number not in self.outcomes[each.subject]]

    def keep(self, answers: list[Answer]) -> None:
        """Keep ``answers``, and the scores of subjects that are complete with them."""
        self.work.store.put_answers(self.work.run_id, answers)
        for answer in answers:
            self.outcomes[answer.subject][answer.number] = answer.outcome
            if answer.outcome == "failed":
                self.failures[answer.subject].append(answer)
        for subject in dict.fromkeys(answer.subject for answer in answers):
            self._score(subject)
        self.tell()

    def tell(self, *, last: bool = False) -> None:
        """How far it is, twice a second at most."""
        now = time.monotonic()
        if last or now - self.told >= TELL_S:
            self.told = now
            done = sum(map(len, self.outcomes.values()))
            self.work.tell(done, len(self.work.questions), tally("", len(self.work.questions), self.outcomes.values()))

    def _put_left_out(self) -> None:
        """Subjects of the set that cannot be asked are cells as well: each says why it is empty."""
        if self.work.spec.subjects:
            return
        known = sets.get(self.work.workspace, self.work.spec.questions).subjects
        bad = [Score(one.name, n=one.questions, cause=one.problem) for one in known if one.problem]
        self.work.store.put_scores(self.work.run_id, bad)

    def _score(self, subject: str) -> None:
        asked = len(self.subjects[subject])
        if len(self.outcomes[subject]) == asked:
            counts = tally(subject, asked, [self.outcomes[subject]])
            self.work.store.put_scores(self.work.run_id, [score(counts, self.failures[subject])])


def tally(subject: str, planned: int, outcomes: Iterable[Mapping[int, Outcome]]) -> Tally:
    """The outcomes, counted."""
    counted = Counter(outcome for each in outcomes for outcome in each.values())
    return Tally(subject, planned, counted["right"], counted["wrong"], counted["unread"], counted["failed"])


def score(counts: Tally, failures: Sequence[Answer]) -> Score:
    """The cell of a subject: its accuracy in percent, or why there is none."""
    evidence = "\n".join(f"{each.number + 1}: {PanelError.from_dict(each.note)}" for each in failures[:EVIDENCE])
    if counts.counted:
        return Score(counts.subject, 100 * counts.right / counts.counted, counts.counted, evidence=evidence)
    usual = Counter(str(each.note.get("code")) for each in failures).most_common(1)
    cause = next((each.note for each in failures if usual and each.note.get("code") == usual[0][0]), {})
    return Score(counts.subject, None, counts.planned, cause=cause, evidence=evidence)


def notices(work: Work) -> tuple[str, ...]:
    """Codes of what a person should know about the scores of ``work``, those of earlier attempts included."""
    tallies = work.store.tallies(work.run_id)
    unread, counted = sum(one.unread for one in tallies), sum(one.counted for one in tallies)
    found = ["questions_failed"] if any(one.failed for one in tallies) else []
    if unread > MANY_UNREAD * counted:
        found.append("answers_unread")
    if unread:
        some = work.store.answers(work.run_id, outcome="unread", limit=unread)[0]
        found += ["answers_cut"] if any(each.note.get("code") == "answer_cut" for each in some) else []
        found += ["judge_unread"] if any("judge" in each.note for each in some) else []
    if needs_judge(work.questions):
        found.append("judged_by_model")
        if work.served is not None and work.served.model == work.spec.judge:
            found.append("judge_is_the_judged")
    return tuple(found)


def check_judge(spec: EvaluateSpec, questions: Sequence[Question]) -> None:
    """Raises:
    DataError: ``evaluate_judge_missing``.
    """
    if not spec.judge and needs_judge(questions):
        raise DataError(
            "evaluate_judge_missing",
            N_("Some of these questions can only be marked by another model, and no judge is named."),
            N_("Choose a judge among the models, or other questions."),
        )
