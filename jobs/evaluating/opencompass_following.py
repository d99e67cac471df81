"""A run of OpenCompass as it goes: what it says of each subject, how many answers lie in its files, and its scores, which become ours as they come."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backend.engines import opencompass_causes as causes
from backend.engines import opencompass_results as results
from backend.engines.opencompass_causes import Cause
from backend.engines.opencompass_config import ABBR
from backend.errors import PanelError
from backend.evaluate.opencompass_sets import names as names_of
from backend.evaluate.records import Score, Tally
from backend.i18n import N_
from jobs.evaluating.opencompass_answers import kept
from jobs.evaluating.opencompass_child import WATCHED
from jobs.evaluating.opencompass_setup import Setup
from jobs.evaluating.work import Work
from jobs.watched import Watched

ASKING = "Starting inference process"
"""What it prints when the first question is about to be asked."""
COUNTED = ("right", "wrong", "unread", "failed")


class Following:
    """What is known of a run so far. Its cells are called as OpenCompass calls them."""

    def __init__(self, work: Work, setup: Setup) -> None:
        self.work, self.setup = work, setup
        kind = setup.prepared.asked.kind
        shown = names_of(kind, (*setup.questions, *setup.prepared.refused))
        # OpenCompass's name of a set -> its cell, and the questions in it. What a changed config asks is known only when it has been read.
        cells = {name: shown[subject] for name, subject in setup.prepared.names.items()}
        self.cells = {} if setup.edited else cells
        self.questions = {name: setup.questions[subject] for name, subject in setup.prepared.names.items()}
        self.refused = {shown[subject]: problem for subject, problem in setup.prepared.refused.items()}
        self.model, self._asked_model = ABBR, ""
        self.scored: set[str] = set()
        self.failed: dict[str, Cause] = {}
        self.current = ""
        self.asking_since = 0.0
        """When the first question was asked since the last start; 0: not yet."""
        self.startup_s: float | None = None
        """From its last start to the first question; None: it has not been told yet."""
        self._said: list[str] = []
        self._grown: dict[str, tuple[int, int]] = {}
        self._told_of: dict[str, tuple[str, str]] = {}  # version of the prompt, mode
        self._counts = dict.fromkeys(COUNTED, 0)
        self._told: tuple[int, str] = (-1, "")
        self._watched = Watched(setup.home / WATCHED)

    # --- before it starts

    def plan(self) -> None:
        """Say which cells there will be."""
        self._plan(list(self.cells))
        refused = [Score(cell, cause=problem.to_dict()) for cell, problem in self.refused.items()]
        self.work.store.put_scores(self.work.run_id, refused)

    def recover(self) -> None:
        """Take what an earlier attempt has left; tell what is kept of it."""
        if self._watched.path.is_file():
            # What failed then is tried again; what was scored lies in its file.
            for line in self._watched.new():
                if line["what"] == "sets":
                    self._sets(line)
                elif line["what"] == "scored":
                    self._told_of[str(line["name"])] = str(line.get("version", "")), str(line.get("mode", ""))
        run = results.attempt(self.setup.out)
        if run is None:
            return
        for name in self.cells:
            if self._collect(name):
                self.work.job.log(f"{name}: asked and scored before")
            elif results.is_asked(run, name, self.model):
                self.work.job.log(f"{name}: asked before, to be scored")
            elif count := results.so_far(run, name, self.model)[0]:
                self.work.job.log(f"{name}: {count} of {self._total(name)} answers are kept, the others are asked")

    @property
    def left(self) -> list[str]:
        """Names that have no score yet."""
        return [name for name in self.cells if name not in self.scored]

    # --- while it runs

    def look(self) -> None:
        """Take and tell what is new."""
        for line in self._watched.new():
            name = str(line.get("name", ""))
            if line["what"] == "sets":
                self._sets(line)
            elif line["what"] == "begin":
                self.current = name
                self.work.job.log(f"{name}: {self._total(name) or 'its'} questions")
            elif line["what"] == "scored":
                self._told_of[name] = str(line.get("version", "")), str(line.get("mode", ""))
                self._collect(name)
            elif line["what"] == "failed":
                self.failed[name] = causes.find([*self._said, *line["lines"]])
        self._tell()

    def hear(self, line: str) -> None:
        """A line that it printed."""
        if not self.asking_since and ASKING in line:
            self.asking_since = time.monotonic()
        self._said = [*self._said, line][-causes.LOOKED_AT :]

    def answered(self) -> int:
        """How many answers there are, in subjects that have a score and in others."""
        run = results.attempt(self.setup.out)
        count = 0
        for name in self.cells:
            if name in self.scored or (run is not None and results.is_asked(run, name, self.model)):
                count += self._total(name)
            elif run is not None:
                self._grown[name] = results.so_far(run, name, self.model, self._grown.get(name, (0, 0)))
                count += self._grown[name][0]
        return count

    # --- when it has ended

    def finish(self, code: int, lines: Sequence[str]) -> Cause | None:
        """Give each cell without a number its cause; what ended the whole run, if anything did."""
        self.look()
        for name in self.left:
            self._collect(name)
        left = self.left
        if not left:
            return None
        ended = causes.find(lines, code)
        scores = []
        for name in left:
            cause = self.failed.get(name) or (ended if ended.whole else self._lost(name)) or ended
            scores.append(Score(self.cells[name], n=self._total(name), cause=cause.stored(), evidence=cause.evidence))
        self.work.store.put_scores(self.work.run_id, scores)
        return ended if code and ended.whole else None

    # --- parts

    def _sets(self, line: Mapping[str, Any]) -> None:
        model, names = str(line["model"]), [str(name) for name in line["names"]]
        if self._asked_model not in ("", model):
            raise PanelError(
                "opencompass_two_models",
                N_("This config asks several models, and an evaluation is of one: '{one}' and '{other}'."),
                N_("Leave one in 'models', and start one evaluation for each."),
                one=self._asked_model,
                other=model,
            )
        self.model = self._asked_model = model
        if self.setup.edited:
            self.cells |= {name: name for name in names}
            self._plan(names)

    def _plan(self, names: Sequence[str]) -> None:
        cells = [Score(self.cells[name], n=self._total(name) or None) for name in names]
        self.work.store.plan(self.work.run_id, cells)

    def _total(self, name: str) -> int:
        return len(self.questions.get(name, ()))

    def _collect(self, name: str) -> bool:
        """Put the score and the answers of ``name``, where it has a number."""
        run = results.attempt(self.setup.out)
        found = results.read(run, name, self.model) if run is not None and name in self.cells else None
        if found is None or name in self.scored:
            return False
        version, mode = self._told_of.get(name, ("", ""))
        cell, asked = self.cells[name], self.questions.get(name, [])
        answers = kept(cell, found.answers, asked, guesses=self.setup.prepared.asked.kind == "own")
        unread = sum(answer.outcome == "unread" for answer in answers)
        score = Score(
            cell,
            found.accuracy,
            len(answers) or self._total(name) or None,
            version,
            found.metric,
            mode or "gen",
        )
        if answers and unread == len(answers):
            cause = causes.nothing_read(unread, "\n".join(f"{answer.said[:120]!r}" for answer in answers[:3]))
            score = replace(score, cause=cause.stored(), evidence=cause.evidence)
        self.work.store.put_answers(self.work.run_id, answers)
        self.work.store.put_scores(self.work.run_id, [score])
        for answer in answers:
            self._counts[answer.outcome] += 1
        self.scored.add(name)
        self.failed.pop(name, None)
        self.work.job.log(f"{name}: {found.metric} {found.accuracy:.2f}, {unread} of {len(answers)} answers unread")
        return True

    def _lost(self, name: str) -> Cause | None:
        """Why a set has no number that OpenCompass says nothing about: a file without one, or nothing at all."""
        run = results.attempt(self.setup.out)
        file = run / "results" / self.model / f"{name}.json" if run is not None else None
        if file is None or not file.is_file():
            return None
        text = file.read_text(encoding="utf-8", errors="replace")[:2000]
        return causes.unknown([text])

    def _tell(self) -> None:
        done, total = self.answered(), sum(map(self._total, self.cells))
        if not self.asking_since or (done, self.current) == self._told:
            return
        self._told = done, self.current
        self.work.tell(done, max(total, done), Tally("", total, **self._counts))
