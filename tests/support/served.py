"""A model that runs, as far as the panel can tell: a job row, its folder and its lock, and a real server behind it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from backend.queue import locks
from backend.queue.store import Store
from backend.servers import Server, publish, withdraw


@contextmanager
def served(store: Store, server: Server, *, killed: bool = False) -> Iterator[Server]:
    """While this block runs, a serve job is running that has published ``server``; its number is in the result.

    At the end it withdraws, unless it is ``killed``: then its file is left, as after kill -9.
    """
    title = f"Serve {server.model}"
    with store.write() as db:
        cursor = db.execute(
            "INSERT INTO jobs (verb, title, state, attempt, created, started, position, service) "
            "VALUES ('serve', ?, 'running', 1, ?, ?, 1, 1)",
            (title, time.time(), time.time()),
        )
        job_id = int(cursor.lastrowid or 0)
    job_dir = store.job_dir(job_id)
    job_dir.mkdir(parents=True)
    (job_dir / "job.json").write_text(json.dumps({"id": job_id, "verb": "serve", "title": title}))
    # What holds the lock is alive: the watcher leaves the row as it is.
    lock = locks.acquire(job_dir / locks.FILE)
    assert lock is not None
    try:
        published = replace(server, job_id=job_id)
        publish(job_dir, published)
        yield published
    finally:
        if not killed:
            withdraw(job_dir)
        with store.write() as db:
            db.execute("UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ?", (time.time(), job_id))
        os.close(lock)
