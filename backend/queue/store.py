"""Rows of jobs: submit, look, cancel, resume, reorder, delete. What a page or the command line may do to the queue.

The changes that only the queue itself makes (a job was dispatched, started, ended) are in :mod:`lifecycle`.
One connection per thread; every change of state is an UPDATE guarded by the state it leaves.
"""

from __future__ import annotations

import builtins
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backend.database import ThreadLocalDatabase
from backend.errors import ConflictError, NotFoundError, WorkspaceError
from backend.i18n import N_
from backend.queue import folder, locks
from backend.queue.events import read_events
from backend.queue.rows import COLUMNS, DONE, LIVE, JobRow, from_sql
from backend.queue.schema import MIGRATIONS
from backend.workspace import Workspace


def open_store(workspace: Workspace, *, check: bool = False) -> Store:
    """The store of ``workspace``. ``check`` looks for damage first and rebuilds from the job folders if there is any; so does
    whoever finds jobs and no database, since a workspace that was copied without it has its jobs all the same.

    Raises:
        WorkspaceError: made by a newer TuneDeck, read-only, or full.
    """
    without = not workspace.state_db.exists() and any(workspace.jobs.glob("[0-9]*"))
    if check or without:
        from backend.queue.rebuild import ensure_sound

        ensure_sound(workspace)
    return Store(workspace)


LIVE_ROWS = f"WHERE state IN ({','.join('?' * len(LIVE))}) ORDER BY id"


