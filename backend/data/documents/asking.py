"""One chunk, one question to the model: what it is sent, how long its answer may be, and what it said."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from backend.chat.client import Finished, stream_chat
from backend.chat.history import estimate_tokens
from backend.chat.params import ChatParams
from backend.data.documents import pairs, prompts
from backend.data.documents.checking import Checker, Refused
from backend.data.documents.document import Chunk
from backend.data.rows import Row
from backend.servers import Server
from backend.specs.ask_documents import AskDocumentsSpec

TOKENS_PER_PAIR = {"short": 120, "detailed": 260, "exam": 220, "advice": 240}
_BESIDE = 80
_LEAST_TOKENS = 64


@dataclass(frozen=True)
class Answer:
    """What came of one chunk. code: of :data:`backend.data.documents.checking.REASONS` where the server gave no answer, and
    ``said`` then is what it reported. tokens: of the answer. seconds: from the request to its end."""

    chunk: int
    said: str = ""
    code: str = ""
    tokens: int = 0
    seconds: float = 0.0
    finish: str = ""


def language_for(spec: AskDocumentsSpec, chunk: Chunk) -> prompts.Language:
    """The language that the pairs about ``chunk`` are to be in."""
    return prompts.language_of(chunk.text) if spec.language == "auto" else spec.language


def question(spec: AskDocumentsSpec, chunk: Chunk) -> str:
    """What the model is sent for ``chunk``."""
    language = language_for(spec, chunk)
    return prompts.fill(
        spec.prompt.strip() or prompts.default(language),
        chunk,
        language=language,
        count=spec.pairs,
        style=spec.style,
        instructions=spec.instructions,
    )


def answer_tokens(spec: AskDocumentsSpec, prompt: str, context: int) -> int:
    """How long an answer may be: what the pairs need, as far as there is room beside the prompt."""
    wanted = spec.answer_tokens or _BESIDE + spec.pairs * TOKENS_PER_PAIR[spec.style]
    # Small vocabularies cut text into more pieces than the estimate says.
    room = context - round(1.5 * estimate_tokens(prompt)) if context else wanted
    return max(_LEAST_TOKENS, min(wanted, room))


async def ask(server: Server, spec: AskDocumentsSpec, chunk: Chunk) -> Answer:
    """Ask about ``chunk``; raises as :func:`backend.chat.client.stream_chat`. Cancelling it stops the server."""
    began = time.monotonic()
    messages = [{"role": "user", "content": question(spec, chunk)}]
    # A seed of its own for each chunk: which request comes first must not matter.
    seed = (spec.seed + chunk.number) % 2**31
    params = ChatParams(temperature=spec.temperature, top_p=1.0, seed=seed)
    room = answer_tokens(spec, messages[0]["content"], server.context_length)
    said: list[str] = []
    ended: Finished | None = None
    async with contextlib.aclosing(stream_chat(server, messages, params, max_tokens=room)) as stream:
        async for piece in stream:
            if isinstance(piece, Finished):
                ended = piece
            else:
                said.append(piece)
    assert ended is not None  # the stream ends with it, or raises
    seconds = time.monotonic() - began
    return Answer(chunk.number, "".join(said), "", ended.completion_tokens, seconds, ended.finish_reason)


def judge(spec: AskDocumentsSpec, chunk: Chunk, answer: Answer, checker: Checker) -> Iterator[Row | Refused]:
    """What becomes of one answer: rows, and what became none."""
    if answer.code:
        yield Refused(answer.code, chunk.number, said=answer.said)
        return
    found = pairs.parse(answer.said)
    if not found:
        yield Refused("pair_none", chunk.number, said=answer.said)
    for pair in found:
        yield checker.check(chunk, pair, language_for(spec, chunk))
