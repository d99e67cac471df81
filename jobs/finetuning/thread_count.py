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

import torch

from jobs.finetuning import devices, ranks
from jobs.finetuning.learner import Learner
from jobs.finetuning.session import Session

TRIED = 100_000_000
"""Numbers of a model from which on nothing is tried: its matrices give all threads enough to do."""
ONCE_S, LONG_S = 2.0, 10.0
"""Seconds for one batch from which on each number is tried once, and from which on none but all is: it would take longer than it
could save."""
WORTH = 1.15
"""What all threads must be faster by than half of them."""
TRIES = 3


def settle(current: Session, learner: Learner) -> None:
    """Let this process train ``current`` on a processor with the fewest threads that are quick: chosen with the first rows of
    ``learner``, once for the rehearsal and the training after it. Call within the phase whose memory a batch takes."""
    if current.place.kind != "cpu" or ranks.several() or current.threads:
        return
    current.threads = choose(learner, current.job.log)


def choose(learner: Learner, say: Callable[[str], None]) -> int:
    """Let this process compute with the fewest threads that are quick; how many that are.

    What was said by ``OMP_NUM_THREADS`` is kept. Nothing is tried where activations are computed twice to save memory: a trial,
    which comes before that is arranged, would take what is not there. Neither the model nor the random numbers are changed.
    """
    most = devices.threads()
    large = sum(one.numel() for one in learner.loaded.model.parameters()) >= TRIED
    if os.environ.get("OMP_NUM_THREADS") or most == 1 or large or learner.args.gradient_checkpointing:
        return most

    def seconds(count: int) -> float:
        torch.set_num_threads(count)
        began = time.perf_counter()
        learner.try_batch()
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