class Store(ThreadLocalDatabase):
    """The queue of one workspace; safe to share between threads."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        super().__init__(workspace.state_db, MIGRATIONS)

    # --- asking for things

    def submit(
        self,
        verb: str,
        data: dict[str, Any],
        *,
        title: str = "",
        submit_key: str | None = None,
        parent: int | None = None,
    ) -> JobRow:
        """Queue a job. The same ``submit_key`` again gives the job that it made the first time.

        Raises:
            SpecError: the spec has wrong fields (all of them named) or the verb is unknown.
            WorkspaceError: the disk is full or read-only; then no job was made.
        """
        from backend.queue.submit import submit

        return submit(self, verb, data, title=title, submit_key=submit_key, parent=parent)

    # --- looking

    def get(self, job_id: int) -> JobRow:
        """The job ``job_id``.

        Raises:
            NotFoundError: ``job_unknown``.
        """
        with self.read() as db:
            return self.row(db, job_id)

    def row(self, db: sqlite3.Connection, job_id: int) -> JobRow:
        """The job ``job_id``, read in the transaction of ``db``; raises like :meth:`get`."""
        rows = self.rows(db, "WHERE id = ?", (job_id,))
        if not rows:
            raise NotFoundError(
                "job_unknown",
                N_("There is no job {job}."),
                N_("It may have been deleted. The Jobs page lists all jobs."),
                job=job_id,
            )
        return rows[0]

    def rows(self, db: sqlite3.Connection, where: str, params: Iterable[Any]) -> builtins.list[JobRow]:
        """The jobs that the SQL ``where`` selects, with their leases."""
        found = db.execute(f"SELECT {COLUMNS} FROM jobs {where}", tuple(params)).fetchall()
        leases: dict[int, builtins.list[dict[str, Any]]] = {row["id"]: [] for row in found}
        marks = ",".join("?" * len(leases))
        query = f"SELECT job_id, resource, amount FROM leases WHERE job_id IN ({marks})"
        for lease in db.execute(query, tuple(leases)):
            leases[lease["job_id"]].append({"resource": lease["resource"], "amount": lease["amount"]})
        return [from_sql(row, leases[row["id"]]) for row in found]

    def list(
        self,
        *,
        states: Iterable[str] | None = None,
        verb: str | None = None,
        search: str = "",
        limit: int = 50,
        before: int | None = None,
    ) -> builtins.list[JobRow]:
        """Newest first. ``before`` is the smallest id of the page before this one (keyset paging)."""
        terms: builtins.list[str] = []
        params: builtins.list[Any] = []
        if states is not None:
            wanted = tuple(states)
            # Few jobs wait or live, many have ended: for those SQLite walks the ids ("+" hides the index) and sorts nothing.
            few = set(wanted) <= {"queued", *LIVE}
            terms.append(f"{'' if few else '+'}state IN ({','.join('?' * len(wanted))})")
            params += wanted
        if verb:
            terms.append("verb = ?")
            params.append(verb)
        if search.strip():
            pattern = search.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            terms.append("(title LIKE ? ESCAPE '\\' OR CAST(id AS TEXT) = ?)")
            params += [f"%{pattern}%", search.strip().lstrip("#")]
        if before is not None:
            terms.append("id < ?")
            params.append(before)
        where = f"WHERE {' AND '.join(terms)} " if terms else ""
        with self.read() as db:
            return self.rows(db, f"{where}ORDER BY id DESC LIMIT ?", [*params, limit])

    def queue(self, limit: int = 500) -> builtins.list[JobRow]:
        """The first ``limit`` queued jobs in the order in which they are dispatched."""
        with self.read() as db:
            return self.rows(db, "WHERE state = 'queued' ORDER BY position, id LIMIT ?", (limit,))

    def live(self) -> builtins.list[JobRow]:
        """Jobs that a supervisor has, oldest first."""
        with self.read() as db:
            return self.rows(db, LIVE_ROWS, LIVE)

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state; states without jobs are missing."""
        with self.read() as db:
            return dict(db.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())

    def titles(self, ids: Iterable[int]) -> dict[int, str]:
        """Number -> title of those of ``ids`` that are there."""
        query = "SELECT id, title FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
        with self.read() as db:
            return dict(db.execute(query, (json.dumps(list(ids)),)).fetchall())

    def version(self) -> int:
        """A number that grows with every change of any job."""
        with self.read() as db:
            return int(db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()[0])

    # --- steering

    def cancel(self, job_id: int) -> JobRow:
        """Ask a job to stop. A queued one is cancelled at once; a live one saves, then stops; a done one stays done."""
        from backend.queue import lifecycle

        row = self.get(job_id)
        if row.state == "queued" and lifecycle.cancel_queued(self, row):
            return self.get(job_id)
        if self.get(job_id).live:
            # The file is what the supervisor watches: it works while the database is locked or the disk is full.
            (self.job_dir(job_id) / folder.STOP).touch()
            lifecycle.mark_stopping(self, job_id)
        return self.get(job_id)

    def resume(self, job_id: int) -> JobRow:
        """Queue a job that failed, was cancelled or lost once more: a new attempt in the same folder.

        Raises:
            ConflictError: ``job_not_resumable``: it succeeded, waits, or runs.
        """
        job_dir = self.job_dir(job_id)
        with self.write() as db:
            row = self.row(db, job_id)
            if row.state not in ("failed", "cancelled", "lost"):
                raise ConflictError(
                    "job_not_resumable",
                    N_("Job {job} cannot be resumed: it is {state}."),
                    N_("Only a job that failed, was cancelled or was lost can be resumed. Run it again instead."),
                    job=job_id,
                    state=row.state,
                )
            (job_dir / folder.STOP).unlink(missing_ok=True)
            (job_dir / folder.END).unlink(missing_ok=True)
            db.execute(
                "UPDATE jobs SET state = 'queued', ended = NULL, error = '{}', wait = '{}', health = '' WHERE id = ?",
                (job_id,),
            )
            return self.row(db, job_id)

    def move(self, job_id: int, before: int | None) -> None:
        """Put a queued job before the queued job ``before``, or at the end (None)."""
        with self.write() as db:
            order = [r["id"] for r in db.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY position, id")]
            if job_id not in order or (before is not None and before not in order):
                raise ConflictError("job_not_queued", N_("Job {job} is not waiting any more."), "", job=job_id)
            if before == job_id:
                return
            order.remove(job_id)
            order.insert(len(order) if before is None else order.index(before), job_id)
            slots = sorted(r["position"] for r in db.execute("SELECT position FROM jobs WHERE state = 'queued'"))
            for position, moved in zip(slots, order, strict=True):
                db.execute("UPDATE jobs SET position = ? WHERE id = ?", (position, moved))

    def folder_bytes(self, job_id: int) -> int:
        """Bytes on disk that deleting the job frees."""
        return folder.disk_bytes(self.job_dir(job_id))

    def delete(self, job_id: int) -> int:
        """Forget a job that is done and delete its folder; returns the bytes freed.

        Raises:
            ConflictError: ``job_live``: it waits or runs; cancel it first. ``job_ending``: it is done, but its supervisor
                still clears up.
        """
        row = self.get(job_id)
        lock = locks.acquire(self.job_dir(job_id) / locks.FILE) if self.job_dir(job_id).is_dir() else -1
        if row.state not in DONE or lock is None:
            if lock not in (None, -1):
                os.close(lock)
            raise _not_deletable(row)
        try:
            freed = self.folder_bytes(job_id)
            try:
                self._forget(job_id)
            except WorkspaceError as error:
                if error.code != "workspace_full":
                    raise
                # Forgetting a row takes a few kB too: on a full disk the files go first.
                folder.empty(self.job_dir(job_id))
                self._forget(job_id)
        finally:
            if lock != -1:
                os.close(lock)
        return freed

    def _forget(self, job_id: int) -> None:
        """Delete row and folder. Renamed inside the transaction: a rebuild never sees a folder whose row is gone."""
        job_dir = self.job_dir(job_id)
        grave = job_dir.with_name(f".deleted-{job_id:06d}-{os.urandom(4).hex()}")
        try:
            with self.write() as db:
                db.execute("DELETE FROM leases WHERE job_id = ?", (job_id,))
                db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
                if job_dir.is_dir():
                    job_dir.rename(grave)
        except WorkspaceError:
            if grave.is_dir():  # the commit found no room: the row stays, and so does its folder
                grave.rename(job_dir)
            raise
        if grave.is_dir():
            shutil.rmtree(grave)

    # --- what lies in the folder

    def job_dir(self, job_id: int) -> Path:
        return self.workspace.job_dir(job_id)

    def spec(self, job_id: int) -> dict[str, Any]:
        """The spec as it was submitted."""
        return folder.read(self.job_dir(job_id), folder.SPEC) or {}

    def result(self, job_id: int) -> dict[str, Any] | None:
        """What the program wrote last, or None while it has not."""
        return folder.read(self.job_dir(job_id), folder.RESULT)

    def command(self, job_id: int) -> builtins.list[str]:
        """The exact argument list that runs this job; it works in a shell from the checkout, too."""
        return [sys.executable, "-m", f"jobs.{self.get(job_id).verb}", str(self.job_dir(job_id) / folder.SPEC)]

    def artifacts(self, job_id: int) -> builtins.list[dict[str, Any]]:
        """What the job made, oldest first: ``{"t", "kind", "path", "label"}``."""
        found, offset = [], 0
        while True:
            events, after = read_events(self.job_dir(job_id), offset)
            found += [{"t": e.get("t"), **e["artifact"]} for e in events if isinstance(e.get("artifact"), dict)]
            if after == offset:
                return found
            offset = after


def _not_deletable(row: JobRow) -> ConflictError:
    if row.state in DONE:
        said = N_("The last processes of job {job} are just ending."), N_("Try again in a few seconds.")
        return ConflictError("job_ending", *said, job=row.id)
    said = N_("Job {job} is {state} and cannot be deleted."), N_("Cancel it first.")
    return ConflictError("job_live", *said, job=row.id, state=row.state)
