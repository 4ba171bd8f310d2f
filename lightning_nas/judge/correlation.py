"""How far two judgements of the same architectures agree, and how sure that is.

Rank correlations with bootstrap intervals. Numbers in, numbers out.
Shapes: N = architectures, R = resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FEWEST = 3  # architectures, of which an order can be seen
RESAMPLES = 2_000
CONFIDENCE = 0.95
Interval = tuple[float, float]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """Rank correlations of two judgements.

    Args:
        count: Architectures.
        tau: Kendall's, variant b, which takes ties into account.
        tau_interval: Of 95 %, over architectures.
        rho: Spearman's.
        rho_interval: Of 95 %, over architectures.
    """

    count: int
    tau: float
    tau_interval: Interval
    rho: float
    rho_interval: Interval


def correlate(x: Sequence[float], y: Sequence[float], seed: int = 0) -> Correlation | None:
    """Return how far the orders of ``x`` and ``y`` agree; None where there is no order.

    Architectures are drawn with replacement, and the middle 95 % of what comes out is the interval.
    A resample of which all are equal in ``x`` or in ``y`` shows no agreement: it counts as 0.

    Args:
        x: One judgement of each architecture, N of them.
        y: The other one.
        seed: Of the resamples.

    Returns:
        None if there are fewer than three, or all are equal in ``x`` or in ``y``.

    >>> found = correlate([0.1, 0.2, 0.3, 0.4], [0.5, 0.7, 0.6, 0.8])
    >>> found.count, round(found.tau, 3), round(found.rho, 3)
    (4, 0.667, 0.8)
    """
    x_N, y_N = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n = len(x_N)
    if n < FEWEST or np.ptp(x_N) == 0 or np.ptp(y_N) == 0:
        return None
    random = np.random.default_rng(seed)
    counts_RN = random.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
    return Correlation(
        n,
        float(stats.kendalltau(x_N, y_N).statistic),
        _middle(tau_of_resamples(x_N, y_N, counts_RN)),
        float(stats.spearmanr(x_N, y_N).statistic),
        _middle(rho_of_resamples(x_N, y_N, counts_RN)),
    )


def tau_of_resamples(x_N: Array, y_N: Array, counts_RN: Array) -> Array:
    """Return Kendall's tau-b of resamples: scipy's takes a millisecond for each of thousands.

    Args:
        x_N: One judgement.
        y_N: The other.
        counts_RN: How often each architecture is in each resample.
    """
    x_NN, y_NN = (np.sign(v[:, None] - v) for v in (x_N, y_N))

    def pairs(sign_NN: Array) -> Array:
        total_R: Array = np.einsum("rn,nm,rm->r", counts_RN, sign_NN, counts_RN, optimize=True)
        return total_R

    return _ratio(pairs(x_NN * y_NN), pairs(x_NN**2) * pairs(y_NN**2))


def rho_of_resamples(x_N: Array, y_N: Array, counts_RN: Array) -> Array:
    """Return Spearman's rho of resamples; arguments as for ``tau_of_resamples``."""
    x_RN, y_RN = (_centred_ranks(v, counts_RN) for v in (x_N, y_N))

    def products(left_RN: Array, right_RN: Array) -> Array:
        total_R: Array = (counts_RN * left_RN * right_RN).sum(axis=1)
        return total_R

    return _ratio(products(x_RN, y_RN), products(x_RN, x_RN) * products(y_RN, y_RN))


def _centred_ranks(values_N: Array, counts_RN: Array) -> Array:
    """Return the rank of each architecture in each resample, less their mean; ties share one."""
    below_NN = (values_N[:, None] < values_N) + 0.5 * (values_N[:, None] == values_N)
    ranks_RN: Array = counts_RN @ below_NN
    return ranks_RN - counts_RN.shape[1] / 2


def _ratio(covariance_R: Array, variances_R: Array) -> Array:
    return np.divide(
        covariance_R,
        np.sqrt(variances_R),
        out=np.zeros_like(covariance_R),
        where=variances_R > 0,
    )


def _middle(values_R: Array) -> Interval:
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values_R, (outside, 1 - outside))
    return float(low), float(high)
