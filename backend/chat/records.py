"""A conversation and its messages, as they are stored and shown.

An answer's state: running ──▶ done | stopped (the person stopped it) | failed (``error`` says why)
                      └──────▶ interrupted (the panel that wrote it is gone)
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from backend.chat.attachments import Attachment
from backend.chat.params import ChatParams
from backend.errors import SpecError


@dataclass(frozen=True)
class Conversation:
    """One conversation; times are epoch seconds. ``model`` and ``params`` are what it was last asked with."""

    id: str
    title: str
    model: str
    params: ChatParams
    created: float
    updated: float


@dataclass(frozen=True)
class Message:
    """One turn. Figures are None where nobody measured them.

    counted: the server reported the token counts; else they are estimates. ttft_s: seconds until the first token.
    tokens_s: tokens per second after it. left_out: earlier messages that did not fit the context and were not sent.
    error: :meth:`backend.errors.PanelError.to_dict`, or ``{}``. parent: the message before, 0 for the first. superseded: not
    on the branch that is shown (:mod:`backend.chat.branches`). attachments: pictures and texts that came with it.
    """

    id: int
    conversation: str
    role: str
    content: str
    state: str
    created: float
    updated: float
    model: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    finish_reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    counted: bool = False
    ttft_s: float | None = None
    tokens_s: float | None = None
    left_out: int = 0
    superseded: bool = False
    owner: str = ""
    parent: int = 0
    attachments: tuple[Attachment, ...] = ()

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def partial(self) -> bool:
        """The answer has an end that the model did not choose: never show it as complete."""
        return self.role == "assistant" and self.state != "done"


def message_from_sql(row: sqlite3.Row) -> Message:
    values = dict(row)
    for name in ("params", "error"):
        values[name] = json.loads(values[name])
    for name in ("counted", "superseded"):
        values[name] = bool(values[name])
    values["attachments"] = tuple(Attachment(**each) for each in json.loads(values["attachments"]))
    del values["stop"], values["picked"]
    return Message(**values)


def conversation_from_sql(row: sqlite3.Row) -> Conversation:
    values = dict(row)
    values["params"] = _params(values["params"])
    return Conversation(**values)


def _params(stored: str) -> ChatParams:
    """The stored parameters; values that a later version refuses fall back to the defaults, one by one."""
    from backend.chat.params import parse_params

    data: dict[str, Any] = {k: v for k, v in json.loads(stored).items() if k in ChatParams.model_fields}
    try:
        return parse_params(data)
    except SpecError as error:
        wrong = {p["field"].split(".")[0] for p in error.problems}
        return ChatParams(**{k: v for k, v in data.items() if k not in wrong})


def title_from(text: str, width: int = 60) -> str:
    """A conversation's first name: the beginning of its first prompt, in one line of at most ``width`` characters."""
    line = " ".join(text[: width * 4].split())
    if len(line) <= width:
        return line
    cut = line[: width - 1]
    # Chinese has no blanks to cut at; where there are some, a word is not cut in two.
    space = cut.rfind(" ")
    return (cut[:space] if space > width // 2 else cut) + "…"


def clean(text: str) -> str:
    """``text`` as SQLite and JSON can hold it: no lone surrogates, no NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
