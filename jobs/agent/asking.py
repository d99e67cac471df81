"""A reply of a running model, streamed, with the list of tools where the form wants one; a person's Stop ends it at once.

Lagent's interface of models knows whole replies only, asks a server that is not there for ever, and hides its errors (docs/decisions/0013-agent.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from backend.agent.options import Options
from backend.agent.protocols.sending import Sent
from backend.chat.client import Finished, stream_chat
from backend.chat.params import ChatParams
from backend.chat.sent import Sent as Record
from backend.chat.waiting import await_server
from backend.errors import ServerError
from backend.queue.store import Store
from backend.servers import Server
from backend.workspace import Workspace
from jobs.until_stopped import until_stopped

GONE_TRIES = 2
LEAST_REPLY = 96
"""Tokens: with less, no call of a tool is whole."""


class Interrupted(Exception):
    """A person has pressed Stop, or the time is over; ``text``: what had come by then."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.text = text


@dataclass(frozen=True)
class Reply:
    """text: what was said. message: the server's whole message. sent: what went out and came back."""

    text: str
    message: dict[str, Any]
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    counted: bool
    seconds: float
    sent: Record = field(repr=False, default_factory=Record)


class Asks(Protocol):
    """A model that can be asked."""

    def takes_tools(self) -> bool | None:
        """Whether its chat template knows tools; None: nobody knows."""
        ...

    def reply(
        self, sent: Sent, options: Options, *, watch: Callable[[str], None], stopped: Callable[[], bool]
    ) -> Reply:
        """Its reply; ``watch`` is called with what has come so far.

        Raises:
            Interrupted: ``stopped()`` said so.
            PanelError: why there is none.
        """
        ...


class ServerModel:
    """The model ``name`` of this panel: its server is found, woken, or started and waited for."""

    def __init__(self, store: Store, workspace: Workspace, name: str, *, start: bool = True) -> None:
        self._store, self._workspace, self._name, self._start = store, workspace, name, start
        self._server: Server | None = None

    def ready(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Wait for its server.

        Raises:
            Interrupted; ServerError, NotFoundError, ModelError: it cannot be served.
        """
        until_stopped(self._ready(), stopped, Interrupted)

    def takes_tools(self) -> bool | None:
        return None if self._server is None else "tools" in self._server.capabilities

    def reply(
        self, sent: Sent, options: Options, *, watch: Callable[[str], None], stopped: Callable[[], bool]
    ) -> Reply:
        said: list[str] = []
        try:
            return until_stopped(self._reply(sent, options, said, watch), stopped, Interrupted)
        except Interrupted:
            raise Interrupted("".join(said)) from None

    async def _ready(self) -> Server:
        self._server = await await_server(self._store, self._workspace, self._name, start=self._start)
        return self._server

    async def _reply(self, sent: Sent, options: Options, said: list[str], watch: Callable[[str], None]) -> Reply:
        for attempt in range(1, GONE_TRIES + 1):
            server = await self._ready()
            try:
                return await self._fitted(server, sent, options, said, watch)
            except ServerError as error:
                # It ended between two replies: its job starts it anew, or it is started again.
                if error.code != "server_gone" or said or attempt == GONE_TRIES:
                    raise
                await asyncio.sleep(1.0)
        raise AssertionError("the last try returns or raises")

    async def _fitted(
        self, server: Server, sent: Sent, options: Options, said: list[str], watch: Callable[[str], None]
    ) -> Reply:
        """With less room for the reply where the model's context has no more. The server counts, not we."""
        most = options.max_tokens
        while True:
            try:
                return await self._once(server, sent, options, most, said, watch)
            except ServerError as error:
                if error.code != "context_length_exceeded" or most <= LEAST_REPLY:
                    raise
                most = max(LEAST_REPLY, most // 4)

    async def _once(
        self, server: Server, sent: Sent, options: Options, most: int, said: list[str], watch: Callable[[str], None]
    ) -> Reply:
        params = ChatParams(temperature=options.temperature, top_p=1.0, max_tokens=most, seed=options.seed)
        record, began, ending = Record(), time.monotonic(), ""
        stream = stream_chat(server, sent.messages, params, sent=record, more=_more(server, sent))
        finished: Finished | None = None
        async with contextlib.aclosing(stream):
            async for piece in stream:
                if isinstance(piece, Finished):
                    finished = piece
                    break
                said.append(piece)
                text = "".join(said)
                ending = next((stop for stop in sent.stop if stop in text), "")
                if ending:
                    # Not every server stops at these words; what comes after them the model makes up.
                    said[:] = [text[: text.index(ending)]]
                    watch(said[0])
                    break
                watch(text)
        text = "".join(said)
        message = _message(record, text)
        return Reply(
            text=text,
            message=message,
            finish_reason=finished.finish_reason if finished else "stop",
            prompt_tokens=finished.prompt_tokens if finished else 0,
            completion_tokens=finished.completion_tokens if finished else max(1, len(text) // 4),
            counted=bool(finished and finished.counted),
            seconds=time.monotonic() - began,
            sent=record,
        )


def _more(server: Server, sent: Sent) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if sent.tools:
        more["tools"] = sent.tools
    if sent.stop:
        more["stop"] = list(sent.stop)
    if sent.extra and server.engine != "transformers":
        more["extra_body"] = sent.extra
    return more


def _message(record: Record, text: str) -> dict[str, Any]:
    """The server's message with the text that counts."""
    choices = record.response.get("choices") or [{}]
    return {**choices[0].get("message", {}), "content": text}
