"""Whether a difference is more than chance: the exact sign test, and what a number of questions can show at all.

Of the same questions asked twice only those tell that came out differently. If nothing had changed, each of them would have fallen to either side like
a coin (McNemar 1947; exact form: the binomial distribution). Power after Connor, "Sample size for testing differences in proportions for the
paired-sample design", Biometrics 43 (1987), without its small correction.
"""

from __future__ import annotations

from math import ceil, sqrt

Z_POWER = 0.8416212335729143
"""80 % of the normal distribution: a real difference is seen four times out of five."""
Z_SURE = 1.959963984540054


def sign_test(first: int, second: int) -> float:
    """The chance of a split at least as uneven, were both equally good. first, second: questions that only the one, only the other got right.

    Exact: whole numbers until the last division.
    """
    m, k = first + second, min(first, second)
    if first == second:
        return 1.0
    term, total = 1, 1
    for i in range(k):
        term = term * (m - i) // (i + 1)
        total += term
    return min(1.0, (2 * total) / (1 << m))


def smallest_shown(different: int, n: int) -> float:
    """The smallest difference of two shares that ``n`` questions show four times out of five, where ``different`` of them came out differently."""
    spread = (different + 1) / (n + 2)  # none that differs is no proof that none ever will
    return min(1.0, (Z_SURE + Z_POWER) * sqrt(spread / n))


def needed(difference: float, different: int, n: int) -> int | None:
    """How many questions would show ``difference`` (a share) four times out of five; None for no difference."""
    if not difference or not n:
        return None
    spread = (different + 1) / (n + 2)
    return ceil((Z_SURE + Z_POWER) ** 2 * spread / difference**2)
