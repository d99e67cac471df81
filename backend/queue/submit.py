"""How a job comes into being: its spec is checked, its folder written, its row inserted; all of it or nothing."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

from backend.memory import trust
from backend.queue import folder
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.specs import parse
from backend.workspace import explain_os_error, write_json


def submit(
    store: Store, verb: str, data: dict[str, Any], *, title: str, submit_key: str | None, parent: int | None
) -> JobRow:
    """See :meth:`backend.queue.store.Store.submit`."""
    spec = parse(verb, data)
    forecast = trust.foresee(store, verb, spec.model_dump(mode="json"))
    with store.write() as db:
        if submit_key is not None:
            row = db.execute("SELECT id FROM jobs WHERE submit_key = ?", (submit_key,)).fetchone()
            if row is not None:
                return store.row(db, row["id"])
        job = {
            "verb": verb,
            "title": title.strip() or spec.default_title(),
            "created": time.time(),
            "owner": _owner(),
            "parent": parent,
            "service": spec.service,
            "auto_resumes": spec.auto_resume,
            "resources": spec.resources().model_dump(),
            "submit_key": submit_key,
            "grace_int_s": spec.grace_int_s,
        }
        job_id, job_dir = _new_folder(store, db)
        try:
            write_json(job_dir / folder.SPEC, spec.model_dump(mode="json"))
            write_json(job_dir / folder.JOB, {"id": job_id, **job})
            if forecast is not None:
                trust.keep(job_dir, forecast)
            insert_job(db, job_id, job)
        except BaseException:
            shutil.rmtree(job_dir, ignore_errors=True)
            raise
        return store.row(db, job_id)


def _owner() -> str:
    """The Linux user; a container may run under a number that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _new_folder(store: Store, db: sqlite3.Connection) -> tuple[int, Path]:
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
    job_id = (row["seq"] if row else 0) + 1
    while True:
        job_dir = store.workspace.job_dir(job_id)
        try:
            job_dir.mkdir(mode=0o700, parents=True)
            return job_id, job_dir
        except FileExistsError:
            job_id += 1  # left by a submit that was killed before its row was committed
        except OSError as error:
            raise explain_os_error(error, store.workspace.jobs) from error


def insert_job(db: sqlite3.Connection, job_id: int, job: dict[str, Any]) -> None:
    """Insert the row of a job that is ``queued``; ``job`` is the content of its ``job.json``."""
    db.execute(
        "INSERT INTO jobs (id, verb, title, state, created, position, owner, parent, service, auto_resumes, resources,"
        " submit_key) VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job_id,
            job["verb"],
            _sql_text(job["title"]),
            job["created"],
            float(job_id),
            job["owner"],
            job.get("parent"),
            int(bool(job.get("service"))),
            int(job.get("auto_resumes", 0)),
            json.dumps(job.get("resources", {})),
            job.get("submit_key"),
        ),
    )


def _sql_text(text: str) -> str:
    """``text`` without lone surrogates, which SQLite cannot store."""
    return text.encode("utf-8", "replace").decode("utf-8")
