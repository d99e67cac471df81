"""Which model servers run now. Each serve job keeps ``endpoint.json`` in its folder while it can answer.

The file says where the server listens and under which key; it is 0600, and never shown or logged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backend.errors import ServerError
from backend.i18n import N_
from backend.queue.store import Store
from backend.workspace import read_json, write_json

FILE = "endpoint.json"


@dataclass(frozen=True)
class Server:
    """A running model server, an OpenAI endpoint on loopback.

    model: the name people use. base_url: ends in ``/v1``. key: bearer token of this server only. ready: answered its
    last health check. context_length: tokens. engine: ``transformers`` … path: the model folder. since: epoch s.
    aliases: other names it answers to. adapters: names of those that it offers beside its model, each a model of its own
    to clients; offered_by: of such a one, the model that it belongs to. capabilities: of ``chat``, ``completions``, ``embeddings``, ``tools``.
    sleeps: it can give its GPU memory back for a while; asleep: it has, and answers no prompt until it is woken.
    """

    job_id: int
    model: str
    base_url: str
    key: str = field(repr=False)
    engine: str = "transformers"
    path: str = ""
    context_length: int = 0
    ready: bool = True
    since: float = 0.0
    aliases: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    offered_by: str = ""
    capabilities: tuple[str, ...] = ("chat", "completions")
    sleeps: bool = False
    asleep: bool = False

    def answers_to(self, name: str) -> bool:
        return name == self.model or name in self.aliases or name in self.adapters

    def names(self) -> tuple[str, ...]:
        """The models that clients see: its own, then its adapters."""
        return self.model, *self.adapters

    def asked_for(self, name: str) -> Server:
        """It, as who asks for ``name`` sees it: an adapter is a model of its own."""
        if name == self.model or name not in self.adapters:
            return self
        return replace(self, model=name, aliases=(), adapters=(), offered_by=self.model)


def publish(job_dir: Path, server: Server) -> None:
    """Say that ``server`` can answer now (or, with ``ready=False``, that it lives but cannot answer)."""
    data: dict[str, Any] = {name: getattr(server, name) for name in server.__dataclass_fields__}
    write_json(job_dir / FILE, data)


def withdraw(job_dir: Path) -> None:
    """Say that the server is gone."""
    (job_dir / FILE).unlink(missing_ok=True)


def read_server(job_dir: Path) -> Server | None:
    """The server that the job in ``job_dir`` published, if any. Whether the job still runs is the store's to say."""
    data = read_json(job_dir / FILE)
    if not isinstance(data, dict):
        return None
    known = {k: v for k, v in data.items() if k in Server.__dataclass_fields__}
    for name in ("aliases", "adapters", "capabilities"):
        if name in known:
            known[name] = tuple(known[name])
    try:
        return Server(**known)
    except TypeError:
        return None


def pick(servers: list[Server], name: str) -> Server:
    """The ready server for ``name``; the newest where several serve it.

    Raises:
        ServerError: ``model_not_running``, naming what does run; ``model_asleep``.
    """
    found = [s for s in servers if s.ready and s.answers_to(name)]
    if found and all(s.asleep for s in found):
        raise ServerError(
            "model_asleep",
            N_("The server of the model '{model}' sleeps."),
            N_("Wake it on the Deploy page, or with: python -m backend serve wake '{model}'"),
            model=name,
        )
    found = [s for s in found if not s.asleep]
    if not found:
        raise ServerError(
            "model_not_running",
            N_("No server for the model '{model}' is running."),
            N_("Start it on the Chat page. Running now: {running}."),
            model=name,
            running=", ".join(sorted(each for s in servers if s.ready for each in s.names())) or "-",
        )
    return max(found, key=lambda s: s.since).asked_for(name)


def asleep(store: Store, name: str) -> bool:
    """Whether ``name`` is served, and by nothing that is awake: the next message wakes it."""
    found = [server for server in running_servers(store) if server.ready and server.answers_to(name)]
    return bool(found) and all(server.asleep for server in found)


def running_servers(store: Store) -> list[Server]:
    """All servers whose job runs and that can answer, newest first."""
    found = [read_server(store.job_dir(row.id)) for row in store.list(states=("running",), verb="serve", limit=200)]
    return [server for server in found if server is not None]
