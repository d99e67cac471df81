"""The answers that this panel process writes now. They belong to the process, not to the page that asked.

One thread with an event loop serves them all. Each is saved about once a second, and at its end; a page that comes
back, another tab, or another panel on the same workspace find it in ``chat.db``. The process holds a lock file while
it lives; when it dies in the middle, what it was writing is shown as interrupted.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import secrets
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from backend.chat import sent as sent_to_model
from backend.chat.answers import Answers
from backend.chat.asking import answer_stream
from backend.chat.attachments import Upload
from backend.chat.client import Finished
from backend.chat.conversations import Conversations
from backend.chat.figures import figures_of, figures_so_far
from backend.chat.history import estimate_tokens
from backend.chat.live import Reply
from backend.chat.params import ChatParams
from backend.chat.records import Message
from backend.errors import PanelError, WorkspaceError
from backend.i18n import N_
from backend.queue import locks
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import Workspace

SAVE_S = 1.0
_OLD_LOCK_S = 24 * 3600.0


class Replies:
    """All answers that this process writes for one workspace. Get it from :func:`replies`."""

    def __init__(self, workspace: Workspace, store: Store, conversations: Conversations) -> None:
        self.workspace, self.store, self.conversations = workspace, store, conversations
        self.answers = Answers(conversations)
        self.owner = secrets.token_hex(6)
        self._running: dict[int, Reply] = {}
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._lock_fd: int | None = None

    # --- what a page does

    def ask(
        self,
        conversation: str | None,
        text: str,
        *,
        model: str,
        params: ChatParams,
        after: int | None = None,
        instead_of: int | None = None,
        files: Sequence[Upload] = (),
    ) -> Message:
        """Store the prompt and begin the answer; returns the answer's message. See :meth:`Answers.ask`."""
        self._live_lock()
        _, answer = self.answers.ask(
            conversation,
            text,
            model=model,
            params=params,
            owner=self.owner,
            after=after,
            instead_of=instead_of,
            files=files,
        )
        self._begin(answer, params)
        return answer

    def ask_again(self, conversation: str, *, model: str, params: ChatParams, instead_of: int | None = None) -> Message:
        """Begin a new answer in place of ``instead_of`` (the last one). See :meth:`Answers.ask_again`."""
        self._live_lock()
        answer = self.answers.ask_again(
            conversation, model=model, params=params, owner=self.owner, instead_of=instead_of
        )
        self._begin(answer, params)
        return answer

    def stop(self, message_id: int) -> None:
        """Stop that answer, here or in another panel; what was said is kept."""
        reply = self._running.get(message_id)
        if reply is None:
            self.answers.request_stop(message_id)
            return
        reply.stopped = True
        if self._loop is not None and reply.task is not None:
            self._loop.call_soon_threadsafe(reply.task.cancel)
        # The page that asked for the stop is drawn next: it should see the end.
        deadline = time.monotonic() + 2
        while reply.live().stage != "ended" and (left := deadline - time.monotonic()) > 0:
            reply.live(reply.live().version, left)

    def reply(self, message_id: int) -> Reply | None:
        """The answer while this process writes it (or could not store its end yet); None for all others."""
        reply = self._running.get(message_id)
        if reply is not None and reply.end is not None:
            self._store_end(reply)
            return self._running.get(message_id)  # what is stored, by whichever thread, is a message like any other
        return reply

    def close(self) -> None:
        """End all answers, keeping what was said; for the end of the process and for tests."""
        with self._guard:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(timeout=5)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=5)
            if self._executor is not None:
                self._executor.shutdown(wait=False)
        with self._guard:
            if self._lock_fd is not None:
                self.conversations.owner_lock(self.owner).unlink(missing_ok=True)
                os.close(self._lock_fd)
                self._lock_fd = None

    # --- the thread that writes

    def _begin(self, answer: Message, params: ChatParams) -> None:
        reply = self._running[answer.id] = Reply(answer)
        asyncio.run_coroutine_threadsafe(self._start(reply, self._write(reply, params)), self._event_loop())

    async def _start(self, reply: Reply, work: Coroutine[Any, Any, None]) -> None:
        reply.task = asyncio.get_running_loop().create_task(work)
        if reply.stopped:
            reply.task.cancel()

    async def _write(self, reply: Reply, params: ChatParams) -> None:
        """Write one answer to its end, whatever the end is."""
        message, pieces, left_out = reply.message, list[str](), 0
        state, figures = "failed", dict[str, Any]()
        sent = first = 0.0
        saver = asyncio.create_task(self._save_now_and_then(reply, pieces))
        try:
            history = await asyncio.to_thread(self.conversations.leading_to, message)

            def on_job(row: JobRow) -> None:
                reply.update("server", "", job=row.id)

            async with contextlib.aclosing(
                answer_stream(
                    self.store,
                    self.workspace,
                    history,
                    model=message.model,
                    params=params,
                    on_job=on_job,
                    sent=reply.sent,
                )
            ) as stream:
                async for piece in stream:
                    if isinstance(piece, int):
                        left_out, sent = piece, time.monotonic()
                        reply.update("prompt", "")
                    elif isinstance(piece, Finished):
                        figures |= figures_of(piece)
                    else:
                        first = first or time.monotonic()
                        pieces.append(piece)
                        reply.update("answer", "".join(pieces), unsaved=reply.live().unsaved)
            state = "done"
        except asyncio.CancelledError:
            state = "stopped" if reply.stopped else "interrupted"
        except PanelError as error:
            figures["error"] = error.to_dict()
        except Exception as error:  # noqa: BLE001 - the border of the thread: everything becomes a stored failure
            figures["error"] = _unexpected(error).to_dict()
        finally:
            saver.cancel()
            if pieces and not figures.get("completion_tokens"):
                figures |= figures_so_far(estimate_tokens("".join(pieces)), sent, first)
            reply.end = (state, "".join(pieces), {**figures, "left_out": left_out})
            # Not in another thread: at the end of the process there are none to be had.
            self._store_end(reply)

    async def _save_now_and_then(self, reply: Reply, pieces: list[str]) -> None:
        while True:
            await asyncio.sleep(SAVE_S)
            text = "".join(pieces)
            try:
                go_on = await asyncio.to_thread(self.answers.save_partial, reply.message.id, self.owner, text)
            except WorkspaceError as error:
                # The answer goes on; the page shows it and says that it is not stored.
                reply.update(reply.live().stage, text, unsaved=error)
                continue
            if not go_on and reply.task is not None:
                reply.stopped = True
                reply.task.cancel()
                return

    def _store_end(self, reply: Reply) -> None:
        assert reply.end is not None
        state, text, figures = reply.end
        try:
            self.answers.finish(reply.message.id, self.owner, state, text, **figures)
            sent_to_model.keep(self.conversations, reply.message.id, reply.sent)
        except WorkspaceError as error:
            reply.update("ended", text, unsaved=error)  # kept in memory, and tried again when somebody looks
        else:
            self._running.pop(reply.message.id, None)
            reply.update("ended", text)

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._executor = ThreadPoolExecutor(4, thread_name_prefix="chat-files")
                self._loop.set_default_executor(self._executor)
                self._thread = threading.Thread(target=_run_loop, args=(self._loop,), name="chat-replies", daemon=True)
                self._thread.start()
            return self._loop

    def _live_lock(self) -> None:
        """Hold this process's lock: whoever reads a running answer of ours can see that it is being written."""
        with self._guard:
            path = self.conversations.owner_lock(self.owner)
            if self._lock_fd is None:
                self._lock_fd = locks.acquire(path)
                _remove_old_locks(self.workspace)


