"""What of a conversation is sent: the system prompt always, and as many of the newest turns as the context holds.

Nobody but the model's own tokenizer knows the true count, and the panel does not load one. So the count is estimated
from the characters, corrected by what the server reported earlier in the same conversation, and corrected once more
when the server says that it was too long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.chat import attachments
from backend.chat.attachments import Content
from backend.chat.params import ChatParams
from backend.chat.records import Message
from backend.errors import ServerError
from backend.i18n import N_

PER_MESSAGE = 6
"""Tokens that a chat template puts around each message (Llama 3: header, role, end)."""
LEAST_ANSWER = 16
IMAGE_TOKENS = 800
"""About what a picture costs: LLaVA 1.5 576, Qwen2.5-VL at 1 megapixel 1,300, Gemma 3 256. The server's count corrects it."""
MAX_IMAGES = 8
"""Of the newest that are sent; older ones are only named. A request must stay below what servers take."""
MOST_CHARS_A_TOKEN = 16
"""No text of people packs more characters into a token; beyond this a prompt cannot fit, whatever the tokenizer."""


@dataclass(frozen=True)
class Request:
    """What is sent. ``left_out``: earlier messages that did not fit. ``tokens``: estimate of the whole prompt."""

    messages: list[dict[str, Any]]
    max_tokens: int
    left_out: int
    tokens: int
    turns: int


def estimate_tokens(text: str) -> int:
    """About how many tokens ``text`` has: four characters a token in ASCII, one elsewhere (Chinese, emoji)."""
    ascii_chars = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return math.ceil(ascii_chars / 4 + (len(text) - ascii_chars))


def scale_of(messages: Sequence[Message], model: str) -> float:
    """How far estimates are off for ``model``: reported over estimated prompt tokens of its newest counted answer."""
    for index in range(len(messages) - 1, -1, -1):
        answer = messages[index]
        if answer.counted and answer.model == model and answer.prompt_tokens and not answer.left_out:
            sent = [m for m in messages[:index] if m.content or m.attachments]
            estimate = sum(_stored_tokens(m) + PER_MESSAGE for m in sent)
            if system := str(answer.params.get("system", "")):
                estimate += estimate_tokens(system) + PER_MESSAGE
            return min(8.0, max(0.5, answer.prompt_tokens / max(1, estimate)))
    return 1.0


def turns_of(
    messages: Sequence[Message], *, trim: bool = False, files: Mapping[str, bytes] | None = None
) -> list[list[dict[str, Any]]]:
    """The conversation as turns: a prompt and its answer, as far as it was said. The last one has no answer yet.

    A prompt whose answer failed with nothing said is left out: it may be the very one that is too long.

    Args:
        trim: without the blanks around prompts.
        files: what came with the prompts, by digest; see :func:`backend.chat.attachments.content`.
    """
    turns: list[list[dict[str, Any]]] = []
    for message in messages:
        if message.role == "user":
            if turns and len(turns[-1]) == 1:
                turns.pop()
            text = message.content.strip() if trim else message.content
            turns.append([{"role": "user", "content": attachments.content(text, message.attachments, files or {})}])
        elif turns and message.content:
            turns[-1] = [turns[-1][0], {"role": "assistant", "content": message.content}]
    return turns


