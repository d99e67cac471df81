"""Which servers run, for somebody who asks many times a second.

To look into the queue takes a thread, and a thread waits its turn while the panel is busy: that would be most of what the
gateway adds to a first token. So what was seen a moment ago counts, as long as the server's own file says the same.
"""

from __future__ import annotations

import asyncio
import time

from backend.queue.store import Store, open_store
from backend.servers import FILE, Server, pick, running_servers
from backend.workspace import Workspace

FRESH_S = 1.0
"""For so long a look at the queue counts."""
WAKE_S = 60.0
"""So long a request waits for a server that sleeps; most clients would give up, too."""
WAKE_POLL_S = 0.2

Mark = tuple[int, int]


class Running:
    """The servers of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._store: Store | None = None
        self._seen: list[Server] = []
        self._marks: dict[int, Mark] = {}
        self._seen_at = float("-inf")
        self._look: asyncio.Task[list[Server]] | None = None
        self._waking: dict[int, asyncio.Task[Server]] = {}

    async def ready(self) -> list[Server]:
        """The servers that can answer, by a look that begins now or is under way."""
        if self._look is None:
            self._look = asyncio.create_task(self._find_all())
            self._look.add_done_callback(self._looked)
        # Shielded: the first one to ask may go away, the others still want to know.
        return await asyncio.shield(self._look)

    async def server(self, name: str) -> Server:
        """The server for the model ``name``.

        Raises:
            ServerError: ``model_not_running``.
        """
        if time.monotonic() - self._seen_at < FRESH_S and any(s.answers_to(name) for s in self._seen):
            server = pick(self._seen, name)
            # Restarted elsewhere, no longer ready, or stopped: then its file is another one, or gone.
            if self._mark(server.job_id) == self._marks.get(server.job_id):
                return server
        return pick(await self.ready(), name)

    async def woken(self, name: str) -> Server:
        """The server for ``name``, which sleeps, once it is awake. However many ask, it is told once.

        Raises:
            ServerError: ``server_did_not_obey``; ``model_asleep``: it was told to wake, and has not within ``WAKE_S``;
                ``model_not_running``: it has gone.
        """
        asleep = [server for server in await self.ready() if server.answers_to(name)]
        if not asleep:
            return pick(await self.ready(), name)
        job_id = max(asleep, key=lambda server: server.since).job_id
        if job_id not in self._waking:
            self._waking[job_id] = asyncio.create_task(self._wake(name))
            self._waking[job_id].add_done_callback(lambda _task: self._waking.pop(job_id, None))
        # Shielded: the first one to ask may go away, the others still want it.
        return (await asyncio.shield(self._waking[job_id])).asked_for(name)

    async def _wake(self, name: str) -> Server:
        until = time.monotonic() + WAKE_S
        await asyncio.to_thread(self._order, name)
        while True:
            found = [server for server in await self.ready() if server.answers_to(name) and not server.asleep]
            if found:
                return max(found, key=lambda server: server.since)
            if time.monotonic() > until:
                return pick(await self.ready(), name)
            await asyncio.sleep(WAKE_POLL_S)

    def _order(self, name: str) -> None:
        # Loads every engine's module, which a panel that only starts need not wait for.
        from backend.engines import serving

        serving.wake(self._opened(), name, WAKE_S)

    async def _find_all(self) -> list[Server]:
        found = [server for server in await asyncio.to_thread(self._find) if server.ready]
        marks = {server.job_id: self._mark(server.job_id) for server in found}
        self._marks = {job_id: mark for job_id, mark in marks.items() if mark is not None}
        self._seen, self._seen_at = [s for s in found if s.job_id in self._marks], time.monotonic()
        return found

    def _find(self) -> list[Server]:
        return running_servers(self._opened())

    def _opened(self) -> Store:
        if self._store is None:
            self._store = open_store(self._workspace)
        return self._store

    def _mark(self, job_id: int) -> Mark | None:
        """Changes when the server's file does; None where there is none."""
        try:
            stat = (self._workspace.job_dir(job_id) / FILE).stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def _looked(self, task: asyncio.Task[list[Server]]) -> None:
        self._look = None
        if not task.cancelled():
            task.exception()  # whoever asked is told; where all have gone away, nobody has to be
