"""The tables of ``evaluate.db``, as a list of migrations. ``user_version`` counts the migrations applied.

Questions and prompts are long and the same in many runs: each is kept once and found by its hash, questions as text, since people search in them,
prompts packed.
"""

from __future__ import annotations

import sqlite3

from backend.database import Migration


def _1_runs_scores_answers(db: sqlite3.Connection) -> None:
    """``jobs``: all that worked at a run, ``runs.job`` is the last of them. ``runs.digest``: of what was imported, so that it is not imported twice. ``plan``: what was to be asked, which stays known when fewer
    questions were. ``scores.place``: the order in which they came, which is the order of the table. ``answers.nth``: a set may hold a question twice; its first answer
    in a run is 0."""
    db.execute(
        """
        CREATE TABLE runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, evaluator TEXT NOT NULL, version TEXT NOT NULL, model TEXT NOT NULL,
            set_name TEXT NOT NULL, set_version TEXT NOT NULL, set_title TEXT NOT NULL, fingerprint TEXT NOT NULL, source TEXT NOT NULL,
            job INTEGER, path TEXT NOT NULL, state TEXT NOT NULL, began REAL NOT NULL, ended REAL, settings TEXT NOT NULL,
            notices TEXT NOT NULL, digest TEXT)
        """
    )
    db.execute("CREATE TABLE jobs (job INTEGER PRIMARY KEY, run INTEGER NOT NULL)")
    db.execute("CREATE INDEX runs_by_time ON runs (began)")
    db.execute("CREATE INDEX runs_by_model ON runs (model, began)")
    db.execute("CREATE UNIQUE INDEX runs_by_digest ON runs (digest) WHERE digest IS NOT NULL")
    db.execute(
        "CREATE TABLE plan (run INTEGER, subject TEXT, n INTEGER NOT NULL, PRIMARY KEY (run, subject)) WITHOUT ROWID"
    )
    db.execute(
        """
        CREATE TABLE scores (
            run INTEGER, subject TEXT, metric TEXT, place INTEGER NOT NULL, value REAL, n INTEGER, version TEXT NOT NULL, mode TEXT NOT NULL,
            is_group INTEGER NOT NULL, cause TEXT NOT NULL, evidence TEXT NOT NULL, PRIMARY KEY (run, subject, metric)) WITHOUT ROWID
        """
    )
    db.execute("CREATE TABLE questions (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, text TEXT NOT NULL)")
    db.execute("CREATE TABLE prompts (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, text BLOB NOT NULL)")
    # Long texts come last: what lists and counts is read without them.
    db.execute(
        """
        CREATE TABLE answers (
            id INTEGER PRIMARY KEY, run INTEGER NOT NULL, subject TEXT NOT NULL, number INTEGER NOT NULL, outcome TEXT NOT NULL, key TEXT NOT NULL, nth INTEGER NOT NULL,
            question INTEGER NOT NULL, prompt INTEGER NOT NULL, seconds REAL, tokens INTEGER, taken TEXT NOT NULL, gold TEXT NOT NULL,
            note TEXT NOT NULL, said TEXT NOT NULL)
        """
    )
    db.execute("CREATE UNIQUE INDEX answers_by_place ON answers (run, subject, number)")
    db.execute("CREATE INDEX answers_by_outcome ON answers (run, outcome, subject, number)")
    db.execute("CREATE INDEX answers_by_key ON answers (run, key, nth, outcome, subject, number)")
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


MIGRATIONS: list[Migration] = [_1_runs_scores_answers]
