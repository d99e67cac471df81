"""From a request to tokens, and from tokens to pieces of an answer, with the generation loop and the streamers of
``transformers serve`` (transformers 5.17, ``transformers.cli.serving``).

One answer is computed at a time, on one thread, in the order of asking; :mod:`batching` computes several at once.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.cli.serving.utils import (
    DirectStreamer,
    InferenceThread,
    _GenerationCancelled,
    _StreamError,
    get_response_template,
)

from jobs.serving.api_errors import ApiError, bad, too_long
from jobs.serving.frames import Frames
from jobs.serving.parsing import ForgivingParser
from jobs.serving.plan import Plan
from jobs.serving.requests import ChatRequest, CompletionRequest, Sampling

NO_TOKEN = -1


@dataclass(eq=False)
class Answer:
    """An answer being computed. ``limit``: most tokens it may have."""

    frames: Frames
    streamer: Any
    prompt_tokens: int
    limit: int

    @property
    def tokens(self) -> int:
        """Tokens written so far, the end-of-sequence token included."""
        return int(self.streamer.total_tokens)

    @property
    def hit_limit(self) -> bool:
        return self.tokens >= self.limit

    def cancel(self) -> None:
        """Stop computing at the next token; harmless when it is done."""
        self.streamer.cancel()


class Generator:
    """The loaded model as the HTTP face uses it."""

    def __init__(self, plan: Plan, model: Any, tokenizer: Any) -> None:
        self.plan = plan
        self.model = model
        self.tokenizer = tokenizer
        self._template = get_response_template(tokenizer, model)
        self._thread = InferenceThread()
        # A fast tokenizer must not be used by two threads at once ("Already borrowed").
        self._tokenizing = ThreadPoolExecutor(1, "tokenize")
        self._live: set[Answer] = set()
        self._tokens = 0

    async def chat_prompt(self, request: ChatRequest) -> list[int]:
        """The conversation through the model's chat template.

        Raises:
            ApiError: 400: the template refuses it, or it is too long.
        """
        tools = request.offered_tools()
        if tools and not self.plan.tools:
            raise ApiError(400, "tools_unsupported", f"'{self.plan.name}' cannot call tools.", param="tools")
        extra = request.chat_template_kwargs or {}

        def render() -> list[int]:
            encoded = self.tokenizer.apply_chat_template(
                request.conversation(), tools=tools or None, add_generation_prompt=True, return_dict=True, **extra
            )
            return list(encoded["input_ids"])

        try:
            ids = await self._in_thread(render)
        except (TemplateError, TypeError, KeyError, ValueError) as error:
            raise bad(
                f"The chat template of '{self.plan.name}' refuses this conversation: {error}", param="messages"
            ) from error
        return self._fitting(ids)

    async def text_prompt(self, request: CompletionRequest) -> list[int]:
        """The prompt as tokens, with what the tokenizer puts in front.

        Raises:
            ApiError: 400: too long, empty, or tokens that the model does not have.
        """
        prompt = request.single_prompt()
        if isinstance(prompt, str):
            ids = await self._in_thread(lambda: list(self.tokenizer(prompt)["input_ids"]))
        else:
            ids = prompt
        if not ids:
            raise bad("The prompt is empty.", param="prompt")
        highest = self.model.get_input_embeddings().num_embeddings
        if any(not 0 <= i < highest for i in ids):
            raise bad(f"The prompt has tokens outside 0 to {highest - 1}.", param="prompt")
        return self._fitting(ids)

    def text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def start(self, ids: list[int], sampling: Sampling, limit: int, *, chat: bool, tools: bool = False) -> Answer:
        """Compute the answer to ``ids``: at most ``limit`` tokens, fewer where the context ends before. Call it in the
        event loop."""
        limit = min(limit, self.plan.context_length - len(ids))
        config = self._config(sampling, limit)
        inputs: dict[str, Any] = {"input_ids": torch.tensor([ids], device=self.model.device)}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if sampling.frequency_penalty or sampling.presence_penalty:
            penalty = _CountPenalty(len(ids), sampling.frequency_penalty or 0, sampling.presence_penalty or 0)
            inputs["logits_processor"] = LogitsProcessorList([penalty])
        frames = Frames()
        streamer = DirectStreamer(
            self.tokenizer._tokenizer, _AnyThread(), frames, response_parser=self._parser(ids, chat, tools)
        )
        answer = self._enter(Answer(frames, streamer, len(ids), limit))
        self._thread.submit(self._write, answer, sampling.seed, {**inputs, "generation_config": config})
        return answer

    def _write(self, answer: Answer, seed: int | None, arguments: dict[str, Any]) -> None:
        """In the thread that computes."""
        if hasattr(self.model, "has_talker"):
            arguments["generation_mode"] = "text"
        try:
            # Just before, so that no other answer takes numbers from this seed.
            _seed(seed)
            self.model.generate(**arguments, streamer=answer.streamer, tokenizer=self.tokenizer)
        except _GenerationCancelled:
            answer.frames.put_nowait(None)
        except Exception as error:  # noqa: BLE001 - whatever the model raises, the client is told
            answer.frames.put_nowait(_StreamError(str(error)))
        finally:
            self._retire(answer)

    @property
    def computing(self) -> int:
        """Answers in work or waiting for their turn; those of clients that have left end at their next token."""
        return len(self._live)

    @property
    def tokens(self) -> int:
        """Tokens computed since the start, whether or not somebody read them."""
        return self._tokens + sum(answer.tokens for answer in tuple(self._live))

    def _enter(self, answer: Answer) -> Answer:
        self._live.add(answer)
        return answer

    def _retire(self, answer: Answer) -> None:
        """Called where its computing has ended, whichever thread that is."""
        if answer in self._live:
            self._live.discard(answer)
            self._tokens += answer.tokens

    def healthy(self) -> bool:
        """Whether the thread that computes is still there."""
        return True

    async def _in_thread(self, render: Any) -> list[int]:
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, render)

    def _fitting(self, ids: list[int]) -> list[int]:
        if len(ids) >= self.plan.context_length:
            raise too_long(self.plan.context_length, len(ids))
        return ids

    def _parser(self, ids: list[int], chat: bool, tools: bool) -> ForgivingParser | None:
        if not chat or self._template is None:
            return None
        return ForgivingParser(self._template, self.tokenizer.decode(ids), tools, self.tokenizer.all_special_tokens)

    def _config(self, sampling: Sampling, limit: int) -> Any:
        config = copy.deepcopy(self.model.generation_config)
        config.max_length = None
        config.max_new_tokens = limit
        if sampling.ignore_eos:
            # None would be filled in again from the model's own configuration.
            config.eos_token_id = NO_TOKEN
        if sampling.temperature is not None:
            config.do_sample = sampling.temperature > 0
            config.temperature = sampling.temperature or 1.0
        if not config.do_sample:
            config.temperature, config.top_p, config.top_k, config.min_p = 1.0, 1.0, None, None
        else:
            for name in ("top_p", "min_p"):
                if getattr(sampling, name) is not None:
                    setattr(config, name, getattr(sampling, name))
            # transformers would take 50 where nobody chose; clients of this protocol expect all tokens.
            config.top_k = max(0, sampling.top_k) if sampling.top_k is not None else config.top_k or 0
        if sampling.repetition_penalty is not None:
            config.repetition_penalty = sampling.repetition_penalty
        if sampling.logit_bias:
            config.sequence_bias = {(token,): bias for token, bias in sampling.logit_bias.items()}
        return config


class _CountPenalty(LogitsProcessor):
    """Frequency and presence penalty as OpenAI defines them: over the tokens of the answer, not of the prompt."""

    def __init__(self, prompt_tokens: int, frequency: float, presence: float) -> None:
        self._start, self._frequency, self._presence = prompt_tokens, frequency, presence

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        counts = torch.bincount(input_ids[0, self._start :], minlength=scores.shape[-1])
        return scores - self._frequency * counts - self._presence * (counts > 0)


class _AnyThread:
    """Stands in for the event loop where a streamer writes: frames may be put to from any thread."""

    def call_soon_threadsafe(self, put: Callable[[Any], None], item: Any) -> None:
        put(item)


def _seed(seed: int | None) -> None:
    """A seed makes this answer repeatable; without one the last request's seed must not linger."""
    if seed is None:
        torch.seed()
    else:
        torch.manual_seed(seed)
