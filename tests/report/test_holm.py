"""Holm's correction, against examples that are computed by hand."""

import itertools

import pytest

from lightning_nas.report.holm import adjust_p_values


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # by rank: 4 * 0.005, 3 * 0.01, 2 * 0.03, then 1 * 0.04, raised to the 0.06 before it
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        # 3 * 0.02, 2 * 0.02 and 1 * 0.02: equal p-values stay equal
        ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
        # 3 * 0.001, 2 * 0.6 and 1 * 0.7: at most 1
        ([0.6, 0.001, 0.7], [1.0, 0.003, 1.0]),
        ([0.04], [0.04]),  # a single test needs no correction
        ([], []),
    ],
)
def test_p_values_are_those_computed_by_hand(given, expected):
    assert adjust_p_values(given) == pytest.approx(expected)


def test_the_order_of_the_tests_does_not_matter():
    given = [0.01, 0.04, 0.03, 0.005]
    adjusted = dict(zip(given, adjust_p_values(given), strict=True))
    for order in itertools.permutations(given):
        assert adjust_p_values(order) == pytest.approx([adjusted[p] for p in order])
