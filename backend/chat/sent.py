"""What one answer's model was really sent, and what came back: kept with the message, bounded, without secrets.

The request is the one that was posted; the prompt is that request through the model's chat template, as the server
itself renders it. Our own server can say it; one that cannot leaves the request alone to look at. The response is put
together from the stream. Pictures stand in it as their kind and size.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.chat.records import clean
from backend.servers import Server

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk

    from backend.chat.database import Database

RENDERS = ("transformers",)
"""Engines whose server answers ``POST /v1/chat/render`` (:mod:`jobs.serving.app`); LMDeploy's does not."""
MAX_CHARS = 400_000
"""Of the texts of one record together; what is beyond is named by its length."""
MAX_PIECES = 20_000

UNSAID, CANNOT, UNREACHED = "", "cannot", "unreached"


@dataclass
class Sent:
    """Filled by :func:`backend.chat.client.stream_chat`.

    prompt: the text that the model read, empty where unknown. pieces: the same, token by token (a character of several
    tokens is in the first). special: places in ``pieces`` of special tokens. count: tokens. why: ``""``, or the reason
    why the prompt is not known: ``cannot`` (this engine does not say it), ``unreached`` (the server was gone or failed).
    """

    engine: str = ""
    request: dict[str, Any] = field(default_factory=dict)
    response: dict[str, Any] = field(default_factory=dict)
    prompt: str = ""
    pieces: list[str] = field(default_factory=list)
    special: list[int] = field(default_factory=list)
    count: int = 0
    why: str = UNREACHED

    def begin(self, server: Server, request: dict[str, Any]) -> None:
        """``request`` is about to be posted to ``server``; forgets an earlier attempt."""
        self.engine, self.request, self.response = server.engine, request, {}
        self.prompt, self.pieces, self.special, self.count = "", [], [], 0
        self.why = UNREACHED if server.engine in RENDERS else CANNOT

    def rendered(self, answer: dict[str, Any]) -> None:
        """What ``/v1/chat/render`` said."""
        self.prompt, self.count = str(answer["prompt"]), int(answer["count"])
        self.pieces = [str(piece) for piece in answer.get("pieces") or []]
        self.special = [int(place) for place in answer.get("special") or []]
        self.why = UNSAID

    def read(self, chunk: ChatCompletionChunk) -> None:
        """One piece of the answer."""
        if not self.response:
            message: dict[str, Any] = {"role": "assistant", "content": ""}
            self.response = {
                "id": chunk.id,
                "object": "chat.completion",
                "created": chunk.created,
                "model": chunk.model,
                "choices": [{"index": 0, "message": message, "finish_reason": None}],
            }
        if chunk.usage is not None:
            self.response["usage"] = chunk.usage.model_dump(exclude_none=True)
        if not chunk.choices:
            return
        choice, said = self.response["choices"][0], chunk.choices[0]
        choice["finish_reason"] = said.finish_reason or choice["finish_reason"]
        delta = said.delta.model_dump(exclude_none=True) if said.delta else {}
        for name in ("content", "reasoning_content", "refusal"):
            if delta.get(name):
                choice["message"][name] = choice["message"].get(name, "") + str(delta[name])
        for call in delta.get("tool_calls") or []:
            _add_call(choice["message"].setdefault("tool_calls", []), call)

    def failed(self, error: Exception) -> None:
        """The server's own words about a failure, beside what it had said."""
        body = getattr(error, "body", None)
        self.response["error"] = body if isinstance(body, dict | str) and body else str(error)

    def packed(self) -> bytes:
        """As stored: JSON, compressed, at most about :data:`MAX_CHARS` of text."""
        budget = [MAX_CHARS]
        data = {
            **vars(self),
            "request": _bounded(self.request, budget),
            "response": _bounded(self.response, budget),
            "prompt": _bounded(self.prompt, budget),
        }
        if len(self.pieces) > MAX_PIECES or data["prompt"] != self.prompt:
            data["pieces"] = []
            data["special"] = []
        # Not the ASCII form: \ud800 would come back as what no database takes.
        return zlib.compress(clean(json.dumps(data, ensure_ascii=False)).encode())

    @classmethod
    def unpacked(cls, data: bytes) -> Sent:
        known = json.loads(zlib.decompress(data))
        return cls(**{name: known[name] for name in cls.__dataclass_fields__ if name in known})


def keep(conversations: Database, message_id: int, sent: Sent) -> None:
    """Store ``sent`` with its message; a message that was deleted meanwhile needs none.

    Raises:
        WorkspaceError
    """
    if not sent.request:
        return
    with conversations.write() as db:
        db.execute(
            "INSERT OR REPLACE INTO sent (message, data) SELECT id, ? FROM messages WHERE id = ?",
            (sent.packed(), message_id),
        )


def find(conversations: Database, message_id: int) -> Sent | None:
    """What was sent for that answer; None for one of an earlier version, or one that never reached a server.

    Raises:
        WorkspaceError
    """
    with conversations.read() as db:
        row = db.execute("SELECT data FROM sent WHERE message = ?", (message_id,)).fetchone()
    try:
        return Sent.unpacked(row["data"]) if row else None
    except (ValueError, TypeError, zlib.error):
        return None


def _add_call(calls: list[dict[str, Any]], delta: dict[str, Any]) -> None:
    """A tool call comes in pieces: the first names it, the rest lengthen its arguments."""
    place = int(delta.get("index", len(calls)))
    while len(calls) <= place:
        calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
    call, function = calls[place], delta.get("function") or {}
    call["id"] = delta.get("id") or call["id"]
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


def _bounded(value: Any, budget: list[int]) -> Any:
    """``value`` with pictures as their size, and texts as long as the budget lasts."""
    if isinstance(value, dict):
        return {key: _bounded(inner, budget) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_bounded(inner, budget) for inner in value]
    if not isinstance(value, str):
        return value
    if value.startswith("data:") and "," in value[:100]:
        head, _, rest = value.partition(",")
        return f"{head},… ({len(rest) * 3 // 4:,} bytes)"
    if len(value) > budget[0]:
        kept = max(0, budget[0])
        budget[0] = 0
        return f"{value[:kept]}… ({len(value) - kept:,} more characters)"
    budget[0] -= len(value)
    return value
