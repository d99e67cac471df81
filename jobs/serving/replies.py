"""What a client is answered: the objects of OpenAI's API as plain dicts, whole or in pieces."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from transformers.cli.serving.utils import ReasoningText, ToolCall

from jobs.serving.cutting import Cutter
from jobs.serving.frames import Piece


class Reply:
    """One answer on its way out. Feed it the pieces; take deltas while they come, or the whole at the end."""

    def __init__(self, reply_id: str, model: str, chat: bool, stops: list[str], prompt_tokens: int) -> None:
        self.chat = chat
        self._base: dict[str, Any] = {"id": reply_id, "created": int(time.time()), "model": model}
        self._cutter = Cutter(stops)
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._prompt_tokens = prompt_tokens

    @property
    def stopped(self) -> bool:
        """A stop string was reached: nothing more is needed."""
        return self._cutter.stopped

    def feed(self, pieces: list[Piece]) -> Iterator[dict[str, Any]]:
        """The deltas that ``pieces`` make."""
        text = ""
        for piece in pieces:
            if isinstance(piece, ReasoningText):
                self._reasoning.append(str(piece))
                yield {"reasoning_content": str(piece)}
            elif isinstance(piece, ToolCall):
                call = self._call(piece)
                yield {"tool_calls": [{"index": len(self._calls) - 1, **call}]}
            else:
                text += self._cutter.feed(str(piece))
        yield from self._said(text)

    def rest(self) -> Iterator[dict[str, Any]]:
        """The text that was held back in case it became a stop string."""
        yield from self._said(self._cutter.flush())

    def finish_reason(self, hit_limit: bool) -> str:
        if self._calls:
            return "tool_calls"
        return "length" if hit_limit and not self.stopped else "stop"

    def chunk(self, delta: dict[str, Any], finish: str | None = None, *, usage: bool = False) -> bytes:
        """One server-sent event. ``usage``: the client asked for it, so every event but the last one says null."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
        choice |= {"delta": delta} if self.chat else {"text": delta.get("content", ""), "logprobs": None}
        body = {**self._base, "object": self._kind(".chunk"), "choices": [choice]}
        return event({**body, "usage": None} if usage else body)

    def usage_chunk(self, tokens: int) -> bytes:
        """The last event for clients that asked for token counts: no choice, only usage."""
        return event({**self._base, "object": self._kind(".chunk"), "choices": [], "usage": self._usage(tokens)})

    def whole(self, tokens: int, hit_limit: bool, echo: str = "") -> dict[str, Any]:
        """The answer in one object."""
        text = "".join(self._text)
        choice: dict[str, Any] = {"index": 0, "finish_reason": self.finish_reason(hit_limit), "logprobs": None}
        if self.chat:
            message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
            if self._calls:
                message |= {"tool_calls": self._calls, "content": text or None}
            if self._reasoning:
                message["reasoning_content"] = "".join(self._reasoning)
            choice["message"] = message
        else:
            choice["text"] = echo + text
        return {**self._base, "object": self._kind(""), "choices": [choice], "usage": self._usage(tokens)}

    def _said(self, text: str) -> Iterator[dict[str, Any]]:
        if text:
            self._text.append(text)
            yield {"content": text}

    def _call(self, piece: ToolCall) -> dict[str, Any]:
        call = {
            "id": f"call_{self._base['id'][-12:]}_{len(self._calls)}",
            "type": "function",
            "function": {"name": piece.name, "arguments": piece.arguments},
        }
        self._calls.append(call)
        return call

    def _kind(self, suffix: str) -> str:
        return f"chat.completion{suffix}" if self.chat else "text_completion"

    def _usage(self, tokens: int) -> dict[str, int]:
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": self._prompt_tokens + tokens,
        }


def event(data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n\n"


DONE = b"data: [DONE]\n\n"
