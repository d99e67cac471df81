"""One answer of a server as it comes: when the first token was there, when each further piece, and how many tokens it had."""

from __future__ import annotations

from array import array
from typing import Any

import orjson

from backend.chat.history import estimate_tokens

TOO_LONG = (
    "context_length_exceeded",
    "maximum context length",
    "context length",
    "longer than the maximum",
    "context_too_long",
)
_TEXTS = ("content", "reasoning_content", "reasoning", "tool_calls", "refusal")


class Answer:
    """Reads the body of one response. Times are those of ``time.perf_counter``, seconds.

    first: when the first token came; None: it did not, or the answer came in one piece. gaps: seconds between pieces.
    pieces: how many held some text; of an answer in one piece, about how many tokens it has. prompt_tokens, completion_tokens: as the server told; None: it did not. finished: it
    said that the answer is complete. said: the error that the server sent instead. streamed: it came as a stream of events.
    garbage: what came was neither.
    """

    __slots__ = (
        "_data",
        "_last",
        "_rest",
        "completion_tokens",
        "finished",
        "first",
        "gaps",
        "garbage",
        "pieces",
        "prompt_tokens",
        "said",
        "streamed",
    )

    def __init__(self) -> None:
        self.first: float | None = None
        self.gaps = array("f")
        self.pieces = 0
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.finished = self.garbage = False
        self.said: dict[str, Any] = {}
        self.streamed = False
        self._rest = b""
        self._last = 0.0
        self._data: dict[str, Any] = {}

    def feed(self, body: bytes, now: float) -> None:
        """A piece of a stream of events, which came at ``now``."""
        self.streamed = True
        lines = (self._rest + body).split(b"\n") if self._rest else body.split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip(), now)

    def keep(self, body: bytes) -> None:
        """A piece of a body that is no stream."""
        self._rest += body

    def whole(self) -> None:
        """The body that was kept is complete."""
        data = _object(self._rest)
        self._rest = b""
        if data is None:
            self.garbage = True
            return
        self._data = data
        self._read_usage(data)
        if self._refused(data):
            return
        for choice in data.get("choices") or ():
            message = choice.get("message") or {}
            told = [message.get(name) for name in _TEXTS] + [choice.get("text")]
            self.pieces += estimate_tokens("".join(str(text) for text in told if text))
            self.finished = True
        self.garbage = not self.finished

    def _event(self, text: bytes, now: float) -> None:
        if text == b"[DONE]":
            self.finished = True
            return
        data = _object(text)
        if data is None:
            self.garbage = True
            return
        if data.get("usage"):
            self._read_usage(data)
        for choice in data.get("choices") or ():
            delta = choice.get("delta") or choice
            if delta.get("content") or delta.get("text") or any(delta.get(name) for name in _TEXTS):
                self.pieces += 1
                if self.first is None:
                    self.first = now
                else:
                    self.gaps.append(now - self._last)
                self._last = now
            if choice.get("finish_reason"):
                self.finished = True
        self._refused(data)

    def _read_usage(self, data: dict[str, Any]) -> None:
        usage = data.get("usage") or {}
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if isinstance(prompt, int) and isinstance(completion, int):
            self.prompt_tokens, self.completion_tokens = prompt, completion

    def _refused(self, data: dict[str, Any]) -> bool:
        """Whether ``data`` is an error: OpenAI's ``{"error": {...}}``, FastAPI's ``{"detail": ...}``, LMDeploy's own."""
        error = data.get("error") or data.get("detail") or (data if data.get("object") == "error" else None)
        if not error:
            return False
        self.said = error if isinstance(error, dict) else {"message": str(error)}
        return True

    def listed(self) -> list[dict[str, Any]]:
        """The entries, where the answer is a list such as that of ``GET /models``."""
        found = self._data.get("data")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def message(self) -> str:
        """What the server said was wrong."""
        return str(self.said.get("message") or self.said or "")[:500]

    def too_long(self) -> bool:
        """Whether the error is that the prompt does not fit into the context."""
        text = f"{self.said.get('code') or ''} {self.message()}".lower()
        return any(words in text for words in TOO_LONG)


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        data = orjson.loads(text)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