_all: dict[str, Replies] = {}
_all_guard = threading.Lock()


def replies(workspace: Workspace, store: Store) -> Replies:
    """The one :class:`Replies` of this process for ``workspace``.

    Raises:
        WorkspaceError: the conversations cannot be opened.
    """
    with _all_guard:
        found = _all.get(str(workspace.root))
        if found is None:
            found = _all[str(workspace.root)] = Replies(workspace, store, Conversations(workspace))
            atexit.register(found.close)
            # Half a second of import that the first answer need not wait for.
            threading.Thread(
                target=import_module, args=("openai.resources.chat.completions",), name="chat-warm-up", daemon=True
            ).start()
        return found


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _unexpected(error: Exception) -> PanelError:
    return PanelError(
        "answer_failed",
        N_("The answer could not be written: {kind}: {problem}"),
        N_("Ask again. If it stays, copy the report and send it to whoever looks after this panel."),
        kind=type(error).__name__,
        problem=str(error)[:500],
    )


def _remove_old_locks(workspace: Workspace) -> None:
    """Lock files of panels that were killed; only old ones, so that none is taken from a panel that is starting."""
    for path in workspace.run.glob("chat-*.lock"):
        if time.time() - path.stat().st_mtime > _OLD_LOCK_S and not locks.held(path):
            path.unlink(missing_ok=True)
