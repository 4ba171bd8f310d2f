"""Means with intervals, differences with a verdict in words: what may be said of a few rewards.

Intervals are Student's, at 95 %. Samples are taken to be independent.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

LEVEL = 0.95
FEWEST = 5  # values of each arm, below which nothing is said of their difference
BETTER, NO_BETTER, WORSE = "better than chance", "no better than chance", "worse than chance"
NOT_ENOUGH = "not enough data"


@dataclass(frozen=True)
class Mean:
    """A mean and its interval.

    Args:
        value: The mean; not a number where there are no values.
        half: Half the width of the 95 % interval; infinite where there are fewer than two values.
        count: How many values.
        deviation: Their standard deviation (of the sample); 0 where there are fewer than two.
    """

    value: float
    half: float
    count: int
    deviation: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half


@dataclass(frozen=True)
class Difference:
    """How much higher the first mean is than the second, and what follows.

    Args:
        value: First less second.
        half: Half the width of its 95 % interval.
        verdict: In plain words, of the first beside the second, which is chance.
    """

    value: float
    half: float
    verdict: str

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half


def quantile(degrees: float) -> float:
    """Return how many standard errors half a 95 % interval is wide, by Student's distribution.

    >>> round(quantile(9), 3), round(quantile(1e9), 3)
    (2.262, 1.96)
    """
    return float(stdtrit(degrees, (1 + LEVEL) / 2))


def mean_of(values: Sequence[float]) -> Mean:
    """Return the mean of values with its interval.

    >>> mean = mean_of([0.5, 0.7, 0.6])
    >>> round(mean.low, 3), round(mean.high, 3)
    (0.352, 0.848)
    """
    count = len(values)
    if count < 2:
        return Mean(values[0] if count else math.nan, math.inf, count, 0.0)
    deviation = statistics.stdev(values)
    half = quantile(count - 1) * deviation / math.sqrt(count)
    return Mean(statistics.fmean(values), half, count, deviation)


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compare two independent arms, whose spreads may differ (Welch).

    Args:
        first: Rewards of one arm.
        second: Rewards of the other, chance.
    """
    if min(len(first), len(second)) < FEWEST:
        return Difference(mean_of(first).value - mean_of(second).value, math.inf, NOT_ENOUGH)
    one, other = mean_of(first), mean_of(second)
    parts = one.deviation**2 / one.count, other.deviation**2 / other.count
    variance = sum(parts)
    half = 0.0
    if variance:
        freedom = sum(
            part**2 / (mean.count - 1) for part, mean in zip(parts, (one, other), strict=True)
        )
        half = quantile(variance**2 / freedom) * math.sqrt(variance)
    return _judged(one.value - other.value, half)


def paired(differences: Sequence[float], fewest: int = FEWEST) -> Difference:
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
