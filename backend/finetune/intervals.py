"""How sure a measured difference is: 95 % intervals for shares, for paired shares, and for loss per token.

Closed forms where there are some, since they hold at 0 and 100 % too, where the textbook's Wald interval has no width:
Wilson (1927) for one share; for the difference of two shares of the same questions the square-and-add interval, method 10 of
R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
Statistics in Medicine 17 (1998), 2635-2650. The loss has no such form: paired bootstrap over rows (Efron and Tibshirani 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""
LEAST_ROWS = 10
"""Fewer rows than this give a bootstrap that is far too narrow: no interval then."""
DRAWS, SEED = 2000, 1
Interval = tuple[float, float]


def wilson(right: int, n: int) -> Interval:
    """The interval of a share: ``right`` of ``n``, n > 0."""
    p, z2 = right / n, Z * Z
    centre, half = p + z2 / (2 * n), Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z2 / n)), min(1.0, (centre + half) / (1 + z2 / n))


def paired(both: int, first: int, second: int, neither: int) -> Interval:
    """The interval of the share of the second minus that of the first, both asked the same questions, at least one.

    both: questions that both got right. first, second: that only the one did. neither: that none did.
    """
    n = both + first + second + neither
    one, other = both + first, both + second
    p1, p2 = one / n, other / n
    (low1, high1), (low2, high2) = wilson(one, n), wilson(other, n)
    phi = _correlation(both, first, second, neither)
    below = (p2 - low2) ** 2 + (high1 - p1) ** 2 - 2 * phi * (p2 - low2) * (high1 - p1)
    above = (p1 - low1) ** 2 + (high2 - p2) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2)
    return max(-1.0, p2 - p1 - sqrt(max(0.0, below))), min(1.0, p2 - p1 + sqrt(max(0.0, above)))


def per_token(first: Sequence[float], second: Sequence[float], tokens: Sequence[int]) -> Interval | None:
    """The interval of the loss per token of the second minus that of the first, over the same rows; None for too few rows.

    first, second: summed loss of each row, in nats. tokens: how many it was summed over. Rows are drawn, not tokens: those of one row are alike.
    """
    import numpy as np

    if len(tokens) < LEAST_ROWS or not sum(tokens):
        return None
    change = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    count = np.asarray(tokens, dtype=np.float64)
    drawn = np.random.default_rng(SEED).integers(0, len(count), size=(DRAWS, len(count)))
    means = change[drawn].sum(1) / np.maximum(1.0, count[drawn].sum(1))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _correlation(both: int, first: int, second: int, neither: int) -> float:
    """Newcombe's phi, with his correction for few questions; 0 where a side is all right or all wrong."""
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if not margins:
        return 0.0
    cross: float = both * neither - first * second
    if cross > 0:
        cross = max(0.0, cross - (both + first + second + neither) / 2)
    return cross / sqrt(margins)
