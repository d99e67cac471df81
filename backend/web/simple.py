"""``POST /v1/simple``: the endpoint that older course notes build with FastAPI, for programs written after them.

    {"prompt": "And in autumn?", "history": [["What do I sow in spring?", "Peas."]], "model": "starter"}
    {"response": "Garlic.", "history": [["What do I sow in spring?", "Peas."], ["And in autumn?", "Garlic."]],
     "status": 200, "time": "2026-11-26 14:05:09"}

Inside it is a chat completion like any other: the request is rewritten on its way in, the answer on its way out.

- ``model`` may be left out where one model runs. ``history`` may be left out or ``[]``; in the notes' answers it holds
  the new turn at its end, and so it does here.
- ``max_length`` is the longest answer in tokens, as ``max_new_tokens`` is; ``temperature`` and ``top_p`` as in OpenAI's
  protocol. What a field does not need may be ``null``.
- It asks for the same API keys as the rest of ``/v1``; the notes' own server asked for none.
- A failure has the HTTP status that ``/v1/chat/completions`` would have, and one sentence:
  ``{"error": "The model 'x' is not running. …", "status": 404, "time": …}``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from backend.web.asgi import Message, Send
from backend.web.openai_errors import send_json

Turns = list[list[str]]
SAMPLING = {"temperature": "temperature", "top_p": "top_p", "max_length": "max_tokens", "max_new_tokens": "max_tokens"}
"""Name in the notes -> name in OpenAI's protocol."""


def chat_request(data: dict[str, Any], model: str) -> dict[str, Any] | str:
    """The chat request that ``data`` means, or what is wrong with it."""
    prompt, history = data.get("prompt"), data.get("history")
    if not isinstance(prompt, str) or not prompt:
        return "Put your question into 'prompt', as text."
    turns = [] if history is None else _turns(history)
    if turns is None:
        return "'history' must be a list of pairs of texts: [[question, answer], ...]."
    messages = []
    for question, answer in turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    body: dict[str, Any] = {"model": model, "messages": [*messages, {"role": "user", "content": prompt}]}
    body |= {theirs: data[ours] for ours, theirs in SAMPLING.items() if data.get(ours) is not None}
    return body


class PlainSend:
    """Stands where ``send`` stood: what comes in as an OpenAI answer, whole or an error, goes out in the plain shape.

    ``asked`` is the request, once it is known: the new turn is put at the end of its history.
    """

    def __init__(self, send: Send, clock: Callable[[], float] = time.time) -> None:
        self._send = send
        self._clock = clock
        self._start: Message = {}
        self._parts: list[bytes] = []
        self.asked: dict[str, Any] = {}

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._parts.append(message.get("body", b""))
        if message.get("more_body"):
            return
        status, answer = self._plain(int(self._start["status"]), b"".join(self._parts))
        kept = [
            (k, v) for k, v in self._start.get("headers", []) if k in (b"allow", b"www-authenticate", b"connection")
        ]
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._clock()))
        await send_json(self._send, status, {**answer, "status": status, "time": when}, kept)

    def _plain(self, status: int, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            data = json.loads(body)
            if status != 200:
                return status, {"error": str(data["error"]["message"])}
            text = str(data["choices"][0]["message"]["content"] or "")
        except (ValueError, KeyError, IndexError, TypeError):
            # A server that answers something else than the protocol says; the client can do nothing about it.
            return (502 if status == 200 else status), {"error": "The server of the model gave an answer that is none."}
        history = [*(_turns(self.asked.get("history") or []) or []), [str(self.asked.get("prompt", "")), text]]
        return 200, {"response": text, "history": history}


def _turns(history: Any) -> Turns | None:
    """``history`` as pairs of texts; None where it is anything else."""
    if not isinstance(history, list):
        return None
    pairs = [list(pair) for pair in history if isinstance(pair, list) and len(pair) == 2]
    whole = len(pairs) == len(history) and all(isinstance(text, str) for pair in pairs for text in pair)
    return pairs if whole else None
