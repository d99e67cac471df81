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

    async def _find_all(self) -> list[Server]:
        found = [server for server in await asyncio.to_thread(self._find) if server.ready]
        marks = {server.job_id: self._mark(server.job_id) for server in found}
        self._marks = {job_id: mark for job_id, mark in marks.items() if mark is not None}
        self._seen, self._seen_at = [s for s in found if s.job_id in self._marks], time.monotonic()
        return found

    def _find(self) -> list[Server]:
        if self._store is None:
            self._store = open_store(self._workspace)
        return running_servers(self._store)

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
