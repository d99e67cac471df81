"""From a prompt to pieces of an answer, with the generation loop and the streamers of
``transformers serve`` (transformers 5.17, ``transformers.cli.serving``).

One answer is computed at a time, on one thread, in the order of asking; :mod:`batching` computes several at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.cli.serving.utils import (
    DirectStreamer,
    InferenceThread,
    _GenerationCancelled,
    _StreamError,
    get_response_template,
)

from jobs.serving.frames import Frames
from jobs.serving.parsing import ForgivingParser
from jobs.serving.plan import Plan
from jobs.serving.prompts import Prompt, Prompts
from jobs.serving.requests import Sampling

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

    def __init__(self, plan: Plan, model: Any, tokenizer: Any, processor: Any | None = None) -> None:
        self.plan = plan
        self.model = model
        self.tokenizer = tokenizer
        # Of the matrix itself: it may be wrapped by an adapter.
        self.prompts = Prompts(plan, tokenizer, len(model.get_input_embeddings().weight), processor)
        self._template = get_response_template(tokenizer, model)
        self._thread = InferenceThread()
        self._live: set[Answer] = set()
        self._tokens = 0

    def start(self, prompt: Prompt, sampling: Sampling, limit: int, *, chat: bool, tools: bool = False) -> Answer:
        """Compute the answer to ``prompt``: at most ``limit`` tokens, fewer where the context ends before. Call it in the
        event loop."""
        ids = prompt.ids
        limit = min(limit, self.plan.context_length - len(ids))
        config = self._config(sampling, limit)
        inputs: dict[str, Any] = {"input_ids": torch.tensor([ids], device=self.model.device)}
        inputs |= {name: self._placed(value) for name, value in prompt.inputs.items()}
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

    def _placed(self, value: Any) -> Any:
        """A processor's output where the model is, in the model's own number format."""
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(self.model.device, self.model.dtype if value.is_floating_point() else None)

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
