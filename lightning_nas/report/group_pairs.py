"""Groups of runs against each other: which is best, and which pairs can be told apart."""

from collections.abc import Sequence
from itertools import combinations

from lightning_nas.report.comparison import SHORT_VERDICTS, format_short_mean
from lightning_nas.report.groups import MIN_SEEDS, Group
from lightning_nas.report.statistics import BETTER, NO_BETTER, WORSE, Mean, compare_means
from lightning_nas.report.table import format_interval

PAIR_HEAD = ("first", "second", "best of the first", "best of the second", "difference",
             "95 % interval", "the first is")  # fmt: skip
PAIR_WORDS = {BETTER: "better", WORSE: "worse", NO_BETTER: "no better"}


def rank_groups(groups: Sequence[Group]) -> list[Group]:
    """Return the groups by the mean best reward of their runs, the highest first."""
    return sorted(groups, key=lambda group: group.estimate_best().value, reverse=True)


def describe_best(groups: Sequence[Group]) -> str:
    """Return which group is best and how sure that is, in words; empty for a single group.

    Groups whose best rewards have different meanings are not compared: the words are empty too.
    """
    if len(groups) < 2 or len({group.kind for group in groups}) > 1:
        return ""
    first, *others = rank_groups(groups)
    best = first.estimate_best()
    worse = [
        other.name
        for other in others
        if compare_means(best, other.estimate_best(), fewest=MIN_SEEDS).verdict == BETTER
    ]
    means = ", ".join(f"{one.name} {one.estimate_best().value:.4f}" for one in [first, *others])
    if len(worse) == len(others):
        return f"{first.name} is better than all others ({means})."
    if worse:
        return f"{first.name} has the highest mean and is better than {', '.join(worse)} ({means})."
    return (
        f"{first.name} has the highest mean, but no other group is measurably worse ({means}). "
        "More seeds make the intervals narrower."
    )


def describe_pairs(groups: Sequence[Group]) -> list[list[str]]:
    """Return the rows of the table with the columns ``PAIR_HEAD``, one for each pair of groups.

    Groups whose best rewards have different meanings are not compared: shared weights with training
    from scratch, or two lengths of training.
    """
    rows = []
    for first, second in combinations(groups, 2):
        if first.kind == second.kind:
            best = first.estimate_best(), second.estimate_best()
            if min(one.count for one in best):
                rows.append([first.name, second.name, *_describe_pair(*best)])
    return rows


def _describe_pair(first: Mean, second: Mean) -> list[str]:
    difference = compare_means(first, second, fewest=MIN_SEEDS)
    return [
        format_short_mean(first),
        format_short_mean(second),
        f"{difference.value:+.4f}",
        format_interval((difference.low, difference.high)),
        PAIR_WORDS.get(difference.verdict, SHORT_VERDICTS[difference.verdict]),
    ]
