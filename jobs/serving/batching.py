"""Several answers at once: transformers' continuous batching, always with a bounded cache.

Unbounded it takes most of the machine's memory, and one prompt larger than its cache ends its worker for good (both seen
with transformers 5.17 on a CPU), so the plan's context never exceeds the cache. Temperature, top-p and top-k are each
request's own here; what it cannot do for one request among several is refused by name.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformers import ContinuousBatchingConfig
from transformers.cli.serving.utils import CBStreamer, _StreamError

from jobs.serving.api_errors import ApiError, unsupported
from jobs.serving.frames import Frames
from jobs.serving.generation import Answer, Generator
from jobs.serving.plan import Plan
from jobs.serving.prompts import Prompt
from jobs.serving.requests import Sampling

BLOCK_TOKENS = 32
BATCH_TOKENS = 512
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "min_p": (None, 0),
    "repetition_penalty": (None, 1),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
}


@dataclass(eq=False)
class _BatchAnswer(Answer):
    retire: Callable[[Answer], None]

    def cancel(self) -> None:
        """As always; the worker tells nobody that it has dropped the request."""
        super().cancel()
        self.retire(self)


class BatchGenerator(Generator):
    """A :class:`Generator` whose answers share each forward pass. A seed cannot be kept apart here and is ignored."""

    def __init__(self, plan: Plan, model: Any, tokenizer: Any, processor: Any | None = None) -> None:
        super().__init__(plan, model, tokenizer, processor)
        self._numbers = itertools.count()
        # Of the matrix itself: it may be wrapped by an adapter.
        self._vocabulary = len(model.get_input_embeddings().weight)
        base = copy.deepcopy(model.generation_config)
        base.max_length = None
        # Each of the three must differ from its neutral value, or transformers makes no per-request place for it.
        base.do_sample, base.temperature, base.top_p, base.top_k = True, 0.9, 0.99, self._vocabulary - 1
        base.repetition_penalty, base.min_p, base.use_cache = 1.0, None, False
        self._manager_cb = model.init_continuous_batching(
            generation_config=base,
            continuous_batching_config=ContinuousBatchingConfig(
                block_size=BLOCK_TOKENS,
                num_blocks=-(-plan.cache_tokens // BLOCK_TOKENS),
                max_batch_tokens=BATCH_TOKENS,
                per_request_processors=True,
            ),
        )
        self._manager_cb.start()

    def start(self, prompt: Prompt, sampling: Sampling, limit: int, *, chat: bool, tools: bool = False) -> Answer:
        for name, neutral in NEUTRAL.items():
            if getattr(sampling, name) not in neutral:
                raise unsupported(name, f"'{name}' cannot be used while several answers are computed at once.")
        if prompt.inputs:
            raise unsupported("messages", "Images cannot be used while several answers are computed at once.")
        if not self.healthy():
            raise ApiError(
                503, "engine_failed", "The engine stopped computing and is being restarted.", kind="server_error"
            )
        ids = prompt.ids
        limit = min(limit, self.plan.context_length - len(ids))
        config = self._config(sampling, limit)
        frames = Frames()
        request_id = f"r{next(self._numbers)}"
        streamer = CBStreamer(
            self._manager_cb,
            request_id,
            self.tokenizer._tokenizer,
            asyncio.get_running_loop(),
            frames,
            response_parser=self._parser(ids, chat, tools),
        )

        answer = self._enter(_BatchAnswer(frames, streamer, len(ids), limit, self._retire))

        def on_output(output: Any) -> None:
            streamer.put(output)
            if output.error is not None:
                frames.put_nowait(_StreamError(output.error))
            elif output.is_finished():
                streamer.end()
            if output.is_finished():
                self._retire(answer)

        self._manager_cb.register_result_handler(request_id, on_output)
        greedy = not config.do_sample
        self._manager_cb.add_request(
            ids,
            request_id=request_id,
            max_new_tokens=limit,
            streaming=True,
            eos_token_id=config.eos_token_id,
            temperature=1.0 if greedy else float(config.temperature),
            top_p=1.0 if greedy or config.top_p is None else float(config.top_p),
            top_k=1 if greedy else min(config.top_k or self._vocabulary, self._vocabulary),
        )
        return answer

    def healthy(self) -> bool:
        return self._manager_cb.background_thread_status.fatal_error is None and self._manager_cb.is_running()
