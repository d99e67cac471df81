"""From a model's name to a server that can answer: the one that runs, or one that is started now and waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from backend.errors import NotFoundError, PanelError, ServerError
from backend.i18n import N_
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.servers import Server, pick, running_servers
from backend.workspace import Workspace

POLL_S = 0.25
WAKE_S = 120.0
"""So long is a server waited for that was told to wake: weights of tens of GB go back to the GPU meanwhile."""


def find_server(store: Store, model: str) -> Server | None:
    """The newest server that answers to ``model`` now, or None.

    Raises:
        ServerError: ``model_asleep``: waiting would not wake it.
    """
    try:
        return pick(running_servers(store), model)
    except ServerError as error:
        if error.code == "model_asleep":
            raise
        return None


def start_server(store: Store, workspace: Workspace, model: str) -> JobRow:
    """The job that serves ``model``, started if there is none, and somebody there to run it.

    Raises:
        NotFoundError, ModelError, SpecError: the model cannot be served.
    """
    from backend.engines import serving
    from backend.queue import watcher

    row = serving.start(store, workspace, model)
    watcher.ensure_running(workspace)
    return row


def wake_server(store: Store, model: str) -> None:
    """Tell the server of ``model``, which sleeps, to wake.

    Raises:
        ServerError: ``server_did_not_obey``, such as where its GPU memory is taken by now.
    """
    from backend.engines import serving

    serving.wake(store, model, WAKE_S)


async def await_server(
    store: Store,
    workspace: Workspace,
    model: str,
    *,
    start: bool = True,
    on_job: Callable[[JobRow], None] = lambda row: None,
) -> Server:
    """A server for ``model`` that is ready; woken, or started, and waited for, however long it queues and loads.

    Args:
        start: start it when it does not run; else that is an error.
        on_job: called with the job's row while it is waited for.

    Raises:
        ServerError: ``model_not_running`` (and ``start`` is off), ``model_not_started`` (its job ended instead),
            ``server_did_not_obey`` or ``model_asleep`` (it was told to wake and did not).
        NotFoundError, ModelError: there is no such model, or it cannot be served.
    """
    try:
        server = await asyncio.to_thread(find_server, store, model)
    except ServerError:
        server = await _woken(store, model, on_job)
    if server is not None:
        return server
    if not start:
        return pick(await asyncio.to_thread(running_servers, store), model)
    row = await asyncio.to_thread(start_server, store, workspace, model)
    while True:
        on_job(row)
        server = await asyncio.to_thread(find_server, store, model)
        if server is not None:
            return server
        if row.state in ("failed", "cancelled") or (row.state == "lost" and not row.auto_resumes):
            raise _not_started(row, model)
        await asyncio.sleep(POLL_S)
        try:
            row = await asyncio.to_thread(store.get, row.id)
        except NotFoundError as error:
            raise _not_started(row, model) from error


async def _woken(store: Store, model: str, on_job: Callable[[JobRow], None]) -> Server | None:
    """The server of ``model``, which slept, once it says itself that it is awake; None where it has gone meanwhile."""
    until = time.monotonic() + WAKE_S
    for server in await asyncio.to_thread(running_servers, store):
        if server.answers_to(model):
            on_job(await asyncio.to_thread(store.get, server.job_id))
    await asyncio.to_thread(wake_server, store, model)
    while True:
        try:
            return await asyncio.to_thread(find_server, store, model)
        except ServerError:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(POLL_S)


def _not_started(row: JobRow, model: str) -> ServerError:
    reason = PanelError.from_dict(row.error) if row.error else None
    if reason is None:
        return ServerError(
            "model_not_started",
            N_("'{model}' was stopped before it could answer."),
            N_("Start it again; your message is kept."),
            model=model,
            job=row.id,
        )
    # The job's own sentence says more than anything we could add; it is stored untranslated, with its parameters.
    return ServerError(
        "model_not_started", reason.message, reason.hint, **{"model": model, **reason.params, "job": row.id}
    )
