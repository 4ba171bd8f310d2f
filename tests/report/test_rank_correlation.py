"""Rank correlations, compared with scipy and with the definition; intervals by simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lightning_nas.report.statistics import correlate_ranks, resample_rho, resample_tau


def make_scores(n, levels, seed=0):
    """Return two scores that agree in part; few levels give ties."""
    random = np.random.default_rng(seed)
    x = random.integers(0, levels, n) / levels
    return x, x + random.integers(0, levels, n) / levels


def count_tau(x, y):
    """Return Kendall's tau-b, counted pair by pair."""
    agree = disagree = apart_in_x = apart_in_y = 0
    for i, j in itertools.combinations(range(len(x)), 2):
        dx, dy = x[i] - x[j], y[i] - y[j]
        agree += dx * dy > 0
        disagree += dx * dy < 0
        apart_in_x += dx != 0
        apart_in_y += dy != 0
    return (agree - disagree) / math.sqrt(apart_in_x * apart_in_y)


@pytest.mark.parametrize(("n", "levels"), [(3, 100), (12, 5), (41, 8), (41, 1000)])
def test_correlations_are_those_of_scipy_and_of_the_definition(n, levels):
    x, y = make_scores(n, levels)
    found = correlate_ranks(x, y)
    assert found.count == n
    assert found.tau == pytest.approx(stats.kendalltau(x, y).statistic)
    assert found.tau == pytest.approx(count_tau(x, y))
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)


def test_correlations_of_resamples_are_those_of_scipy():
    x, y = make_scores(15, 6)
    random = np.random.default_rng(1)
    counts = random.multinomial(15, np.full(15, 1 / 15), 40).astype(float)
    chosen = [np.repeat(np.arange(15), row.astype(int)) for row in counts]
    taus = [stats.kendalltau(x[i], y[i]).statistic for i in chosen]
    rhos = [stats.spearmanr(x[i], y[i]).statistic for i in chosen]
    assert resample_tau(x, y, counts) == pytest.approx(taus)
    assert resample_rho(x, y, counts) == pytest.approx(rhos)


def test_a_resample_without_variance_counts_as_zero():
    x, y = np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2, 0.3])
    counts = np.array([[3.0, 0.0, 0.0]])
    assert resample_tau(x, y, counts) == 0
    assert resample_rho(x, y, counts) == 0


@pytest.mark.parametrize(
    ("x", "y"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.5, 0.5, 0.5])]
)
def test_too_few_or_equal_scores_have_no_correlation(x, y):
    assert correlate_ranks(x, y) is None


@pytest.mark.parametrize(("n", "rho"), [(12, 0.6), (30, 0.0), (30, 0.8)])
def test_intervals_cover_the_true_value_in_about_95_of_100_cases(n, rho):
    random = np.random.default_rng(2)
    tau = 2 / math.pi * math.asin(rho)  # of a bivariate normal distribution
    spearman = 6 / math.pi * math.asin(rho / 2)
    covered = {"tau": 0, "rho": 0}
    for _ in range(100):
        x, y = random.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n).T
        found = correlate_ranks(x, y)
        covered["tau"] += found.tau_interval[0] <= tau <= found.tau_interval[1]
        covered["rho"] += found.rho_interval[0] <= spearman <= found.rho_interval[1]
    for count in covered.values():  # 88 or fewer have a probability of 1 in 200
        assert 89 <= count <= 100


def test_more_architectures_give_a_narrower_interval():
    widths = []
    for n in (10, 40, 160):
        low, high = correlate_ranks(*make_scores(n, 1000)).tau_interval
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]
