"""A job that a test plays by hand lives beside a real watcher as long as the test wants, and not longer."""

from __future__ import annotations

from backend.queue.store import Store
from tests.support import by_hand
from tests.support.handmade_run import HandmadeRun
from tests.support.jobs import Queue


def rounds(queue: Queue) -> None:
    """The watcher has looked at every job since: it started one that came later, and saw it end."""
    queue.reach(queue.drill(steps=1).id, "succeeded")


def test_the_watcher_neither_starts_it_nor_calls_it_lost(queue: Queue, store: Store) -> None:
    run = HandmadeRun(store)
    rounds(queue)
    assert (store.get(run.row.id).state, store.get(run.row.id).attempt) == ("queued", 0)
    run.begin()
    rounds(queue)
    assert store.get(run.row.id).state == "running"
    run.end("succeeded", result={"model": "mine"})
    rounds(queue)
    assert store.get(run.row.id).state == "succeeded"
    assert store.delete(run.row.id) > 0


def test_let_go_it_is_a_job_like_any_other(queue: Queue, store: Store) -> None:
    row = by_hand.running(store, "drill", {"steps": 1})
    rounds(queue)
    by_hand.release(store, row.id)
    assert queue.reach(row.id, "lost", "succeeded").state in ("lost", "succeeded")
