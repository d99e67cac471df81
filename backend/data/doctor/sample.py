"""A few rows to read: numbers alone never showed anybody that the answers are nonsense."""

from __future__ import annotations

import numpy as np

from backend.data.doctor.findings import Read
from backend.data.doctor.scan import Lines, Seen

EACH = 3
RANDOM = 8


def sample(lines: Lines, seen: Seen, seed: int) -> list[Read]:
    """Rows to read and why, in that order: the longest, the shortest, those of the median length, some whose answer is in the
    rarest language, and some drawn by ``seed``. No row twice, and of equal rows one."""
    _, distinct = np.unique(seen.row, return_index=True)
    distinct.sort()
    chars = seen.chars[distinct].astype(np.int64)
    by_length = np.argsort(chars, kind="stable")
    middle = np.argsort(np.abs(chars - int(np.median(chars))), kind="stable") if len(chars) else by_length
    spoken = seen.language[distinct]
    counts = np.bincount(spoken[spoken != 0], minlength=4)
    present = np.flatnonzero(counts)
    odd = np.flatnonzero(spoken == present[counts[present].argmin()]) if len(present) > 1 else np.zeros(0, np.int64)
    drawn = np.random.default_rng(seed).permutation(len(distinct))
    taken: set[int] = set()
    found = []
    for why, order, wanted in (
        ("longest", by_length[::-1], EACH),
        ("shortest", by_length, EACH),
        ("typical", middle, EACH),
        ("language", odd, EACH),
        ("random", drawn, RANDOM),
    ):
        rest = [place for place in order[: wanted + len(taken)].tolist() if place not in taken][:wanted]
        taken.update(rest)
        found += [Read(lines.number(int(distinct[place])), why) for place in rest]
    return found
