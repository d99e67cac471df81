"""The questions to the model: several at a time, waiting for a server that is away, and stopping at once when asked to."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence

from backend.chat.waiting import find_server, wake_server
from backend.data.documents import Chunk
from backend.data.documents.asking import Answer, ask
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.queue.store import Store
from backend.servers import Server
from backend.specs.ask_documents import AskDocumentsSpec
from jobs.harness import Job, Stopped

LOOK_S = 0.2
AGAIN_S = 1.0
"""Pause before a server that was away, busy or refused is asked again."""
TRIES = 3
"""So often a server may refuse one chunk, or die of it, before the chunk is given up."""
HOPELESS = 3
"""So many chunks given up with none answered: it is not the chunks."""
_REFUSES = ("request_refused", "server_failed")
_DIES = ("server_died", "server_silent")


class Asker:
    """Asks about ``chunks``; ``keep`` is given each answer as it comes."""

    def __init__(
        self, job: Job, store: Store, spec: AskDocumentsSpec, chunks: Sequence[Chunk], keep: Callable[[Answer], None]
    ) -> None:
        self.job, self.store, self.spec, self.keep = job, store, spec, keep
        self.rest = deque(chunks)
        self.answered = 0
        self.given_up = 0
        self.away_since: float | None = None

    async def run(self) -> None:
        """Ask about all of them.

        Raises:
            Stopped: the person asked to stop; what was answered is kept.
            ServerError: ``documents_server_away``, ``documents_server_refuses``.
        """
        tasks = [asyncio.create_task(self._work()) for _ in range(min(self.spec.concurrency, len(self.rest)))]
        try:
            pending = set(tasks)
            while pending:
                done, pending = await asyncio.wait(pending, timeout=LOOK_S, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
                if self.job.stop_requested:
                    raise Stopped
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while self.rest:
            chunk = self.rest.popleft()
            self.keep(await self._one(chunk))

    async def _one(self, chunk: Chunk) -> Answer:
        tries = 0
        while True:
            server = await self._server()
            try:
                answer = await ask(server, self.spec, chunk)
            except ServerError as error:
                if error.code == "context_length_exceeded":
                    return Answer(chunk.number, _reason(error), "chunk_too_long")
                tries += error.code in _REFUSES + _DIES
                if tries >= TRIES:
                    return self._give_up(chunk, error)
                self.job.log(f"chunk {chunk.number}: {error}")
                if error.code not in _REFUSES:
                    self._away()
                await asyncio.sleep(AGAIN_S)
            else:
                self.answered += 1
                self.away_since = None
                return answer

    def _give_up(self, chunk: Chunk, error: ServerError) -> Answer:
        self.given_up += 1
        if not self.answered and self.given_up >= HOPELESS:
            raise ServerError(
                "documents_server_refuses",
                N_("The server of '{model}' answered none of the first {count} passages: {problem}"),
                N_("Look at the server's log on the Jobs page, or take another model. Resume asks again."),
                model=self.spec.model,
                count=self.given_up,
                problem=_reason(error),
            ) from error
        return Answer(chunk.number, _reason(error), "chunk_refused")

    async def _server(self) -> Server:
        """The server of the model; waits for one that is away."""
        while True:
            try:
                server = await asyncio.to_thread(find_server, self.store, self.spec.model)
            except ServerError:  # it sleeps
                self.job.log(f"waking the server of {self.spec.model}")
                server = None
                with contextlib.suppress(PanelError):
                    await asyncio.to_thread(wake_server, self.store, self.spec.model)
            if server is not None:
                return server
            self._away()
            await asyncio.sleep(AGAIN_S)

    def _away(self) -> None:
        """Say that the server is away; after ``wait_s`` of it, it is an error.

        Raises:
            ServerError: ``documents_server_away``.
        """
        now = time.monotonic()
        if self.away_since is None:
            self.away_since = now
            self.job.log(f"the server of {self.spec.model} is away; waiting up to {self.spec.wait_s} s")
        self.job.progress("server", now - self.away_since, self.spec.wait_s)
        if now - self.away_since >= self.spec.wait_s:
            raise ServerError(
                "documents_server_away",
                N_("No server for the model '{model}' has answered for {seconds} seconds."),
                N_("Start the model again on the Deploy page, then resume this job: what was answered is kept."),
                model=self.spec.model,
                seconds=self.spec.wait_s,
            )


def _reason(error: PanelError) -> str:
    return str(error.params.get("problem") or error)
