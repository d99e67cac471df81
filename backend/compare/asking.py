"""Asking all columns at once. The answers belong to the panel process, like those of the chat, and to one another not at
all: what happens to one column disturbs no other."""

from __future__ import annotations

import atexit
import contextlib
import secrets
import threading
from collections.abc import Sequence

from backend.chat.live import Reply
from backend.chat.records import Message
from backend.chat.replies import Replies
from backend.compare.comparisons import Comparisons
from backend.compare.records import Comparison, Contender, Turn
from backend.errors import ConflictError, NotFoundError, PanelError
from backend.i18n import N_
from backend.queue.store import Store
from backend.workspace import Workspace

MAX_SEED = 2**31 - 1


def new_seed() -> int:
    """A seed that nobody chose; short enough to be read out."""
    return secrets.randbelow(1_000_000)


class Asking:
    """All comparisons that this process works on for one workspace. Get it from :func:`asking`."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self.comparisons = Comparisons(workspace)
        self.replies = Replies(workspace, store, self.comparisons.columns)
        self._one_turn = threading.Lock()

    def begin(self, contenders: Sequence[Contender], prompt: str, *, seed: int, blind: bool = False) -> Comparison:
        """A new comparison, asked ``prompt``.

        Raises:
            ConflictError: ``contenders_count``; ``prompt_empty``; ``prompt_too_long``.
        """
        made = self.comparisons.create(contenders, seed=seed, title=prompt, blind=blind)
        try:
            self.ask(made.id, prompt, seed=seed)
        except PanelError:
            if not self.comparisons.turns(made):
                self.comparisons.delete(made.id)
            raise
        return made

    def ask(self, comparison: str, prompt: str, *, seed: int) -> None:
        """Ask all columns ``prompt``, each after what was said in it before. Returns when all have begun.

        Raises:
            ConflictError: ``answer_running``; ``prompt_empty``; ``prompt_too_long``: nothing was asked.
            NotFoundError: ``comparison_unknown``.
        """
        with self._one_turn:
            found = self.comparisons.get(comparison)
            if any(turn.running for turn in self.comparisons.turns(found)):
                raise _running()
            turn = self.comparisons.add_turn(comparison, prompt, seed)
            problem: PanelError | None = None
            for position, (contender, column) in enumerate(zip(found.contenders, found.columns, strict=True)):
                params = contender.params.model_copy(update={"seed": seed})
                try:
                    answer = self.replies.ask(column, prompt, model=contender.model, params=params)
                except PanelError as error:
                    if position == 0:
                        # Two panels that ask at the same moment meet in the first column: one of them gets no further.
                        self.comparisons.drop_turn(turn)
                        raise
                    problem = error
                    continue
                self.comparisons.set_answer(turn, position, answer.id)
        if problem is not None:
            raise problem

    def again(self, comparison: str, position: int) -> None:
        """Another answer of one column to the newest prompt, or the first where it was not asked.

        Raises:
            ConflictError: ``answer_running``; ``nothing_asked``; ``judged_already``.
            NotFoundError: ``comparison_unknown``.
        """
        found = self.comparisons.get(comparison)
        turns = self.comparisons.turns(found)
        if not turns:
            raise ConflictError("nothing_asked", N_("There is no message to answer yet."))
        if turns[-1].vote is not None:
            raise ConflictError(
                "judged_already",
                N_("These answers were judged already; another one would make that vote untrue."),
                N_("Take the vote back first, or ask something new."),
            )
        last, contender, column = turns[-1], found.contenders[position], found.columns[position]
        params = contender.params.model_copy(update={"seed": last.seed})
        if last.answers[position] is None:
            answer = self.replies.ask(column, last.prompt, model=contender.model, params=params)
        else:
            answer = self.replies.ask_again(column, model=contender.model, params=params)
        self.comparisons.set_answer(last.id, position, answer.id)

    def stop(self, message_id: int) -> None:
        """Stop one answer; what was said is kept, and the others go on."""
        self.replies.stop(message_id)

    def stop_all(self, comparison: str) -> None:
        """Stop all answers being written in it."""
        for turn in self.comparisons.turns(self.comparisons.get(comparison)):
            for answer in _running_in(turn):
                self.replies.stop(answer.id)

    def delete(self, comparison: str) -> None:
        """Forget it; answers being written there end first."""
        with contextlib.suppress(NotFoundError):
            self.stop_all(comparison)
        self.comparisons.delete(comparison)

    def live(self, message_id: int) -> Reply | None:
        """The answer while this process writes it, else None."""
        return self.replies.reply(message_id)

    def close(self) -> None:
        """End all answers, keeping what was said; for the end of the process and for tests."""
        self.replies.close()
        self.comparisons.columns.close()


_all: dict[str, Asking] = {}
_all_guard = threading.Lock()


def asking(workspace: Workspace, store: Store) -> Asking:
    """The one :class:`Asking` of this process for ``workspace``.

    Raises:
        WorkspaceError: the comparisons cannot be opened.
    """
    with _all_guard:
        found = _all.get(str(workspace.root))
        if found is None:
            found = _all[str(workspace.root)] = Asking(workspace, store)
            atexit.register(found.replies.close)
        return found


def _running_in(turn: Turn) -> list[Message]:
    return [answer for answer in turn.answers if answer is not None and answer.running]


def _running() -> ConflictError:
    return ConflictError(
        "answer_running",
        N_("An answer in this comparison is still being written."),
        N_("Wait for its end, or stop it."),
    )
