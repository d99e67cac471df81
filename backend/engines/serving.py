"""Starting and stopping model servers: what the chat page, the gateway and the command line all do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend import catalog
from backend.engines import ENGINES
from backend.errors import ConflictError, NotFoundError, ServerError
from backend.i18n import N_
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.servers import read_server
from backend.workspace import Workspace


def start(store: Store, workspace: Workspace, model_name: str, **options: Any) -> JobRow:
    """Serve ``model_name`` (a name in the catalog, or a folder); the job that does. A model that is being served, or
    waits to be, gives that job: a double click makes one server.

    ``options`` are fields of :class:`backend.specs.serve.ServeSpec`.

    Raises:
        NotFoundError: no such model.
        ConflictError: ``server_name_taken``: another model is served under this name.
        ModelError: it is broken, or of a kind that no engine serves.
        SpecError: wrong options.
    """
    card = catalog.find(workspace, model_name)
    refusal = ENGINES["transformers"].refuses(card)
    if refusal is not None:
        raise refusal
    served = str(options.get("name") or card.name)
    # A model on the list is asked for by its name, so that its server goes on where the person moves the folder.
    target = str(card.path) if "/" in model_name or model_name.startswith("~") else card.name
    running = find(store, served)
    if running is not None:
        if _folder_of(store, workspace, running) not in (None, card.path):
            raise ConflictError(
                "server_name_taken",
                N_("Job {job} serves another model under the name '{model}'."),
                N_("Stop it first, or serve this one under another name."),
                job=running.id,
                model=served,
            )
        return running
    # The key holds until this server has ended; then the next press makes the next one.
    last = max(
        (row.id for row in store.list(verb="serve", search=served, limit=1000) if row.title == served), default=0
    )
    spec = {"model": target, "name": served, **options}
    return store.submit("serve", spec, title=served, submit_key=f"serve:{served}:{last}")


def find(store: Store, served_name: str) -> JobRow | None:
    """The job that serves this name, or waits to; the newest, or None. Whether it can answer already is another
    question: see :func:`backend.servers.running_servers`."""
    rows = store.list(states=("queued", "starting", "running"), verb="serve", limit=1000)
    return next((row for row in rows if _serves(store, row, served_name)), None)


def stop(store: Store, served_name: str) -> JobRow:
    """Ask the server of this name to stop.

    Raises:
        ServerError: ``server_not_running``.
    """
    row = find(store, served_name)
    if row is None:
        raise ServerError(
            "server_not_running", N_("No server for the model '{model}' is running."), "", model=served_name
        )
    return store.cancel(row.id)


def _serves(store: Store, row: JobRow, served_name: str) -> bool:
    server = read_server(store.job_dir(row.id))
    return served_name == (server.model if server else store.spec(row.id).get("name") or row.title)


def _folder_of(store: Store, workspace: Workspace, row: JobRow) -> Path | None:
    """The model folder that a serve job serves; None where its model has been taken off the list since."""
    server = read_server(store.job_dir(row.id))
    if server and server.path:
        return Path(server.path)
    try:
        return catalog.find(workspace, str(store.spec(row.id).get("model", ""))).path
    except NotFoundError:
        return None
