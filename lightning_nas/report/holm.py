"""Holm's correction of p-values for the number of tests."""

from collections.abc import Sequence


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Return p-values that are corrected for the number of tests, in the same order.

    If each hypothesis with an adjusted p-value of at most 0.05 is rejected, the probability that
    any true hypothesis is rejected is at most 5 %, whether or not the tests are independent.

    Args:
        p_values: A p-value in [0, 1] for each test.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6, 1979.

    >>> [round(p, 3) for p in adjust_p_values([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
