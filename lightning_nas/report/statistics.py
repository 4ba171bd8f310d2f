"""Means with intervals, differences with a verdict, and rank correlations.

Intervals of means are Student's t intervals at 95 %. Evaluations are taken to be independent;
trials that copy the outcome of one evaluation form a cluster. A mean weighs all values alike. Its
variance is the variance of single evaluations divided by their effective number,
``(sum n_c)^2 / sum n_c^2``, with the sizes ``n_c`` of the clusters. The usual cluster-robust sum
of squares is near 0 where one cluster outweighs all others: the mean then follows that cluster.

Source of the effective number: Kish, Survey Sampling, 1965 (means with unequal weights).
Shapes: N = architectures, R = bootstrap resamples.
"""

import math
import statistics
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import stdtrit

LEVEL = 0.95  # confidence level of all intervals
MIN_EVALUATIONS = 5  # of each arm; with fewer there is no verdict
MIN_ARCHITECTURES = 3  # for a rank correlation
RESAMPLES = 2_000
NORMAL_QUARTILES = 1.349  # distance of the quartiles of a normal distribution, in deviations
# Verdicts as weight_sharing.json stores them; chance is the random arm. Pages show VERDICT_WORDS.
BETTER, NO_BETTER, WORSE = "better than chance", "no better than chance", "worse than chance"
CANNOT_TELL, NOT_ENOUGH = "cannot tell", "not enough data"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with a symmetric 95 % interval of half width ``half``."""

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
    """A mean and its 95 % interval.

    Args:
        value: The mean; NaN if there are no values.
        half: Half the width of the interval; infinite with fewer than two evaluations.
        count: Number of values, copies included.
        deviation: Sample standard deviation of the evaluations; 0 with fewer than two.
        evaluations: Number of values that are not copies.
        effective: Effective number of evaluations, at most ``evaluations``.
        spread: Standard deviation without the influence of outliers, at most ``deviation``.
    """

    count: int
    deviation: float
    evaluations: int
    effective: float
    spread: float = 0.0


@dataclass(frozen=True)
class Difference(Interval):
    """The mean of an arm minus the mean of the random arm, with the verdict that follows.

    Args:
        value: Difference of the means.
        half: Half the width of its 95 % interval; infinite if there is not enough data.
        verdict: ``BETTER`` or ``WORSE`` if the interval excludes 0. ``NO_BETTER`` if the interval
            holds 0 and excludes ``smallest_gain``. ``CANNOT_TELL`` if the interval holds both.
            ``NOT_ENOUGH`` if there are too few values for an interval.
        smallest_gain: Smallest gain that counts, at least 0.
    """

    verdict: str
    smallest_gain: float = 0.0


def student_quantile(degrees: float) -> float:
    """Return the number of standard errors in half a 95 % interval, by Student's t distribution.

    Args:
        degrees: Degrees of freedom, above 0.

    >>> round(student_quantile(9), 3), round(student_quantile(1e9), 3)
    (2.262, 1.96)
    """
    return float(stdtrit(degrees, (1 + LEVEL) / 2))


def estimate_mean(values: Sequence[float], roots: Sequence[Hashable] | None = None) -> Mean:
    """Return the mean of values with its interval.

    Args:
        values: All values, copies included.
        roots: For each value the evaluation that it comes from; None = no value is a copy.

    >>> mean = estimate_mean([0.5, 0.7, 0.6])
    >>> round(mean.low, 3), round(mean.high, 3)
    (0.352, 0.848)
    >>> copied = estimate_mean([0.5, 0.7, 0.6, 0.6], "abcc")
    >>> copied.evaluations, round(copied.effective, 2), round(copied.half, 3)
    (3, 2.67, 0.263)
    """
    clusters = range(len(values)) if roots is None else roots
    sizes, sums = Counter(clusters), dict.fromkeys(clusters, 0.0)
    for root, value in zip(clusters, values, strict=True):
        sums[root] += value
    count, evaluations = len(values), len(sizes)
    if not count:
        return Mean(math.nan, math.inf, 0, 0.0, 0, 0.0)
    effective = count**2 / sum(size**2 for size in sizes.values())
    mean = statistics.fmean(values)
    if evaluations < 2:
        return Mean(mean, math.inf, count, 0.0, evaluations, effective)
    each = np.array([sums[root] / size for root, size in sizes.items()])
    deviation = float(np.std(each - each[0], ddof=1))  # shifted: equal values give exactly 0
    half = student_quantile(evaluations - 1) * deviation / math.sqrt(effective)
    return Mean(mean, half, count, deviation, evaluations, effective, _find_spread(each, deviation))


def _find_spread(values: Array, deviation: float) -> float:
    """Return the deviation, or that of the middle half of the values if it is smaller.

    One failed evaluation would otherwise make a large gain look too small to count.
    """
    low, high = np.quantile(values, [0.25, 0.75])
    middle = float(high - low) / NORMAL_QUARTILES
    return min(deviation, middle) if middle else deviation


def compare_means(arm: Mean, random_arm: Mean, *, fewest: int = MIN_EVALUATIONS) -> Difference:
    """Compare the means of two independent arms of unequal variances (Welch's t interval).

    The smallest gain that counts is the spread of the random arm: the best of three
    random architectures gains nearly as much (0.85 of it, if the rewards are normal).

    Args:
        arm: Mean of an arm.
        random_arm: Mean of its random arm.
        fewest: Number of evaluations of an arm below which the verdict is ``NOT_ENOUGH``.
    """
    means = (arm, random_arm)
    value = arm.value - random_arm.value
    if min(mean.evaluations for mean in means) < fewest:
        return Difference(value, math.inf, NOT_ENOUGH)
    parts = [mean.deviation**2 / mean.effective for mean in means]
    variance = sum(parts)
    half = 0.0
    if variance:
        freedom = sum(
            part**2 / (mean.evaluations - 1) for part, mean in zip(parts, means, strict=True)
        )
        half = student_quantile(variance**2 / freedom) * math.sqrt(variance)
    return _make_difference(value, half, random_arm.spread)


def compare_pairs(
    differences: Sequence[float], smallest_gain: float, fewest: int = MIN_EVALUATIONS
) -> Difference:
    """Compare two arms by paired differences, for instance one for each epoch or seed.

    Args:
        differences: Mean reward of an arm minus that of its random arm, one value for each pair.
        smallest_gain: Smallest gain that counts, at least 0.
        fewest: Number of pairs below which the verdict is ``NOT_ENOUGH``.
    """
    mean = estimate_mean(differences)
    if mean.count < fewest:
        return Difference(mean.value, mean.half, NOT_ENOUGH)
    return _make_difference(mean.value, mean.half, smallest_gain)


def _make_difference(value: float, half: float, smallest_gain: float) -> Difference:
    low, high = value - half, value + half
    if low > 0 or high < 0:
        verdict = BETTER if low > 0 else WORSE
    else:
        verdict = NO_BETTER if high <= smallest_gain else CANNOT_TELL
    return Difference(value, half, verdict, smallest_gain)


# ---- rank correlations ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Correlation:
    """Rank correlations of two scores of the same architectures.

    Args:
        count: Number of architectures.
        tau: Kendall's tau-b, in [-1, 1]; tau-b corrects for ties.
        tau_interval: 95 % bootstrap interval of ``tau``, over architectures.
        rho: Spearman's rho, in [-1, 1].
        rho_interval: 95 % bootstrap interval of ``rho``, over architectures.
    """

    count: int
    tau: float
    tau_interval: tuple[float, float]
    rho: float
    rho_interval: tuple[float, float]


def correlate_ranks(x: Sequence[float], y: Sequence[float], seed: int = 0) -> Correlation | None:
    """Return the rank correlations of two scores, with bootstrap intervals.

    Architectures are resampled with replacement; the interval holds the middle 95 % of the
    resamples. A resample whose values are all equal in ``x`` or in ``y`` counts as 0.

    Args:
        x: First score of each of the N architectures.
        y: Second score of each of the N architectures.
        seed: Seed of the resamples.

    Returns:
        None if N < 3, or if all values are equal in ``x`` or in ``y``.

    >>> found = correlate_ranks([0.1, 0.2, 0.3, 0.4], [0.5, 0.7, 0.6, 0.8])
    >>> found.count, round(found.tau, 3), round(found.rho, 3)
    (4, 0.667, 0.8)
    """
    x_N, y_N = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n = len(x_N)
    if n < MIN_ARCHITECTURES or np.ptp(x_N) == 0 or np.ptp(y_N) == 0:
        return None
    random = np.random.default_rng(seed)
    counts_RN = random.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
    return Correlation(
        n,
        float(stats.kendalltau(x_N, y_N).statistic),
        _middle_interval(resample_tau(x_N, y_N, counts_RN)),
        float(stats.spearmanr(x_N, y_N).statistic),
        _middle_interval(resample_rho(x_N, y_N, counts_RN)),
    )


def resample_tau(x_N: Array, y_N: Array, counts_RN: Array) -> Array:
    """Return Kendall's tau-b of each resample, shape (R,).

    All at once: ``scipy.stats.kendalltau`` takes a millisecond for each of thousands of resamples.

    Args:
        x_N: First score of each architecture.
        y_N: Second score of each architecture.
        counts_RN: Number of times that each architecture is in each resample.
    """
    x_NN, y_NN = (np.sign(v[:, None] - v) for v in (x_N, y_N))

    def sum_pairs(sign_NN: Array) -> Array:
        total_R: Array = np.einsum("rn,nm,rm->r", counts_RN, sign_NN, counts_RN, optimize=True)
        return total_R

    return _divide(sum_pairs(x_NN * y_NN), sum_pairs(x_NN**2) * sum_pairs(y_NN**2))


def resample_rho(x_N: Array, y_N: Array, counts_RN: Array) -> Array:
    """Return Spearman's rho of each resample, shape (R,); arguments as for ``resample_tau``."""
    x_RN, y_RN = (_centre_ranks(v, counts_RN) for v in (x_N, y_N))

    def sum_products(left_RN: Array, right_RN: Array) -> Array:
        total_R: Array = (counts_RN * left_RN * right_RN).sum(axis=1)
        return total_R

    return _divide(sum_products(x_RN, y_RN), sum_products(x_RN, x_RN) * sum_products(y_RN, y_RN))


def _centre_ranks(values_N: Array, counts_RN: Array) -> Array:
    """Return the rank of each architecture in each resample minus the mean rank; ties share one."""
    below_NN = (values_N[:, None] < values_N) + 0.5 * (values_N[:, None] == values_N)
    ranks_RN: Array = counts_RN @ below_NN
    return ranks_RN - counts_RN.shape[1] / 2


def _divide(covariance_R: Array, variances_R: Array) -> Array:
    zeros_R = np.zeros_like(covariance_R)  # a resample without variance counts as 0
    return np.divide(covariance_R, np.sqrt(variances_R), out=zeros_R, where=variances_R > 0)


def _middle_interval(values_R: Array) -> tuple[float, float]:
    low, high = np.quantile(values_R, ((1 - LEVEL) / 2, 1 - (1 - LEVEL) / 2))
    return float(low), float(high)


def find_accuracy_interval(correct: int, images: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy, by Wilson's method; (0, 1) without images.

    >>> [round(end, 3) for end in find_accuracy_interval(9, 10)]
    [0.596, 0.982]
    """
    if not images:
        return 0.0, 1.0
    low, high = stats.binomtest(correct, images).proportion_ci(LEVEL, method="wilson")
    return float(low), float(high)
