"""Intervals and verdicts against scipy and against the formulas written out."""

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from lightning_nas.report.statistics import (
    BETTER,
    NO_BETTER,
    NOT_ENOUGH,
    WORSE,
    compare_means,
    compare_pairs,
    mean_of,
    quantile,
)


def compared(first, second):
    return compare_means(mean_of(first), mean_of(second))


def drawn(count, mean=0.5, deviation=0.1, seed=0):
    return np.random.default_rng(seed).normal(mean, deviation, count).tolist()


@pytest.mark.parametrize("count", [2, 3, 10, 200])
def test_the_interval_of_a_mean_is_students(count):
    values = drawn(count)
    found = mean_of(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    naive = math.sqrt(sum((v - sum(values) / count) ** 2 for v in values) / (count - 1))
    assert found.deviation == pytest.approx(naive)
    assert found.count == count


def test_one_value_has_no_interval_and_none_no_mean():
    assert mean_of([0.25]).value == 0.25
    assert math.isinf(mean_of([0.25]).half)
    assert math.isnan(mean_of([]).value)


@pytest.mark.parametrize("degrees", [1, 2.5, 9, 1000])
def test_the_quantile_is_students(degrees):
    assert quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees))


@pytest.mark.parametrize(("few", "many", "spread"), [(5, 50, 0.3), (30, 30, 0.1), (200, 7, 0.02)])
def test_a_difference_is_welchs(few, many, spread):
    first, second = drawn(few, 0.6, spread, 1), drawn(many, 0.5, 0.1, 2)
    found = compared(first, second)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx(statistics.fmean(first) - statistics.fmean(second))


def test_paired_differences_are_judged_as_one_sample():
    values = drawn(12, 0.05, 0.1)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = compare_pairs(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_verdict_is_that_of_the_interval():
    assert compared(drawn(50, 0.7), drawn(50, 0.5, seed=1)).verdict == BETTER
    assert compared(drawn(50, 0.5), drawn(50, 0.7, seed=1)).verdict == WORSE
    assert compared(drawn(50, 0.5), drawn(50, 0.5, seed=1)).verdict == NO_BETTER
    assert compared(drawn(500, 0.9), drawn(4, 0.1)).verdict == NOT_ENOUGH
    assert compare_pairs([0.2, 0.21]).verdict == NOT_ENOUGH
    assert compare_pairs([0.2, 0.21, 0.19], fewest=3).verdict == BETTER


def test_arms_without_spread_are_told_apart_exactly():
    found = compared([0.5] * 6, [0.4] * 6)
    assert (found.half, found.verdict) == (0.0, BETTER)
    assert compared([0.5] * 6, [0.5] * 6).verdict == NO_BETTER


def test_chance_is_called_better_in_one_of_forty_searches():
    called = [
        compared(drawn(30, seed=2 * n), drawn(10, seed=2 * n + 1)).verdict for n in range(2000)
    ]
    assert called.count(BETTER) / 2000 == pytest.approx(0.025, abs=0.012)
    assert called.count(WORSE) / 2000 == pytest.approx(0.025, abs=0.012)


@pytest.mark.parametrize("copies", [1, 5, 100])
def test_copies_of_one_evaluation_do_not_make_chance_better(copies):
    draw = np.random.default_rng(0)
    times = [copies, 3, *[1] * 8]
    verdicts = []
    for _ in range(1000):
        first = mean_of(np.repeat(draw.random(10), times).tolist(), np.repeat(range(10), times))
        verdicts.append(compare_means(first, mean_of(draw.random(30).tolist())).verdict)
    assert 1 - verdicts.count(NO_BETTER) / 1000 < 0.07  # 0.05 but for chance


def test_the_error_of_a_mean_with_copies_is_that_of_a_simulation():
    draw = np.random.default_rng(0)
    times = [40, 10, 5, 5, *[1] * 20]
    means = [np.average(draw.normal(0.5, 0.1, 24), weights=times) for _ in range(4000)]
    roots = np.repeat(range(24), times)
    found = mean_of(np.repeat(draw.normal(0.5, 0.1, 24), times).tolist(), roots)
    assert (found.count, found.evaluations) == (80, 24)
    assert 0.1 / math.sqrt(found.effective) == pytest.approx(np.std(means), rel=0.03)


def test_copies_of_few_evaluations_are_not_enough():
    roots = [*range(4), *[0] * 96]
    copied = mean_of([*drawn(4), *drawn(1) * 96], roots)
    assert compare_means(copied, mean_of(drawn(50))).verdict == NOT_ENOUGH
