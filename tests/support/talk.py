"""A conversation written without a model: its answers are known, and a panel that lives stands behind them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from backend.chat.answers import Answers
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.chat.records import Message
from backend.queue import locks

PARAMS = ChatParams()


class Talk:
    """One conversation, its ``id`` given with the first message. "wheat?" is answered with "wheat."."""

    def __init__(self, talks: Conversations, owner: str, id_: str | None = None, *, model: str = "m") -> None:
        self.talks, self.owner, self.id, self.model = talks, owner, id_ or "", model
        self.answers = Answers(talks)

    def say(
        self,
        text: str,
        answer: str = "",
        *,
        params: ChatParams = PARAMS,
        after: int | None = None,
        instead_of: int | None = None,
    ) -> Message:
        """Ask and answer; returns the prompt."""
        prompt, reply = self.answers.ask(
            self.id or None, text, model=self.model, params=params, owner=self.owner, after=after, instead_of=instead_of
        )
        self.id = prompt.conversation
        assert self.answers.finish(reply.id, self.owner, "done", answer or f"{text.rstrip('?')}.")
        return prompt

    def again(self, text: str, instead_of: int | None = None) -> Message:
        """Another answer; returns it."""
        reply = self.answers.ask_again(
            self.id, model=self.model, params=PARAMS, owner=self.owner, instead_of=instead_of
        )
        assert self.answers.finish(reply.id, self.owner, "done", text)
        return self.talks.message(reply.id)

    def last(self) -> Message:
        """The newest message of the branch that is shown."""
        return self.talks.messages(self.id, limit=1)[-1]

    def shown(self) -> str:
        """The branch that is shown, in one line."""
        return " ".join(m.content for m in self.talks.messages(self.id))


@contextmanager
def living(talks: Conversations, owner: str = "me") -> Iterator[str]:
    """A panel that lives: its lock is held."""
    fd = locks.acquire(talks.owner_lock(owner))
    assert fd is not None
    try:
        yield owner
    finally:
        os.close(fd)
