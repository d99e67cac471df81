"""From a model's name or an address to a server that can be asked, and back to it when it has gone away in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from backend import catalog
from backend.bench import keys
from backend.catalog import ModelCard
from backend.chat.waiting import await_server
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.servers import Server, running_servers
from backend.specs.bench import Load
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace
from jobs import until_stopped as waiting
from jobs.benching import checking, finding
from jobs.benching.connection import Address
from jobs.evaluating.work import Served
from jobs.harness import Job, Stopped

T = TypeVar("T")
KNOCK_S = 0.5
CONNECT_S = 5.0
LONGEST_AWAY_S = 120.0
"""A server that has not come back by then is given up; one of ours that loads is waited for as long as it takes."""


class Reach(Protocol):
    """A server, found again where it went away."""

    async def find(self) -> Served:
        """It, ready to be asked.

        Raises:
            PanelError: it cannot be had, in words.
        """
        ...


class Ours:
    """The model ``name`` of this panel: its server is found, woken, or started and waited for."""

    def __init__(self, job: Job, store: Store, workspace: Workspace, name: str) -> None:
        self._job, self._store, self._workspace, self._name = job, store, workspace, name
        self._told = 0

    async def find(self) -> Served:
        server = await await_server(self._store, self._workspace, self._name, on_job=self._tell)
        return served(server)

    def _tell(self, row: JobRow) -> None:
        if row.id != self._told:
            self._told = row.id
            self._job.log(f"waiting for job {row.id}, which serves {self._name}")


class Elsewhere:
    """The server at the address of ``spec``; one of ours is known by its address, too."""

    def __init__(self, store: Store, workspace: Workspace, spec: EvaluateSpec) -> None:
        self._store, self._workspace, self._spec = store, workspace, spec
        self._known: Served | None = None

    async def find(self) -> Served:
        if self._known is None:
            self._known = await asyncio.to_thread(self._find)
        return self._known

    def _find(self) -> Served:
        key = keys.read(self._workspace, self._spec.key_name)
        address = self._spec.base_url.strip().rstrip("/")
        for one in running_servers(self._store):
            if address in (one.base_url, one.base_url.removesuffix("/v1")):
                return served(one.asked_for(self._spec.model) if self._spec.model else one, key)
        load = Load(num_prompts=1, output_tokens=4, timeout_s=self._spec.timeout_s)
        known = checking.check(checking.Target(address, self._spec.model, key), load)
        return Served(known.base_url, known.model, key, asks_usage=known.asks_usage)


def reach(job: Job, store: Store, workspace: Workspace, spec: EvaluateSpec) -> Reach:
    """The way to the server that ``spec`` means."""
    return Elsewhere(store, workspace, spec) if spec.base_url else Ours(job, store, workspace, spec.model)


def served(server: Server, key: str = "") -> Served:
    """``server`` of this panel, as evaluators see it."""
    return Served(
        server.base_url,
        server.model,
        key or server.key,
        server.context_length,
        server.engine,
        server.job_id,
        server.path,
    )


def card_of(workspace: Workspace, spec: EvaluateSpec, found: Served | None) -> ModelCard | None:
    """The model in the catalogue: by the name that was asked for, else by the folder that is served. A name at another address says nothing."""
    ours = found is None or found.job is not None
    for name in (spec.model if ours else "", found.model if found and ours else "", found.path if found else ""):
        if name:
            with contextlib.suppress(PanelError):
                return catalog.find(workspace, name)
    return None


async def back(way: Reach, model: str, wait_s: float, problem: str) -> Served:
    """The server at the end of ``way``, which broke off or let nobody in, once it lets somebody in again.

    Raises:
        ServerError: ``evaluate_server_gone``: it did not within ``wait_s`` seconds; or why it does not start.
    """
    away = 0.0
    while True:
        found = await way.find()
        began = time.monotonic()
        if await knock(found.base_url):
            return found
        await asyncio.sleep(KNOCK_S)
        away += time.monotonic() - began
        if away >= min(wait_s, LONGEST_AWAY_S):
            raise ServerError(
                "evaluate_server_gone",
                N_("The server of '{model}' does not answer any more: {problem}"),
                N_(
                    "What was answered is kept. See on the Jobs page why it ended, start it again, then resume this job: it asks only what is missing."
                ),
                model=model,
                problem=problem,
            )


async def knock(base_url: str) -> bool:
    """Whether somebody listens there."""
    address = Address.of(base_url)
    try:
        async with asyncio.timeout(CONNECT_S):
            _reader, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def memory(workspace: Workspace, found: Served | None, store: Store) -> dict[str, Any]:
    """``memory_steady`` and ``memory_peak`` in bytes, ``memory_on_gpu`` and ``memory_source`` of the process that serves, where it is one of ours and
    somebody has looked."""
    if found is None or found.job is None:
        return {}
    server = next((one for one in running_servers(store) if one.job_id == found.job), None)
    seen = finding.memory(workspace, server)
    return {f"memory_{name}": value for name, value in seen.items()} if seen else {}


def until_stopped(work: Coroutine[Any, Any, T], stopped: Callable[[], bool]) -> T:
    """The result of ``work``; cancelled as soon as ``stopped()`` says so.

    Raises:
        Stopped: it said so.
    """
    return waiting.until_stopped(work, stopped, Stopped)
