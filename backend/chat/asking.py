"""From a stored conversation to a stream of text: find or start the server, fit the history, ask, and fit again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from backend.chat import attachments, history
from backend.chat.client import Finished, stream_chat
from backend.chat.params import ChatParams
from backend.chat.records import Message
from backend.chat.sent import Sent
from backend.chat.waiting import await_server
from backend.errors import ServerError
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.servers import Server
from backend.workspace import Workspace

FIT_ATTEMPTS = 20
"""Halving ends long before: 20 covers half a million turns and any answer length."""
GONE_PAUSE_S = 1.0


async def answer_stream(
    store: Store,
    workspace: Workspace,
    messages: Sequence[Message],
    *,
    model: str,
    params: ChatParams,
    start: bool = True,
    on_job: Callable[[JobRow], None] = lambda row: None,
    sent: Sent | None = None,
) -> AsyncGenerator[int | str | Finished, None]:
    """Yield, each time it is asked, how many earlier messages were left out; then text; then :class:`Finished`.

    A server that is not there any more is looked for (and started) once again; a conversation that is too long for the
    model loses its oldest turns until it fits. ``sent`` is filled with what goes out and comes back.

    Raises:
        PanelError: see :func:`backend.chat.waiting.await_server` and :func:`backend.chat.client.stream_chat`.
    """
    files = await asyncio.to_thread(_files, workspace, messages, model)
    for attempt in (1, 2):
        server = await await_server(store, workspace, model, start=start, on_job=on_job)
        said = False
        try:
            pieces = fitted_stream(server, messages, params, files=files, sent=sent)
            async with contextlib.aclosing(pieces) as stream:
                async for piece in stream:
                    said = said or isinstance(piece, str)
                    yield piece
            return
        except ServerError as error:
            if error.code != "server_gone" or said or attempt == 2:
                raise
        # Its job notices the crash and starts it anew, or ends; either is known in a moment.
        await asyncio.sleep(GONE_PAUSE_S)


def _files(workspace: Workspace, messages: Sequence[Message], model: str) -> dict[str, bytes]:
    """What the messages bring along, by digest.

    Raises:
        ConflictError: ``file_gone``.
    """
    if not any(m.attachments for m in messages):
        return {}
    sees = attachments.can_see(workspace, model) is not False
    return {each.digest: attachments.read(workspace, each) for each in history.needed_files(messages, sees=sees)}


async def fitted_stream(
    server: Server,
    messages: Sequence[Message],
    params: ChatParams,
    *,
    files: Mapping[str, bytes] | None = None,
    sent: Sent | None = None,
) -> AsyncGenerator[int | str | Finished, None]:
    """:func:`stream_chat` with as much of the conversation as the model takes; begins with the number left out.

    Raises:
        ServerError: ``prompt_too_long_for_model`` when not even the last prompt alone fits.
    """
    scale, most_turns, most_tokens = history.scale_of(messages, server.model), len(messages), params.max_tokens
    for _attempt in range(FIT_ATTEMPTS):
        request = history.fit(
            messages,
            params.model_copy(update={"max_tokens": most_tokens}),
            model=server.model,
            context_length=server.context_length,
            scale=scale,
            most_turns=most_turns,
            files=files,
        )
        yield request.left_out
        try:
            chunks = stream_chat(server, request.messages, params, max_tokens=request.max_tokens, sent=sent)
            async with contextlib.aclosing(chunks) as stream:
                async for piece in stream:
                    yield piece
            return
        except ServerError as error:
            if error.code != "context_length_exceeded":
                raise
        # Our estimate was wrong, so the server's word counts: half of the turns, then less room for the answer.
        if request.turns > 1:
            most_turns = request.turns // 2
        elif request.max_tokens > history.LEAST_ANSWER:
            most_tokens = max(history.LEAST_ANSWER, request.max_tokens // 8)
        else:
            break
    raise history.too_long(messages, model=server.model, context_length=server.context_length)
