"""From a request to what the model reads: the chat template, the tokenizer and, for a model that sees, its image processor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jinja2 import TemplateError

from jobs.serving import seeing
from jobs.serving.api_errors import ApiError, bad, too_long
from jobs.serving.plan import Plan
from jobs.serving.requests import ChatRequest, CompletionRequest

T = TypeVar("T")


@dataclass(frozen=True)
class Prompt:
    """``ids`` are its tokens. inputs: what pictures became, by the names of the model's own arguments; else empty."""

    ids: list[int]
    inputs: dict[str, Any] = field(default_factory=dict)


class Prompts:
    """What one tokenizer makes of requests. ``vocabulary``: tokens that the model has. processor: see :mod:`.seeing`."""

    def __init__(self, plan: Plan, tokenizer: Any, vocabulary: int, processor: Any | None = None) -> None:
        self._plan, self._tokenizer, self._vocabulary, self._processor = plan, tokenizer, vocabulary, processor
        # A fast tokenizer must not be used by two threads at once ("Already borrowed").
        self._thread = ThreadPoolExecutor(1, "tokenize")

    async def chat(self, request: ChatRequest) -> Prompt:
        """The conversation through the model's chat template.

        Raises:
            ApiError: 400: the template refuses it, it is too long, or it has pictures and the model cannot see.
        """
        prompt, _, _ = await self._templated(request)
        return self._fitting(prompt)

    async def rendered(self, request: ChatRequest) -> dict[str, Any]:
        """The same for people to look at, however long it is: ``prompt`` (text), ``tokens`` (ids), ``pieces`` (the text of
        each token; what several tokens make together is in the first of them), ``special`` (places of special tokens),
        ``count``.

        Raises:
            ApiError: 400 as for :meth:`chat`.
        """
        prompt, text, pieces = await self._templated(request, look=True)
        known = self._tokenizer.added_tokens_decoder.items()
        special = {number: token.content for number, token in known if token.special}
        return {
            "prompt": text,
            "tokens": prompt.ids,
            "pieces": pieces,
            # Not the unknown token where it stands for a word.
            "special": [n for n, token in enumerate(prompt.ids) if special.get(token) == pieces[n].strip()],
            "count": len(prompt.ids),
        }

    async def text(self, request: CompletionRequest) -> Prompt:
        """The prompt as tokens, with what the tokenizer puts in front.

        Raises:
            ApiError: 400: too long, empty, or tokens that the model does not have.
        """
        prompt = request.single_prompt()
        if isinstance(prompt, str):
            ids = await self._in_thread(lambda: list(self._tokenizer(prompt)["input_ids"]))
        else:
            ids = prompt
        if not ids:
            raise bad("The prompt is empty.", param="prompt")
        if any(not 0 <= i < self._vocabulary for i in ids):
            raise bad(f"The prompt has tokens outside 0 to {self._vocabulary - 1}.", param="prompt")
        return self._fitting(Prompt(ids))

    def decoded(self, prompt: Prompt) -> str:
        return str(self._tokenizer.decode(prompt.ids, skip_special_tokens=True))

    async def _templated(self, request: ChatRequest, *, look: bool = False) -> tuple[Prompt, str, list[str]]:
        """The prompt and its text; where somebody wants to look at it, also its pieces."""
        tools = request.offered_tools()
        if tools and not self._plan.tools:
            raise ApiError(400, "tools_unsupported", f"'{self._plan.name}' cannot call tools.", param="tools")
        asked = {"tools": tools or None, "add_generation_prompt": True, **(request.chat_template_kwargs or {})}
        try:
            return await self._in_thread(lambda: self._render(request, asked, look))
        except (TemplateError, TypeError, KeyError, ValueError) as error:
            raise bad(
                f"The chat template of '{self._plan.name}' refuses this conversation: {error}", param="messages"
            ) from error

    def _render(self, request: ChatRequest, asked: dict[str, Any], look: bool) -> tuple[Prompt, str, list[str]]:
        """In the thread of the tokenizer."""
        if self._processor is None:
            text = self._tokenizer.apply_chat_template(request.conversation(), **asked, tokenize=False)
        else:
            # Templates of models that see take parts, also where there is only text.
            messages = seeing.conversation(request)
            text = self._processor.apply_chat_template(messages, **asked, tokenize=False)
            if seeing.has_images(messages):
                inputs = seeing.encode(self._processor, messages, asked)
                ids = inputs.pop("input_ids")[0].tolist()
                return Prompt(ids, inputs), text, self._decoded_pieces(ids) if look else []
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=look)
        return Prompt(list(encoded["input_ids"])), text, _shares(text, encoded["offset_mapping"]) if look else []

    def _decoded_pieces(self, ids: list[int]) -> list[str]:
        """Where pictures stand in the prompt, it has more tokens than its text: each token by itself."""
        pieces, held = list[str](), list[int]()
        for token in ids:
            held.append(token)
            said = str(self._tokenizer.decode(held))
            # Half a character: the next token has the rest. No character has more than four bytes.
            whole = not said.endswith("\ufffd") or len(held) > 3
            pieces.append("")
            if whole:
                pieces[len(pieces) - len(held)] = said
                held = []
        return pieces

    def _fitting(self, prompt: Prompt) -> Prompt:
        if len(prompt.ids) >= self._plan.context_length:
            raise too_long(self._plan.context_length, len(prompt.ids))
        return prompt

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _shares(text: str, offsets: list[tuple[int, int]]) -> list[str]:
    """The text's share of each token; joined they are the text again."""
    pieces, at = list[str](), 0
    for _, end in offsets:
        pieces.append(text[at : max(at, end)])
        at = max(at, end)
    return [*pieces[:-1], pieces[-1] + text[at:]] if pieces else pieces
