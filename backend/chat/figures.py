"""The figures of an answer: tokens, time to the first one, speed; reported by the server, or estimated when it was cut off."""

from __future__ import annotations

import time
from typing import Any

from backend.chat.client import Finished


def figures_of(end: Finished) -> dict[str, Any]:
    """What the server reported, as :meth:`backend.chat.answers.Answers.finish` takes it."""
    return {
        "finish_reason": end.finish_reason,
        "prompt_tokens": end.prompt_tokens,
        "completion_tokens": end.completion_tokens,
        "counted": int(end.counted),
        "ttft_s": end.ttft_s,
        "tokens_s": end.tokens_s,
    }


def figures_so_far(tokens: int, sent: float, first: float) -> dict[str, Any]:
    """For an answer without a proper end: nobody has counted, so ``tokens`` is an estimate from the text."""
    spent = time.monotonic() - first
    return {
        "completion_tokens": tokens,
        "ttft_s": first - sent,
        "tokens_s": (tokens - 1) / spent if tokens > 1 and spent > 0 else None,
    }
