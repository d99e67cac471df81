"""How many threads a training on a processor takes: tried with its own first rows, on the machine as it is now.

The threads of a step of a small model wait for each other more than they compute, and the more so the more else the machine does.
Measured with the starter, 512 tokens a step, two cores of a Xeon that two other programs used as well: 0.54 s a step with two threads, 0.28 s with
one, which took half the time of a processor.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from backend.data.tokens.encoded import IGNORE
from jobs.finetuning import devices, loading
from jobs.finetuning.loading import Loaded

TRIED = 100_000_000
"""Numbers of a model from which on nothing is tried: its matrices give all threads enough to do."""
ONCE_S, LONG_S = 2.0, 10.0
"""Seconds for one batch from which on each number is tried once, and from which on none but all is: it would take longer than it
could save."""
WORTH = 1.15
"""What all threads must be faster by than half of them."""
TRIES = 3


def choose(loaded: Loaded, batch: dict[str, Any], say: Callable[[str], None]) -> int:
    """Let this process compute ``batch``, and all that come after it, with the fewest threads that are quick; how many that are.

    What was said by ``OMP_NUM_THREADS`` is kept. Neither the model nor the random numbers are changed.
    """
    most = devices.threads()
    if os.environ.get("OMP_NUM_THREADS") or most == 1 or sum(one.numel() for one in loaded.model.parameters()) >= TRIED:
        return most

    def seconds(count: int) -> float:
        torch.set_num_threads(count)
        began = time.perf_counter()
        _learn_nothing(loaded, batch)
        return time.perf_counter() - began

    with torch.random.fork_rng(devices=[]):
        seconds(most)  # the first one also allocates
        chosen, found = fewest(most, seconds)
    torch.set_num_threads(chosen)
    tried = ", ".join(f"{1000 * took:.0f} ms with {count}" for count, took in found.items())
    say(f"{chosen} of {most} threads: a batch takes {tried}")
    return chosen


def fewest(most: int, seconds: Callable[[int], float]) -> tuple[int, dict[int, float]]:
    """The fewest of ``most``, a half of it, a quarter … threads of which twice as many are hardly faster, and what each took.

    Args:
        seconds: computes once with so many threads, and says how long that took.
    """
    found: dict[int, float] = {}
    chosen = count = most
    while count >= 1:
        took = seconds(count)
        again = TRIES - 1 if took < ONCE_S else 0
        found[count] = statistics.median([took, *(seconds(count) for _ in range(again))])
        if took >= LONG_S:
            break
        if found[count] > WORTH * found[chosen]:
            break
        chosen, count = count, count // 2
    return chosen, found


def _learn_nothing(loaded: Loaded, batch: dict[str, Any]) -> None:
    """A batch forward and backward, without a step."""
    model = loaded.model
    was = model.training
    model.train()
    try:
        learned = batch["targets"].ne(IGNORE)
        with devices.products(loaded.short):
            logits = loading.logits(model, batch, loaded.takes)[learned]
            F.cross_entropy(logits.float(), batch["targets"][learned]).backward()
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was)
