"""What jobs and imports write into ``evaluate.db``: the half of :class:`backend.evaluate.store.EvaluateStore` that is theirs.

All of it can be done twice: a job that was killed and goes on finds its run, and puts what it has again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Sequence

from backend.chat.database import Database
from backend.chat.records import clean
from backend.evaluate import stored
from backend.evaluate.records import Answer, Outcome, Run, Score, State


class Recording(Database):
    """Runs as they begin, their answers and scores as they come."""

    def begin(self, run: Run) -> int:
        """Keep ``run``, which goes on from here; the number of what is kept. The same job again gives the same run."""
        with self.write() as db:
            known = run_of(db, run.job)
            if known is None:
                return insert_run(db, run)
            db.execute("UPDATE runs SET state = 'running', ended = NULL WHERE id = ?", (known,))
            return known

    def reopen(self, run_id: int, subjects: Sequence[str] = (), *, job: int | None = None) -> None:
        """Have ``subjects`` of a kept run (none named: all) asked again: their answers and values are forgotten, all others stay. A ``job`` that
        did so before goes on instead; nothing is forgotten then."""
        with self.write() as db:
            again = job is not None and run_of(db, job) == run_id
            db.execute(
                "UPDATE runs SET state = 'running', ended = NULL, job = coalesce(?, job) WHERE id = ?", (job, run_id)
            )
            if again:
                return
            if job is not None:
                db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?)", (job, run_id))
            empty = "UPDATE scores SET value = NULL, cause = '{}', evidence = '' WHERE run = ?"
            chosen = [clean(subject) for subject in subjects]
            only = f" AND subject IN ({', '.join('?' * len(chosen))})" if chosen else ""
            db.execute(f"DELETE FROM answers WHERE run = ?{only}", (run_id, *chosen))
            db.execute(f"{empty}{only}", (run_id, *chosen))

    def plan(self, run_id: int, scores: Iterable[Score]) -> None:
        """The cells that are to be, with the number of questions that each is to rest on. A cell that has its value keeps it; the cause of one
        that has none is forgotten, since it is tried again."""
        with self.write() as db:
            place = _next_place(db, run_id)
            for offset, score in enumerate(scores):
                db.execute(
                    "INSERT INTO plan VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = excluded.n",
                    (run_id, clean(score.subject), score.n or 0),
                )
                have = db.execute(
                    "SELECT count(*) FROM scores WHERE run = ? AND subject = ? AND (metric = ? OR value IS NOT NULL)",
                    (run_id, clean(score.subject), clean(score.metric)),
                ).fetchone()[0]
                if have:
                    db.execute(
                        "UPDATE scores SET n = ?, cause = ?, evidence = ? WHERE run = ? AND subject = ? AND value IS NULL",
                        (score.n, stored.dumped(score.cause), clean(score.evidence), run_id, clean(score.subject)),
                    )
                else:
                    insert_score(db, run_id, place + offset, score)

    def put_answers(self, run_id: int, answers: Iterable[Answer]) -> None:
        """Keep them; one that is there already is replaced."""
        with self.write() as db:
            insert_answers(db, run_id, answers)

    def put_scores(self, run_id: int, scores: Sequence[Score]) -> None:
        """Keep them; one of the same subject and metric is replaced. A value takes the place of the planned cell, whatever its metric is called."""
        with self.write() as db:
            insert_scores(db, run_id, scores)

    def end(self, run_id: int, state: State, notices: Sequence[str] = (), version: str | None = None) -> None:
        """Say how it ended. notices: take the place of those that it has. version: of the evaluator, where only its output told it."""
        with self.write() as db:
            db.execute(
                "UPDATE runs SET state = ?, ended = ?, notices = ?, version = coalesce(?, version) WHERE id = ?",
                (state, time.time(), stored.dumped(list(notices)), version, run_id),
            )

    def answered(self, run_id: int) -> dict[str, dict[int, Outcome]]:
        """Subject -> number of the question -> what became of it: all that a run that goes on need not ask but where it ``failed``."""
        found: dict[str, dict[int, Outcome]] = {}
        with self.read() as db:
            query = "SELECT subject, number, outcome FROM answers INDEXED BY answers_by_outcome WHERE run = ?"
            for subject, number, outcome in db.execute(query, (run_id,)):
                found.setdefault(subject, {})[number] = outcome
        return found

    def keep(self, run: Run, scores: Sequence[Score], answers: Iterable[Answer], digest: str) -> tuple[int, bool]:
        """Keep what was imported, all of it or nothing. digest: of what it was read from. Returns its number, and whether it is new."""
        with self.write() as db:
            found = db.execute("SELECT id FROM runs WHERE digest = ?", (digest,)).fetchone()
            if found is not None:
                return int(found["id"]), False
            run_id = insert_run(db, run, digest)
            insert_scores(db, run_id, scores)
            insert_answers(db, run_id, answers)
            return run_id, True


def insert_run(db: sqlite3.Connection, run: Run, digest: str | None = None) -> int:
    """The number that ``run`` has from now on."""
    names = (*stored.RUN_COLUMNS, "digest")
    added = db.execute(
        f"INSERT INTO runs ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", (*stored.run_row(run), digest)
    )
    run_id = int(added.lastrowid or 0)
    if run.job:
        db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?)", (run.job, run_id))
    return run_id


def run_of(db: sqlite3.Connection, job: int | None) -> int | None:
    """The run that ``job`` works at, None where there is none."""
    row = db.execute("SELECT run FROM jobs WHERE job = ?", (job,)).fetchone() if job else None
    return int(row["run"]) if row else None


def insert_scores(db: sqlite3.Connection, run_id: int, scores: Iterable[Score]) -> None:
    place = _next_place(db, run_id)
    for offset, score in enumerate(scores):
        known = db.execute(
            "SELECT min(place) FROM scores WHERE run = ? AND subject = ?", (run_id, clean(score.subject))
        ).fetchone()[0]
        if score.value is not None:
            db.execute(
                "DELETE FROM scores WHERE run = ? AND subject = ? AND value IS NULL AND metric <> ?",
                (run_id, clean(score.subject), clean(score.metric)),
            )
        insert_score(db, run_id, place + offset if known is None else known, score)


def insert_score(db: sqlite3.Connection, run_id: int, place: int, score: Score) -> None:
    """One cell, which takes the place of one of the same subject and metric."""
    names = stored.SCORE_COLUMNS
    db.execute(
        f"INSERT OR REPLACE INTO scores ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        stored.score_row(run_id, place, score),
    )


def insert_answers(db: sqlite3.Connection, run_id: int, answers: Iterable[Answer]) -> None:
    names = stored.ANSWER_COLUMNS
    query = f"INSERT OR REPLACE INTO answers ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    questions: dict[str, int] = {}
    prompts: dict[str, int] = {}
    for each in answers:
        question = _number(db, "questions", each.question, questions)
        prompt = _number(db, "prompts", each.prompt, prompts)
        db.execute(query, stored.answer_row(run_id, each, _nth(db, run_id, each), question, prompt))


def _nth(db: sqlite3.Connection, run_id: int, answer: Answer) -> int:
    """The place of ``answer`` among its twins: the one that it has already, else the next."""
    query = "SELECT nth, subject, number FROM answers INDEXED BY answers_by_key WHERE run = ? AND key = ?"
    twins = db.execute(query, (run_id, clean(answer.key))).fetchall()
    same = (row["nth"] for row in twins if (row["subject"], row["number"]) == (clean(answer.subject), answer.number))
    return next(same, max((row["nth"] + 1 for row in twins), default=0))


def _number(db: sqlite3.Connection, table: str, text: str, known: dict[str, int]) -> int:
    """The number of ``text`` in ``questions`` or ``prompts``, where it is added if no run has it yet."""
    if text not in known:
        said = clean(text)
        digest = hashlib.blake2b(said.encode(), digest_size=16).digest()
        row = db.execute(f"SELECT id FROM {table} WHERE hash = ?", (digest,)).fetchone()
        if row is None:
            kept = stored.packed(said) if table == "prompts" else said
            added = db.execute(f"INSERT INTO {table} (hash, text) VALUES (?, ?)", (digest, kept))
            known[text] = int(added.lastrowid or 0)
        else:
            known[text] = int(row["id"])
    return known[text]


def _next_place(db: sqlite3.Connection, run_id: int) -> int:
    return int(db.execute("SELECT coalesce(max(place), -1) + 1 FROM scores WHERE run = ?", (run_id,)).fetchone()[0])
