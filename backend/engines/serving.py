"""Starting and stopping model servers: what the chat page, the gateway and the command line all do."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backend import catalog
from backend.catalog import ModelCard
from backend.catalog.fitting import spare_tokens
from backend.engines import Place, ServingEngine, adapters, check, pick
from backend.errors import ConflictError, NotFoundError, ServerError
from backend.i18n import N_
from backend.queue.resources import cards
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.servers import Server, read_server, running_servers
from backend.specs import parse
from backend.specs.serve import ServeSpec
from backend.workspace import Workspace

ORDER_S = 120.0
"""Weights of tens of GB go to main memory and back meanwhile."""


def start(store: Store, workspace: Workspace, model_name: str, **options: Any) -> JobRow:
    """Serve ``model_name`` (a name in the catalog, or a folder); the job that does. A model that is being served, or
    waits to be, gives that job: a double click makes one server.

    ``options`` are fields of :class:`backend.specs.serve.ServeSpec`; the engine is chosen where none is given.

    Raises:
        NotFoundError: no such model.
        ConflictError: ``server_name_taken``: another model is served under this name.
        PanelError: it is broken, or of a kind that no engine here serves, or the engine asked for cannot run here.
        SpecError: wrong options: all of them.
    """
    plan = prepare(workspace, model_name, **options)
    card, served = plan.card, plan.spec.served_name()
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
    spec = plan.spec.model_dump(mode="json", exclude_defaults=True)
    return store.submit("serve", spec, title=served, submit_key=f"serve:{served}:{last}")


@dataclass(frozen=True)
class Prepared:
    """A server that could be started. ``spec`` names its engine. ``command``: what will run, its port and folder left open."""

    card: ModelCard
    engine: ServingEngine
    spec: ServeSpec
    command: list[str]


def prepare(workspace: Workspace, model_name: str, **options: Any) -> Prepared:
    """What :func:`start` would start, checked as far as it can be without starting.

    Raises:
        PanelError: as :func:`start`, but for the name that is taken.
    """
    card = catalog.find(workspace, model_name)
    # A model on the list is asked for by its name, so that its server goes on where the person moves the folder.
    target = str(card.path) if "/" in model_name or model_name.startswith("~") else card.name
    spec = parse("serve", {**options, "model": target, "name": str(options.get("name") or card.name)})
    assert isinstance(spec, ServeSpec)
    engine = pick(spec, card)
    spec = spec.model_copy(update={"engine": engine.name})
    gpus = cards()
    spare = spare_tokens(card)
    if spare is not None:
        raise spare
    found, wrong = adapters.find(workspace, spec)
    check(engine, spec, card, len(gpus), wrong)
    free = sorted((gpu.free_mib << 20 for gpu in gpus), reverse=True)[: spec.tp]  # on the GPUs that it would be given
    place = Place(adapters=tuple(found), free_bytes=free[-1] if free else None)
    return Prepared(card, engine, spec, engine.command(spec, card, place))


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
        raise _not_running(served_name)
    return store.cancel(row.id)


def sleep(store: Store, served_name: str) -> Server:
    """Let the server of this name give its GPU memory back; it keeps its weights in main memory and answers nothing until
    :func:`wake`. The server as it was.

    Raises:
        ServerError: ``server_not_running``; ``server_cannot_sleep``; ``server_did_not_obey``.
    """
    return _order(store, served_name, "/sleep?level=1")


def wake(store: Store, served_name: str, wait_s: float = ORDER_S) -> Server:
    """End :func:`sleep`, within ``wait_s`` seconds.

    Raises:
        ServerError: as for :func:`sleep`.
    """
    return _order(store, served_name, "/wakeup", wait_s)


def _order(store: Store, served_name: str, path: str, wait_s: float = ORDER_S) -> Server:
    running = [server for server in running_servers(store) if server.answers_to(served_name)]
    if not running:
        raise _not_running(served_name)
    server = max(running, key=lambda each: each.since)
    if not server.sleeps:
        raise ServerError(
            "server_cannot_sleep",
            N_("The server of '{model}' cannot sleep: its engine, {engine}, knows no such thing."),
            N_("Stop it instead; it starts again when it is needed."),
            model=server.model,
            engine=server.engine,
        )
    url = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=wait_s)
    try:
        headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
        connection.request("POST", path, "{}", headers)
        answer = connection.getresponse()
        said = f"HTTP {answer.status} {answer.read(500).decode('utf-8', 'replace')}".strip()
        if answer.status == 200:
            return server
    except (OSError, http.client.HTTPException) as error:
        said = str(error)
    finally:
        connection.close()
    raise ServerError(
        "server_did_not_obey",
        N_("The server of '{model}' did not do as it was told: {said}"),
        N_("Look at its log. It can always be stopped and started again."),
        model=server.model,
        said=said,
    )


def _not_running(served_name: str) -> ServerError:
    return ServerError("server_not_running", N_("No server for the model '{model}' is running."), "", model=served_name)


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
