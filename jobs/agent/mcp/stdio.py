"""An MCP server that is a program on this machine, as the SDK's client reads and writes it.

The SDK has such a transport itself. Ours differs: the server sees four variables and those that were named, a guard
ends it even when we are killed, its stderr is kept, what it writes beside the protocol is counted and kept, and a
line of any length is not taken in.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

from backend.agent.mcp_servers import Secrets, Server

GUARD = Path(__file__).with_name("guard.py")
INHERITED = ("PATH", "HOME", "LANG", "TERM")
MOST_LINE = 32 << 20
"""Bytes of one message, and of all that is no message: a server that writes more is ended."""
STDERR_LINES, LINE_CHARS = 200, 2000
GRACE = 2.0
"""Seconds between the end of stdin and the order to end."""
PATIENCE = 5.0
"""Seconds that the guard has for that order."""

_Send = MemoryObjectSendStream[SessionMessage | Exception]


@dataclass
class Heard:
    """What a server said beside the protocol. stderr: its last lines. rubbish: first lines on stdout that were no
    messages. too_much: it wrote more than we take. code: its exit code, once it ended. ended: set with the end of its
    stdout. by_itself: before we closed it."""

    stderr: deque[str] = field(default_factory=lambda: deque(maxlen=STDERR_LINES))
    rubbish: list[str] = field(default_factory=list)
    too_much: bool = False
    code: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    by_itself: bool = False
    closing: bool = False


def environment(server: Server, secrets: Secrets, ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """All that the server's program sees of an environment."""
    named = {name: ours[name] for name in (*INHERITED, *server.env) if name in ours}
    return {**named, **secrets.env}


@asynccontextmanager
async def talking(server: Server, secrets: Secrets, heard: Heard) -> AsyncIterator[TransportStreams]:
    """Start the server's program; at the end it is gone, with all that it started.

    Raises:
        OSError: it cannot be started.
    """
    lifeline, held = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(GUARD), str(lifeline), server.command, *server.args),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(server, secrets),
            cwd=Path.home(),
            pass_fds=(lifeline,),
            start_new_session=True,
        )
    except BaseException:
        os.close(held)
        raise
    finally:
        os.close(lifeline)
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    from_client, to_server = _outgoing()
    try:
        async with anyio.create_task_group() as tasks:
            errors = asyncio.create_task(_keep_stderr(process, heard))
            tasks.start_soon(_read, process, to_client, heard)
            tasks.start_soon(_write, process, to_server)
            try:
                yield from_server, from_client
            finally:
                with anyio.CancelScope(shield=True):
                    heard.closing = True
                    held = await _end(process, held)
                    await asyncio.wait({errors}, timeout=1)
                    errors.cancel()
                    heard.code = process.returncode
                tasks.cancel_scope.cancel()
    finally:
        if held >= 0:
            os.close(held)
        for stream in (to_client, from_server, from_client, to_server):
            stream.close()


def _outgoing() -> tuple[MemoryObjectSendStream[SessionMessage], MemoryObjectReceiveStream[SessionMessage]]:
    return anyio.create_memory_object_stream[SessionMessage](0)


async def _read(process: asyncio.subprocess.Process, to_client: _Send, heard: Heard) -> None:
    assert process.stdout
    try:
        await _messages(process.stdout, to_client, heard)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        pass
    finally:
        to_client.close()
        heard.by_itself = not heard.closing
        heard.ended.set()
        # What still comes is let go, so that a server that is writing sees its stdin end.
        while await process.stdout.read(1 << 16):
            pass


async def _messages(stdout: asyncio.StreamReader, to_client: _Send, heard: Heard) -> None:
    waiting, rubbish = bytearray(), 0
    while chunk := await stdout.read(1 << 16):
        searched = len(waiting)
        waiting += chunk
        while (end := waiting.find(b"\n", searched)) >= 0:
            line, searched = bytes(waiting[:end]).strip(), 0
            del waiting[: end + 1]
            if not line:
                continue
            try:
                message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                rubbish += len(line)
                if len(heard.rubbish) < 5:
                    heard.rubbish.append(line[:LINE_CHARS].decode(errors="replace"))
            else:
                await to_client.send(SessionMessage(message))
        if max(len(waiting), rubbish) > MOST_LINE:
            heard.too_much = True
            return


async def _write(process: asyncio.subprocess.Process, to_server: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin
    with contextlib.suppress(ConnectionError, anyio.ClosedResourceError):
        async for message in to_server:
            line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(line.encode("utf-8", "replace") + b"\n")
            await process.stdin.drain()


async def _keep_stderr(process: asyncio.subprocess.Process, heard: Heard) -> None:
    assert process.stderr
    waiting = b""
    while chunk := await process.stderr.read(1 << 14):
        *lines, waiting = (waiting + chunk).split(b"\n")
        waiting = waiting[:LINE_CHARS]
        heard.stderr.extend(line[:LINE_CHARS].decode(errors="replace").rstrip() for line in lines)
    if waiting:
        heard.stderr.append(waiting.decode(errors="replace").rstrip())


async def _end(process: asyncio.subprocess.Process, held: int) -> int:
    """Close its stdin, wait, let the guard end what is left; -1, for the lifeline that is closed then."""
    assert process.stdin
    process.stdin.close()
    with anyio.move_on_after(GRACE):
        await process.wait()
    os.close(held)
    with anyio.move_on_after(PATIENCE):
        await process.wait()
    if process.returncode is None:
        process.kill()  # The guard hangs; its death is the server's too.
        with anyio.move_on_after(PATIENCE):
            await process.wait()
    return -1
