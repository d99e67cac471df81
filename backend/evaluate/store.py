"""``evaluate.db``: evaluations, written by jobs and imports, read by pages and commands at the same time.

What a job has put is kept, whatever becomes of the job: each batch of answers is a transaction of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backend.chat.records import clean
from backend.errors import ConflictError, NotFoundError, PanelError, WorkspaceError
from backend.evaluate import pairing, stored
from backend.evaluate.pairing import Pairs, Which
from backend.evaluate.recording import Recording
from backend.evaluate.records import Answer, Outcome, Run, Score, State, Tally
from backend.evaluate.schema import MIGRATIONS
from backend.i18n import N_
from backend.queue.store import Store, open_store
from backend.workspace import Workspace

MOST_NAME = 200
MOST_PAIRS = 500
"""Counts of two runs that are remembered for as long as neither changes: a page asks for them at every click."""
CACHE_KIB = 65_536
"""Two runs of 15,000 questions, so that comparing them reads no file."""
_ENDED: dict[str, State] = {"succeeded": "partial", "failed": "failed", "cancelled": "stopped", "lost": "stopped"}
"""What a run is whose job ended in that state and had no time to say how."""


def open_runs(workspace: Workspace) -> EvaluateStore:
    """The evaluations of ``workspace``.

    Raises:
        WorkspaceError: written by a newer TuneDeck, read-only, full, or locked.
    """
    return EvaluateStore(workspace)


class EvaluateStore(Recording):
    """The evaluations of one workspace; safe to share between threads and processes.

    Raises:
        WorkspaceError: written by a newer TuneDeck, read-only, full, or locked. Every method may raise it.
    """

    migrations = MIGRATIONS

    def __init__(self, workspace: Workspace) -> None:
        self._tuned: sqlite3.Connection | None = None
        self._pairs: dict[tuple[Any, ...], Pairs] = {}
        super().__init__(workspace, workspace.evaluate_db)

    def notice(self) -> PanelError | None:
        """What happened to the file, until it is dismissed."""
        told = super().notice()
        if told is None or told.code != "chat_damaged":
            return told
        return WorkspaceError(
            "evaluations_damaged",
            N_("The file with your evaluations was damaged. It was kept as {path}, and an empty one was made."),
            N_(
                "Earlier evaluations are not shown. Output folders of OpenCompass can be imported again; if the others matter, give that file "
                "to someone who knows SQLite."
            ),
            **told.params,
        )

    def _connection(self) -> sqlite3.Connection:
        db = super()._connection()
        if db is not self._tuned:
            db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            db.execute("PRAGMA temp_store = MEMORY")
            self._tuned = db
        return db

    # --- runs

    def run(self, run_id: int) -> Run:
        """Raises:
        NotFoundError: ``evaluation_unknown``.
        """
        with self.read() as db:
            found = _found(db, run_id)
        return self._settled([found])[0]

    def runs(self, *, limit: int = 100, model: str = "", set_name: str = "") -> list[Run]:
        """The newest first; of one model, or of one set of questions alone."""
        query = "SELECT * FROM runs WHERE (?1 = '' OR model = ?1) AND (?2 = '' OR set_name = ?2) ORDER BY began DESC, id DESC LIMIT ?3"
        with self.read() as db:
            rows = db.execute(query, (clean(model), clean(set_name), limit)).fetchall()
        return self._settled([stored.run(row) for row in rows])

    def run_of_job(self, job: int) -> Run | None:
        """The run that the job ``job`` made or filled, None before it began."""
        with self.read() as db:
            row = db.execute("SELECT * FROM runs WHERE id = (SELECT run FROM jobs WHERE job = ?)", (job,)).fetchone()
        return self._settled([stored.run(row)])[0] if row else None

    def rename(self, run_id: int, name: str) -> None:
        """Raises:
        NotFoundError: ``evaluation_unknown``. ConflictError: ``evaluation_name_empty``.
        """
        line = clean(" ".join(name.split()))[:MOST_NAME]
        if not line:
            raise ConflictError(
                "evaluation_name_empty", N_("An evaluation needs a name."), N_("Type at least one character.")
            )
        with self.write() as db:
            _found(db, run_id)
            db.execute("UPDATE runs SET name = ? WHERE id = ?", (line, run_id))

    def remove(self, run_id: int) -> None:
        """Forget the run, its scores and its answers. Its job, or what it was imported from, stays.

        Raises:
            NotFoundError: ``evaluation_unknown``. ConflictError: ``evaluation_running``.
        """
        if self.run(run_id).state == "running":
            raise ConflictError(
                "evaluation_running",
                N_("This evaluation is still running."),
                N_("Stop its job first, then remove it."),
            )
        with self.write() as db:
            for table, column in (("questions", "question"), ("prompts", "prompt")):
                used = f"SELECT {column} FROM answers WHERE run"
                db.execute(f"DELETE FROM {table} WHERE id IN ({used} = ?1) AND id NOT IN ({used} <> ?1)", (run_id,))
            for table in ("answers", "scores", "plan", "jobs"):
                db.execute(f"DELETE FROM {table} WHERE run = ?", (run_id,))
            db.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    # --- what came of them

    def scores(self, run_id: int) -> list[Score]:
        """Its cells, in the order in which they are shown."""
        with self.read() as db:
            query = "SELECT * FROM scores WHERE run = ? ORDER BY place, metric"
            return [stored.score(row) for row in db.execute(query, (run_id,))]

    def tallies(self, run_id: int) -> list[Tally]:
        """How far each subject is, in the order of the scores."""
        with self.read() as db:
            counted = db.execute(
                "SELECT subject, outcome, count(*) FROM answers INDEXED BY answers_by_outcome WHERE run = ? GROUP BY outcome, subject",
                (run_id,),
            ).fetchall()
            planned: dict[str, int] = dict(
                db.execute("SELECT subject, n FROM plan WHERE run = ?", (run_id,)).fetchall()
            )
            told: dict[str, int | None] = dict(
                db.execute(
                    "SELECT subject, max(n) FROM scores WHERE run = ? AND NOT is_group GROUP BY subject ORDER BY min(place)",
                    (run_id,),
                ).fetchall()
            )
        outcomes: dict[str, dict[str, int]] = {subject: {} for subject in (*told, *sorted(planned))}
        for subject, outcome, n in counted:
            outcomes.setdefault(subject, {})[outcome] = n
        return [
            Tally(subject, max(planned.get(subject) or told.get(subject) or 0, sum(counts.values())), **counts)
            for subject, counts in outcomes.items()
        ]

    def answers(
        self,
        run_id: int,
        subject: str | None = None,
        outcome: Outcome | None = None,
        search: str = "",
        offset: int = 0,
        limit: int = 50,
        *,
        prompts: bool = False,
    ) -> tuple[list[Answer], int]:
        """A page of answers, by subject and number, and how many there are in all. search: in the question, in what was said and what was read
        out of it. Without ``prompts`` what was sent is left empty: it is long; see :meth:`answer`."""
        where, values = "run = :run", {"run": run_id, "like": pairing.like(search)}
        for name, value in (("subject", subject), ("outcome", outcome)):
            if value is not None:
                where, values[name] = f"{where} AND {name} = :{name}", value
        tables = "answers"
        if search.strip():
            tables = "answers JOIN questions ON questions.id = question"
            where += f" AND {pairing.HOLDS}"
        with self.read() as db:
            ids = pairing.tuples(db, f"SELECT answers.id FROM {tables} WHERE {where} ORDER BY subject, number", values)
            page = [row[0] for row in ids[offset : offset + limit]]
            found = pairing.by_id(db, page, prompts=prompts)
        return [found[each] for each in page], len(ids)

    def answer(self, run_id: int, subject: str, number: int) -> Answer:
        """One answer with exactly what was sent.

        Raises:
            NotFoundError: ``evaluation_answer_unknown``.
        """
        with self.read() as db:
            query = "SELECT id FROM answers WHERE run = ? AND subject = ? AND number = ?"
            row = db.execute(query, (run_id, clean(subject), number)).fetchone()
            if row is None:
                raise NotFoundError(
                    "evaluation_answer_unknown",
                    N_("Question {number} of {subject} has no answer in this evaluation."),
                    N_("It was not asked, or the evaluation was removed in another tab."),
                    number=number,
                    subject=subject,
                )
            return pairing.by_id(db, [row["id"]], prompts=True)[row["id"]]

    # --- two of them

    def pairs(self, a: int, b: int, subjects: Sequence[str] | None = None) -> Pairs:
        """How both answered the questions that both were asked, subject by subject."""
        with self.read() as db:
            key = (a, b, None if subjects is None else tuple(subjects), pairing.stamp(db, a), pairing.stamp(db, b))
            if key not in self._pairs:
                if len(self._pairs) >= MOST_PAIRS:
                    self._pairs.clear()
                self._pairs[key] = pairing.pairs(db, a, b, subjects)
            return self._pairs[key]

    def different(
        self,
        a: int,
        b: int,
        which: Which = "a_only",
        *,
        subject: str | None = None,
        search: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[list[tuple[Answer, Answer]], int]:
        """A page of the questions of which ``which`` is true, as both answered them, and how many there are in all."""
        with self.read() as db:
            return pairing.different(db, a, b, which, subject=subject, search=search, offset=offset, limit=limit)

    # ---

    def _settled(self, runs: list[Run]) -> list[Run]:
        """``runs``, a running one whose job is over told as what it is: its job had no time to say so."""
        if not any(run.state == "running" and run.job for run in runs):
            return runs
        jobs = open_store(self.workspace)
        try:
            return [self._as_its_job(run, jobs) if run.state == "running" and run.job else run for run in runs]
        finally:
            jobs.close()

    def _as_its_job(self, run: Run, jobs: Store) -> Run:
        try:
            row = jobs.get(run.job or 0)
        except NotFoundError:
            return replace(run, state="stopped")
        state = _ENDED.get(row.state)
        return replace(run, state=state, ended=row.ended) if state else run


def _found(db: sqlite3.Connection, run_id: int) -> Run:
    row = db.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotFoundError(
            "evaluation_unknown",
            N_("There is no evaluation {run}."),
            N_("It may have been removed in another tab; python -m backend eval list shows those that there are."),
            run=run_id,
        )
    return stored.run(row)
