"""Means with intervals, differences with a verdict in words: what may be said of a few rewards.

Intervals are Student's, at 95 %. Samples are taken to be independent, but for those of a cluster:
copies of one evaluation. A mean weighs all values alike; its variance is that of single
evaluations divided by their effective number, ``(sum n_c)^2 / sum n_c^2`` with the clusters' sizes
``n_c``. The usual cluster-robust sum of squares would be near 0 where one cluster outweighs all
others: the mean then follows it.

Source of the effective number: Kish, Survey Sampling, 1965 (means with unequal weights).
"""

import math
import statistics
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
FEWEST = 5  # evaluations of each arm, below which nothing is said of their difference
BETTER, NO_BETTER, WORSE = "better than chance", "no better than chance", "worse than chance"
NOT_ENOUGH = "not enough data"


@dataclass(frozen=True)
class Interval:
    """A value, and as much on both sides of it."""

    value: float
    half: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half


@dataclass(frozen=True)
class Mean(Interval):
    """A mean and its interval.

    Args:
        value: The mean; not a number where there are no values.
        half: Half the width of the 95 % interval; infinite where there are fewer than two
            evaluations.
        count: How many values.
        deviation: The standard deviation of evaluations (of the sample); 0 where there are fewer
            than two.
        evaluations: How many of the values are no copies.
        effective: How many evaluations that weigh alike would tell as much.
    """

    count: int
    deviation: float
    evaluations: int
    effective: float


@dataclass(frozen=True)
class Difference(Interval):
    """How much higher the first mean is than the second, and what follows.

    Args:
        value: First less second.
        half: Half the width of its 95 % interval.
        verdict: In plain words, of the first beside the second, which is chance.
    """

    verdict: str


def quantile(degrees: float) -> float:
    """Return how many standard errors half a 95 % interval is wide, by Student's distribution.

    >>> round(quantile(9), 3), round(quantile(1e9), 3)
    (2.262, 1.96)
    """
    return float(stdtrit(degrees, (1 + LEVEL) / 2))


def mean_of(values: Sequence[float], roots: Sequence[Hashable] | None = None) -> Mean:
    """Return the mean of values with its interval.

    Args:
        values: All of them, copies included.
        roots: Which evaluation each is of; None = each of its own.

    >>> mean = mean_of([0.5, 0.7, 0.6])
    >>> round(mean.low, 3), round(mean.high, 3)
    (0.352, 0.848)
    >>> copied = mean_of([0.5, 0.7, 0.6, 0.6], "abcc")
    >>> copied.evaluations, round(copied.effective, 2), round(copied.half, 3)
    (3, 2.67, 0.263)
    """
    of = range(len(values)) if roots is None else roots
    sizes, sums = Counter(of), dict.fromkeys(of, 0.0)
    for root, value in zip(of, values, strict=True):
        sums[root] += value
    count, evaluations = len(values), len(sizes)
    if not count:
        return Mean(math.nan, math.inf, 0, 0.0, 0, 0.0)
    effective = count**2 / sum(size**2 for size in sizes.values())
    mean = statistics.fmean(values)
    if evaluations < 2:
        return Mean(mean, math.inf, count, 0.0, evaluations, effective)
    each = np.array([sums[root] / size for root, size in sizes.items()])
    deviation = float(np.std(each - each[0], ddof=1))  # less one of them: exactly 0 without spread
    half = quantile(evaluations - 1) * deviation / math.sqrt(effective)
    return Mean(mean, half, count, deviation, evaluations, effective)


def compare_means(one: Mean, other: Mean) -> Difference:
    """Compare two independent arms, whose spreads may differ (Welch).

    Args:
        one: Of one arm's rewards.
        other: Of the other's, chance.
    """
    value = one.value - other.value
    if min(one.evaluations, other.evaluations) < FEWEST:
        return Difference(value, math.inf, NOT_ENOUGH)
    parts = [mean.deviation**2 / mean.effective for mean in (one, other)]
    variance = sum(parts)
    half = 0.0
    if variance:
        freedom = sum(
            part**2 / (mean.evaluations - 1) for part, mean in zip(parts, (one, other), strict=True)
        )
        half = quantile(variance**2 / freedom) * math.sqrt(variance)
    return _judged(value, half)


def compare_pairs(differences: Sequence[float], fewest: int = FEWEST) -> Difference:
    """Judge differences that were each taken under the same circumstances.

    Args:
        differences: Of the first arm's mean from the second's, chance: in each epoch, or seed.
        fewest: Below which nothing is said.
    """
    mean = mean_of(differences)
    if mean.count < fewest:
        return Difference(mean.value, mean.half, NOT_ENOUGH)
    return _judged(mean.value, mean.half)


def _judged(value: float, half: float) -> Difference:
    verdict = BETTER if value - half > 0 else WORSE if value + half < 0 else NO_BETTER
    return Difference(value, half, verdict)
