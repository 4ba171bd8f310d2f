"""Intervals and verdicts, compared with scipy, with formulas and with simulations."""

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from lightning_nas.report.statistics import (
    BETTER,
    CANNOT_TELL,
    NO_BETTER,
    NOT_ENOUGH,
    WORSE,
    compare_means,
    compare_pairs,
    estimate_mean,
    student_quantile,
)


def compare_values(first, second):
    return compare_means(estimate_mean(first), estimate_mean(second))


def sample_normal(count, mean=0.5, deviation=0.1, seed=0):
    return np.random.default_rng(seed).normal(mean, deviation, count).tolist()


@pytest.mark.parametrize("count", [2, 3, 10, 200])
def test_the_interval_of_a_mean_is_that_of_scipy(count):
    values = sample_normal(count)
    found = estimate_mean(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    naive = math.sqrt(sum((v - sum(values) / count) ** 2 for v in values) / (count - 1))
    assert found.deviation == pytest.approx(naive)
    assert found.count == count


def test_one_value_has_an_infinite_interval_and_no_value_has_no_mean():
    assert estimate_mean([0.25]).value == 0.25
    assert math.isinf(estimate_mean([0.25]).half)
    assert math.isnan(estimate_mean([]).value)


@pytest.mark.parametrize("degrees", [1, 2.5, 9, 1000])
def test_the_quantile_is_that_of_scipy(degrees):
    assert student_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees))


@pytest.mark.parametrize(("few", "many", "spread"), [(5, 50, 0.3), (30, 30, 0.1), (200, 7, 0.02)])
def test_the_interval_of_a_difference_is_that_of_welchs_test(few, many, spread):
    first, second = sample_normal(few, 0.6, spread, 1), sample_normal(many, 0.5, 0.1, 2)
    found = compare_values(first, second)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx(statistics.fmean(first) - statistics.fmean(second))


def test_paired_differences_are_one_sample():
    values = sample_normal(12, 0.05, 0.1)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = compare_pairs(values, 0.0)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_verdict_follows_from_the_interval():
    assert compare_values(sample_normal(50, 0.7), sample_normal(50, 0.5, seed=1)).verdict == BETTER
    assert compare_values(sample_normal(50, 0.5), sample_normal(50, 0.7, seed=1)).verdict == WORSE
    assert (
        compare_values(sample_normal(50, 0.5), sample_normal(50, 0.5, seed=1)).verdict == NO_BETTER
    )
    few = compare_values([0.3, 0.4, 0.5, 0.6, 0.8], [0.4, 0.45, 0.5, 0.55, 0.6])
    assert few.verdict == CANNOT_TELL
    assert few.low < 0 < few.smallest_gain < few.high
    assert compare_values(sample_normal(500, 0.9), sample_normal(4, 0.1)).verdict == NOT_ENOUGH
    assert compare_pairs([0.2, 0.21], 0.0).verdict == NOT_ENOUGH
    assert compare_pairs([0.2, 0.21, 0.19], 0.0, fewest=3).verdict == BETTER


def test_an_outlier_of_the_random_arm_does_not_hide_a_large_gain():
    random_arm = sample_normal(20, 0.8, 0.02, seed=1)
    arm = sample_normal(40, 0.85, 0.1)
    failed = [0.0, *random_arm[1:]]
    assert estimate_mean(failed).spread < 0.05 < estimate_mean(failed).deviation
    assert compare_values(arm, failed).verdict == CANNOT_TELL


def test_arms_without_variance_have_an_exact_verdict():
    found = compare_values([0.5] * 6, [0.4] * 6)
    assert (found.half, found.verdict) == (0.0, BETTER)
    assert compare_values([0.5] * 6, [0.5] * 6).verdict == NO_BETTER


def test_equal_arms_are_called_better_in_one_of_forty_searches():
    verdicts = [
        compare_values(sample_normal(30, seed=2 * n), sample_normal(10, seed=2 * n + 1)).verdict
        for n in range(2000)
    ]
    assert verdicts.count(BETTER) / 2000 == pytest.approx(0.025, abs=0.012)
    assert verdicts.count(WORSE) / 2000 == pytest.approx(0.025, abs=0.012)


@pytest.mark.parametrize("copies", [1, 5, 100])
def test_copies_of_one_evaluation_do_not_make_equal_arms_differ(copies):
    generator = np.random.default_rng(0)
    times = [copies, 3, *[1] * 8]
    verdicts = []
    for _ in range(1000):
        first = estimate_mean(
            np.repeat(generator.random(10), times).tolist(), np.repeat(range(10), times)
        )
        verdicts.append(compare_means(first, estimate_mean(generator.random(30).tolist())).verdict)
    wrong = verdicts.count(BETTER) + verdicts.count(WORSE)
    assert wrong / 1000 < 0.07  # 0.05 is expected


def test_the_standard_error_with_copies_is_that_of_a_simulation():
    generator = np.random.default_rng(0)
    times = [40, 10, 5, 5, *[1] * 20]
    means = [np.average(generator.normal(0.5, 0.1, 24), weights=times) for _ in range(4000)]
    roots = np.repeat(range(24), times)
    found = estimate_mean(np.repeat(generator.normal(0.5, 0.1, 24), times).tolist(), roots)
    assert (found.count, found.evaluations) == (80, 24)
    assert 0.1 / math.sqrt(found.effective) == pytest.approx(np.std(means), rel=0.03)


def test_copies_of_few_evaluations_are_not_enough():
    roots = [*range(4), *[0] * 96]
    arm = estimate_mean([*sample_normal(4), *sample_normal(1) * 96], roots)
    assert compare_means(arm, estimate_mean(sample_normal(50))).verdict == NOT_ENOUGH
