"""A question from what is sent to what is kept of it, and many of them at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backend.errors import PanelError, ServerError
from backend.evaluate import marking, wording
from backend.evaluate.questions import Question
from backend.evaluate.records import Answer
from backend.i18n import N_
from jobs.evaluating import judge
from jobs.evaluating.asking import OF_ONE, Endpoint

Keep = Callable[[list[Answer]], None]


class Asker:
    """Asks the ``model``, ``most`` tokens an answer, with solved ``examples`` of the subject before each question; ``judge_model`` marks what only a model
    can mark."""

    def __init__(
        self, model: Endpoint, most: int, examples: Mapping[str, Sequence[Question]], judge_model: Endpoint | None
    ) -> None:
        self.model, self.most, self.examples, self.judge_model = model, most, examples, judge_model

    async def one(self, question: Question) -> Answer:
        """What came of ``question``; one that failed is an answer, too.

        Raises:
            PanelError: no question can be asked any more.
        """
        messages = wording.messages(question, self.examples.get(question.subject, ()))
        answer = Answer(
            subject=question.subject,
            number=question.number,
            key=question.key,
            question=wording.shown(question),
            prompt=json.dumps(messages, ensure_ascii=False),
            said="",
            taken="",
            gold=question.answer,
            outcome="failed",
        )
        try:
            said = await self.model.ask(messages, self.most)
        except PanelError as error:
            return _failed(answer, error)
        answer = replace(answer, said=said.text, seconds=round(said.seconds, 4), tokens=said.tokens)
        marked = marking.mark(question, said.text)
        if question.rule == "judge" and marked.taken and self.judge_model is not None:
            return await self._judged(replace(answer, taken=marked.taken), question, marked.taken)
        note = marked.note
        if marked.outcome == "unread" and said.cut and not note:
            note = _cut(self.most).to_dict()
        return replace(answer, taken=marked.taken, outcome=marked.outcome, note=note)

    async def _judged(self, answer: Answer, question: Question, taken: str) -> Answer:
        assert self.judge_model is not None
        try:
            found = await judge.verdict(self.judge_model, question, taken)
        except PanelError as error:
            return _failed(answer, error)
        if found.right is None:
            return replace(answer, outcome="unread", note=found.note)
        return replace(answer, outcome="right" if found.right else "wrong", note=found.note)


async def many(asker: Asker, questions: Iterable[Question], at_once: int, keep: Keep) -> None:
    """Ask ``questions``, ``at_once`` at a time. ``keep`` gets the answers as soon as they are there, several that come together in one call; also those
    that were there when it was cancelled.

    Raises:
        PanelError: no question can be asked any more, or so many failed in a row that the rest is not tried.
    """
    waiting, there = iter(questions), list[Answer]()
    row = _Row(3 * at_once + 10)

    def hand_over() -> None:
        batch = there.copy()
        there.clear()
        if batch:
            keep(batch)

    async def work() -> None:
        for question in waiting:
            there.append(await asker.one(question))
            await asyncio.sleep(0)  # whoever got an answer at the same moment adds it to the batch
            batch = there.copy()
            hand_over()
            row.note(batch)

    workers = [asyncio.create_task(work()) for _ in range(at_once)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        hand_over()


class _Row:
    """How many failed one after another; a question that is too long says nothing about the server."""

    def __init__(self, most: int) -> None:
        self.most, self.count = most, 0

    def note(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if answer.outcome != "failed":
                self.count = 0
            elif answer.note.get("code") != "question_too_long":
                self.count += 1
            if self.count >= self.most:
                raise _all_failing(self.count, answer.note)


def _failed(answer: Answer, error: PanelError) -> Answer:
    if error.code not in OF_ONE:
        raise error
    return replace(answer, outcome="failed", note=error.to_dict())


def _all_failing(count: int, note: Mapping[str, Any]) -> PanelError:
    return ServerError(
        "evaluate_all_failing",
        N_("{count} questions failed one after another, so the others were not asked. The last one: {problem}"),
        N_("What was answered is kept. Look at the server's log; when it answers again, resume this job."),
        count=count,
        problem=str(PanelError.from_dict(dict(note))),
    )


def _cut(most: int) -> PanelError:
    return PanelError(
        "answer_cut",
        N_("The answer was cut after {most} tokens, and nothing could be read out of it."),
        N_("Allow longer answers. A model that thinks first needs hundreds of tokens."),
        most=most,
    )
