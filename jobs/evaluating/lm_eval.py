"""lm-evaluation-harness asks the served model and scores the answers; its scores and what it read out of each answer are taken over.

It says nothing about right and wrong before it has ended, so the subjects are asked in portions, each by a start of its own. Every answer is in its file
of answers (SQLite) as soon as it came: a second attempt asks only what is missing there. One question that the server refuses ends it; then the
subjects of that portion are asked one by one, and the others get their numbers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from backend.engines import lm_eval_causes, lm_eval_results, lm_eval_tasks, lm_eval_text
from backend.engines.lm_eval import ENGINE
from backend.engines.lm_eval_causes import Cause
from backend.engines.lm_eval_results import Results
from backend.engines.lm_eval_tasks import Made
from backend.engines.lm_eval_text import Endpoint, Part
from backend.envs import running
from backend.evaluate import wording
from backend.evaluate.questions import Question
from backend.evaluate.records import Answer, Score, Tally
from backend.queue.store import open_store
from jobs.evaluating import own, serving
from jobs.evaluating.lm_eval_child import Child, environment
from jobs.evaluating.work import Ended, Served, Work
from jobs.harness import Stopped

PORTION = 200
"""Questions of one start, at least: starting takes seconds."""
LOOK_S = 0.5
MOST_RETURNS = 3
"""How often a server that came back is asked the same portion again without one more answer."""


def evaluate(work: Work) -> Ended:
    """See :mod:`jobs.evaluating.work`."""
    return _Evaluation(work).run()


@dataclass
class _Portion:
    """What came of one start."""

    results: Results | None
    cause: Cause | None
    lines: list[str] = field(default_factory=list)


class _Evaluation:
    """One evaluation, from its files to its scores."""

    def __init__(self, work: Work) -> None:
        assert work.served is not None
        self.work, self.folder = work, work.folder
        self.served: Served = work.served
        self.found = environment(work.workspace)
        self.solved = own.examples(work)
        self.made: Made = lm_eval_tasks.made(work.questions, self.solved, work.spec, self._endpoint())
        self.version, self.starts = "", 0
        self.keys = {
            (part.subject, question.number): self._key(question)
            for part in self.made.parts
            for question in _asked(part)
        }
        self.cache = self.folder / lm_eval_text.CACHE_FILE

    def run(self) -> Ended:
        work = self.work
        shutil.rmtree(self.folder / lm_eval_text.TASKS, ignore_errors=True)
        lm_eval_tasks.write(self.made.files, self.folder)
        work.job.artifact("folder", self.folder / lm_eval_text.FOLDER, "lm-evaluation-harness")
        work.store.plan(work.run_id, [Score(part.subject, n=part.questions) for part in self.made.parts])
        self.tell()
        for portion in portions(self.missing(), PORTION):
            if not self.ask(portion):
                break
        self.tell()
        return Ended("done", own.notices(work), self.version)

    def missing(self) -> list[Part]:
        """The subjects that have no number yet."""
        done = {score.subject for score in self.work.store.scores(self.work.run_id) if score.value is not None}
        return [part for part in self.made.parts if part.subject not in done]

    def ask(self, parts: Sequence[Part]) -> bool:
        """Ask ``parts``, and keep what comes. False where nothing can be asked any more; every cell has its cause then."""
        came = self.start(parts)
        if came.cause is None:
            self.keep(parts, came)
            return True
        if came.cause.whole:
            self.give_up(self.missing(), came.cause)
            return False
        if len(parts) > 1:
            return all(self.ask([part]) for part in parts)
        self.rescue(parts[0], came.cause)
        return True

    def start(self, parts: Sequence[Part]) -> _Portion:
        """Run it on ``parts``; on a server that went away, once it is back.

        Raises:
            ServerError: the server did not come back.
        """
        before, returns = -1, 0
        while True:
            came = self.child(parts, [part.name for part in parts])
            if came.cause is None or not came.cause.away:
                return came
            now = len(lm_eval_results.kept(self.cache))
            returns = returns + 1 if now == before else 0
            before = now
            self.served = self.back(came.cause)
            if returns >= MOST_RETURNS:
                return came
            (self.folder / lm_eval_text.RUN).write_text(
                lm_eval_text.run_file(self.made.parts, self.work.spec, self._endpoint()), encoding="utf-8"
            )

    def back(self, cause: Cause) -> Served:
        """The server, once it can be asked again."""
        work = self.work
        queue = open_store(work.workspace)
        try:
            way = serving.reach(work.job, queue, work.workspace, work.spec)
            waiting = serving.back(way, self.served.model, work.spec.timeout_s, str(cause.error))
            return serving.until_stopped(waiting, lambda: work.stop_requested)
        finally:
            queue.close()

    def child(self, parts: Sequence[Part], names: Sequence[str], samples: str = "") -> _Portion:
        """One start, to its end.

        Raises:
            Stopped: a person asked for it.
        """
        assert self.found.python is not None
        self.starts += 1
        out = f"{lm_eval_text.OUT}/{self.work.job.attempt}-{self.starts:03d}"
        shutil.rmtree(self.folder / out, ignore_errors=True)
        argv = lm_eval_tasks.command(self.found.python, names, out, samples)
        variables = running.environ(ENGINE, self.found.python, self.found.flavour)
        variables |= lm_eval_tasks.environ(self.served.key, self.folder)
        output = self.folder / lm_eval_text.FOLDER / "output.log"
        child = Child(argv, self.folder, variables, output, self.work.job.log)
        try:
            while not child.ended():
                if self.work.stop_requested:
                    raise Stopped
                self.tell()
                child.wait(LOOK_S)
        finally:
            child.end()
        lines, code = child.lines(), child.process.returncode
        results = lm_eval_results.read(self.folder / out, parts)
        if results is not None:
            self.version = results.version or self.version
        cause = None if results is not None and code == 0 else lm_eval_causes.find(lines, code)
        return _Portion(results, cause, lines)

    def keep(self, parts: Iterable[Part], came: _Portion) -> None:
        """The numbers and answers of ``parts``."""
        assert came.results is not None
        store, run_id = self.work.store, self.work.run_id
        for part in parts:
            value = came.results.scores.get(part.name)
            store.put_answers(run_id, [each for task in part.tasks for each in came.results.answers.get(task.name, ())])
            if value is None:
                self.give_up([part], lm_eval_causes.find(came.lines, 0))
            else:
                store.put_scores(run_id, [Score(part.subject, value, part.questions)])
        self.tell()

    def give_up(self, parts: Iterable[Part], cause: Cause) -> None:
        """``parts`` have no number, because of ``cause``."""
        cells = [
            Score(part.subject, None, part.questions, cause=cause.error.to_dict(), evidence=cause.evidence)
            for part in parts
        ]
        self.work.store.put_scores(self.work.run_id, cells)

    def rescue(self, part: Part, cause: Cause) -> None:
        """A subject that broke off: what was answered is read and kept all the same, the rest has failed; a number it has none."""
        kept = lm_eval_results.kept(self.cache)
        there = {
            task.name: [
                place
                for place, question in enumerate(task.questions)
                if self.keys[part.subject, question.number] in kept
            ]
            for task in part.tasks
        }
        names = [name for name, places in there.items() if places]
        answers: list[Answer] = []
        if names:
            file = f"{lm_eval_text.FOLDER}/answered.json"
            (self.folder / file).write_text(json.dumps({name: there[name] for name in names}), encoding="utf-8")
            came = self.child([part], names, file)
            answers = [each for name in names for each in (came.results.answers[name] if came.results else ())]
        read = {each.number for each in answers}
        failed = [self._failed(question, cause) for question in _asked(part) if question.number not in read]
        self.work.store.put_answers(self.work.run_id, [*answers, *failed])
        self.give_up([part], cause)
        self.tell()

    def tell(self) -> None:
        """How far it is."""
        work = self.work
        kept = lm_eval_results.kept(self.cache)
        answered = {
            (subject, number)
            for subject, outcomes in work.answered().items()
            for number, outcome in outcomes.items()
            if outcome != "failed"
        }
        done = sum(place in answered or key in kept for place, key in self.keys.items())
        counts = total([one for one in work.store.tallies(work.run_id) if one.subject in work.subjects()])
        work.tell(done, len(self.keys), counts if counts.asked else None)

    def _endpoint(self) -> Endpoint:
        return Endpoint(self.served.base_url, self.served.model)

    def _key(self, question: Question) -> str:
        messages = wording.messages(question, self.solved.get(question.subject, ()))
        return lm_eval_results.request_key(messages, self.work.spec.answer_tokens)

    def _failed(self, question: Question, cause: Cause) -> Answer:
        sent = json.dumps(wording.messages(question, self.solved.get(question.subject, ())), ensure_ascii=False)
        return Answer(
            question.subject,
            question.number,
            question.key,
            wording.shown(question),
            sent,
            "",
            "",
            question.answer,
            "failed",
            note=cause.error.to_dict(),
        )


def total(tallies: Iterable[Tally]) -> Tally:
    """All subjects together."""
    found = Tally("", 0)
    for one in tallies:
        found = Tally(
            "",
            found.planned + one.planned,
            found.right + one.right,
            found.wrong + one.wrong,
            found.unread + one.unread,
            found.failed + one.failed,
        )
    return found


def portions(parts: Iterable[Part], least: int) -> list[list[Part]]:
    """``parts`` in their order, so many together that each portion has at least ``least`` questions, but for the last one."""
    found: list[list[Part]] = []
    for part in parts:
        if not found or sum(each.questions for each in found[-1]) >= least:
            found.append([])
        found[-1].append(part)
    return found


def _asked(part: Part) -> list[Question]:
    return [question for task in part.tasks for question in task.questions]
