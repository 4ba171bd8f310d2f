"""Rank correlations against scipy and against pairs counted one by one; intervals by simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lightning_nas.judge.correlation import (
    correlate,
    rho_of_resamples,
    tau_of_resamples,
)


def judged(n, levels, seed=0):
    """Two judgements that agree in part, with ties: there are few levels."""
    random = np.random.default_rng(seed)
    x = random.integers(0, levels, n) / levels
    return x, x + random.integers(0, levels, n) / levels


def naive_tau(x, y):
    """Kendall's tau-b, pair by pair."""
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
    x, y = judged(n, levels)
    found = correlate(x, y)
    assert found.count == n
    assert found.tau == pytest.approx(stats.kendalltau(x, y).statistic)
    assert found.tau == pytest.approx(naive_tau(x, y))
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)


def test_resamples_are_correlated_as_scipy_would():
    x, y = judged(15, 6)
    random = np.random.default_rng(1)
    counts = random.multinomial(15, np.full(15, 1 / 15), 40).astype(float)
    chosen = [np.repeat(np.arange(15), row.astype(int)) for row in counts]
    taus = [stats.kendalltau(x[i], y[i]).statistic for i in chosen]
    rhos = [stats.spearmanr(x[i], y[i]).statistic for i in chosen]
    assert tau_of_resamples(x, y, counts) == pytest.approx(taus)
    assert rho_of_resamples(x, y, counts) == pytest.approx(rhos)


def test_a_resample_without_an_order_counts_as_no_agreement():
    x, y = np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2, 0.3])
    counts = np.array([[3.0, 0.0, 0.0]])
    assert tau_of_resamples(x, y, counts) == 0
    assert rho_of_resamples(x, y, counts) == 0


@pytest.mark.parametrize(
    ("x", "y"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.5, 0.5, 0.5])]
)
def test_without_an_order_there_is_no_correlation(x, y):
    assert correlate(x, y) is None


@pytest.mark.parametrize(("n", "rho"), [(12, 0.6), (30, 0.0), (30, 0.8)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(n, rho):
    random = np.random.default_rng(2)
    tau = 2 / math.pi * math.asin(rho)  # of two normal variables, and Spearman's
    spearman = 6 / math.pi * math.asin(rho / 2)
    held = {"tau": 0, "rho": 0}
    for _ in range(100):
        x, y = random.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n).T
        found = correlate(x, y)
        held["tau"] += found.tau_interval[0] <= tau <= found.tau_interval[1]
        held["rho"] += found.rho_interval[0] <= spearman <= found.rho_interval[1]
    for count in held.values():  # 95 of 100 wanted; 88 and fewer have a chance of 1 in 200
        assert 89 <= count <= 100


def test_more_architectures_give_a_narrower_interval():
    widths = []
    for n in (10, 40, 160):
        low, high = correlate(*judged(n, 1000)).tau_interval
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]