def fit(
    messages: Sequence[Message],
    params: ChatParams,
    *,
    model: str,
    context_length: int,
    scale: float = 1.0,
    most_turns: int | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Request:
    """The request for an answer to the last prompt in ``messages`` (oldest first).

    Args:
        context_length: tokens that prompt and answer may have together; 0 where the server does not say.
        scale: true tokens over estimated ones.
        most_turns: no more than so many of the newest turns; None for all that fit.
        files: what came with the prompts, by digest.

    Raises:
        ServerError: ``prompt_too_long_for_model``, ``system_too_long_for_model``: hopeless whatever is dropped.
    """
    turns = turns_of(messages, trim=params.trim_blanks, files=files)
    system = [{"role": "system", "content": params.system}] if params.system.strip() else []
    first = 0 if most_turns is None else max(0, len(turns) - most_turns)
    sizes = [_tokens(turn, scale) for turn in turns]
    tokens = _tokens(system, scale) + sum(sizes[first:])
    max_tokens = params.max_tokens
    if context_length:
        prompt = _text(turns[-1][0]["content"]) if turns else ""
        refuse_hopeless(prompt, params, model=model, context_length=context_length)
        reserve = min(max_tokens, max(LEAST_ANSWER, context_length // 4))
        while tokens + reserve > context_length and first < len(turns) - 1:
            tokens -= sizes[first]
            first += 1
        max_tokens = min(max_tokens, max(LEAST_ANSWER, context_length - tokens - LEAST_ANSWER))
    return Request(
        messages=[*system, *(m for turn in turns[first:] for m in turn)],
        max_tokens=max_tokens,
        left_out=sum(map(len, turns[:first])),
        tokens=tokens,
        turns=len(turns) - first,
    )


def refuse_hopeless(prompt: str, params: ChatParams, *, model: str, context_length: int) -> None:
    """Refuse at once what no tokenizer could make fit, instead of making the server work on it.

    Raises:
        ServerError: ``prompt_too_long_for_model`` or ``system_too_long_for_model``.
    """
    most = context_length * MOST_CHARS_A_TOKEN
    if len(params.system) > most:
        raise ServerError(
            "system_too_long_for_model",
            N_("The system prompt is too long for '{model}': {count} characters; it reads at most {limit} tokens."),
            N_("Shorten the system prompt in the chat settings, or pick a model with a longer context."),
            count=f"{len(params.system):,}",
            model=model,
            limit=f"{context_length:,}",
        )
    if len(prompt) > most:
        raise _prompt_too_long(prompt, model, context_length)


def too_long(messages: Sequence[Message], *, model: str, context_length: int) -> ServerError:
    """The last prompt alone is more than the model takes: what the person is told."""
    prompts = [m.content for m in messages if m.role == "user"]
    return _prompt_too_long(prompts[-1] if prompts else "", model, context_length)


def _prompt_too_long(prompt: str, model: str, context_length: int) -> ServerError:
    hint = N_("Send a part of it, or pick a model with a longer context.")
    if not context_length:
        return ServerError(
            "prompt_too_long_for_model",
            N_("This message is too long for '{model}': {count} characters."),
            hint,
            count=f"{len(prompt):,}",
            model=model,
        )
    return ServerError(
        "prompt_too_long_for_model",
        N_("This message is too long for '{model}': {count} characters; it reads at most {limit} tokens."),
        hint,
        count=f"{len(prompt):,}",
        model=model,
        limit=f"{context_length:,}",
    )


def tokens_of(content: Content) -> int:
    """About how many tokens a message's content has."""
    if isinstance(content, str):
        return estimate_tokens(content)
    return sum(estimate_tokens(str(part.get("text", ""))) or IMAGE_TOKENS for part in content)


def needed_files(messages: Sequence[Message], *, sees: bool) -> list[attachments.Attachment]:
    """The files that a request with these messages takes along: all texts, and the newest pictures where the model sees."""
    every = [each for m in messages for each in m.attachments]
    images = [each for each in every if each.kind == "image"][-MAX_IMAGES:] if sees else []
    return [*(each for each in every if each.kind == "text"), *images]


def _stored_tokens(message: Message) -> int:
    sizes = (IMAGE_TOKENS if each.kind == "image" else each.chars // 4 for each in message.attachments)
    return estimate_tokens(message.content) + sum(sizes)


def _text(content: Content) -> str:
    return content if isinstance(content, str) else "\n".join(str(part.get("text", "")) for part in content)


def _tokens(messages: Sequence[dict[str, Any]], scale: float) -> int:
    return math.ceil(sum(tokens_of(m["content"]) + PER_MESSAGE for m in messages) * scale)
