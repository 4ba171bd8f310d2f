"""Groups of runs against each other: which is best, and which pairs can be told apart.

A group of random search with otherwise equal settings shows what the other groups would have
reached without learning. The rule of ``verdict.py`` says which of them beat that group.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from scipy import stats

from lightning_nas.report.comparison import SHORT_VERDICTS, format_short_mean
from lightning_nas.report.groups import MIN_SEEDS, Group
from lightning_nas.report.holm import adjust_p_values
from lightning_nas.report.statistics import (
    BETTER,
    CANNOT_TELL,
    LEVEL,
    NO_BETTER,
    NOT_ENOUGH,
    WORSE,
    Difference,
    Mean,
    compare_means,
)
from lightning_nas.report.table import format_interval
from lightning_nas.report.verdict import decide_runs, make_verdict

PAIR_HEAD = ("first", "second", "best of the first", "best of the second", "difference",
             "95 % interval", "p (Holm)", "the first is")  # fmt: skip
PAIR_WORDS = {BETTER: "better", WORSE: "worse", NO_BETTER: "no better"}
SMALLEST_P = 0.0001  # smaller p-values are not shown


@dataclass(frozen=True)
class Pair:
    """Two groups, and the difference of their mean best rewards.

    Args:
        first: One group. If exactly one of the two is random search, it is ``second``.
        second: Other group.
        difference: Mean of the first minus mean of the second. The interval is that of this pair
            alone.
        p_value: Two-sided p-value; NaN if a group has too few runs.
    """

    first: Group
    second: Group
    difference: Difference
    p_value: float

    @property
    def is_tested(self) -> bool:
        """Whether both groups have enough runs."""
        return not math.isnan(self.p_value)

    @property
    def winner(self) -> Group | None:
        """The better group; None if the two cannot be told apart."""
        return {BETTER: self.first, WORSE: self.second}.get(self.difference.verdict)


def compare_groups(groups: Sequence[Group]) -> list[Pair]:
    """Compare the groups in pairs, with p-values that are corrected for the number of pairs.

    A verdict is ``BETTER`` or ``WORSE`` only if the corrected p-value is at most 5 %. Groups whose
    best rewards have different meanings are not compared: shared weights with training from
    scratch, or two lengths of training.
    """
    pairs = [
        _compare_pair(*sorted(both, key=lambda group: group.is_random_search))
        for both in combinations(groups, 2)
        if both[0].kind == both[1].kind and all(group.estimate_best().count for group in both)
    ]
    p_values = iter(adjust_p_values([pair.p_value for pair in pairs if pair.is_tested]))
    return [_correct(pair, next(p_values)) if pair.is_tested else pair for pair in pairs]


def _compare_pair(first: Group, second: Group) -> Pair:
    means = first.estimate_best(), second.estimate_best()
    difference = compare_means(*means, fewest=MIN_SEEDS)
    is_tested = difference.verdict != NOT_ENOUGH
    return Pair(first, second, difference, find_p_value(*means) if is_tested else math.nan)


def _correct(pair: Pair, p_value: float) -> Pair:
    """Return the pair with its corrected p-value, and the verdict that follows."""
    difference = pair.difference
    if p_value > 1 - LEVEL and difference.verdict in (BETTER, WORSE):
        difference = replace(difference, verdict=CANNOT_TELL)
    return replace(pair, difference=difference, p_value=p_value)


def find_p_value(first: Mean, second: Mean) -> float:
    """Return the two-sided p-value of Welch's t test, at most 5 % if the 95 % interval excludes 0.

    >>> from lightning_nas.report.statistics import estimate_mean
    >>> round(find_p_value(estimate_mean([0.5, 0.6, 0.7]), estimate_mean([0.8, 0.9, 1.0])), 4)
    0.0213
    """
    if not first.deviation and not second.deviation:
        return float(first.value == second.value)
    samples = [n for mean in (first, second) for n in (mean.value, mean.deviation, mean.count)]
    return float(stats.ttest_ind_from_stats(*samples, equal_var=False).pvalue)


# ---- words ---------------------------------------------------------------------------------------


def rank_groups(groups: Sequence[Group]) -> list[Group]:
    """Return the groups by the mean best reward of their runs, the highest first."""
    return sorted(groups, key=lambda group: group.estimate_best().value, reverse=True)


def describe_best(groups: Sequence[Group], pairs: Sequence[Pair]) -> str:
    """Return which group is best and how sure that is, in words; empty for a single group.

    Groups whose best rewards have different meanings are not compared: the words are empty too.
    """
    if len(groups) < 2 or len({group.kind for group in groups}) > 1:
        return ""
    first, *others = rank_groups(groups)
    won = [pair for pair in pairs if pair.winner is first]
    beaten = {group.name for pair in won for group in (pair.first, pair.second)}
    worse = [other.name for other in others if other.name in beaten]
    means = ", ".join(f"{one.name} {one.estimate_best().value:.4f}" for one in [first, *others])
    included = ", random search included" * any(other.is_random_search for other in others)
    if len(worse) == len(others):
        return f"{first.name} is better than all others{included} ({means})."
    if worse:
        return f"{first.name} has the highest mean and is better than {', '.join(worse)} ({means})."
    return (
        f"{first.name} has the highest mean, but no other group is measurably worse{included} "
        f"({means}). More seeds make the intervals narrower."
    )


def describe_against_random_search(pairs: Sequence[Pair]) -> str:
    """Return which groups beat a group of random search with otherwise equal settings, in words.

    The words are empty if there is no such pair.
    """
    found = [
        pair
        for pair in pairs
        if pair.second.is_random_search
        and not pair.first.is_random_search
        and pair.first.conditions == pair.second.conditions
    ]
    answers = "; ".join(f"{pair.first.name} against {_describe_answer(pair)}" for pair in found)
    how = "By the best reward of each run (p corrected for the number of pairs)"
    return f"{how}, {answers}." if found else ""


def _describe_answer(pair: Pair) -> str:
    verdict, doubts = decide_runs(pair.difference.verdict, pair.first.compared)
    answer = make_verdict(verdict, "").short_answer
    if not pair.is_tested:
        return f"{pair.second.name}: {answer}, each needs {MIN_SEEDS} runs"
    figures = [f"{pair.difference.value:+.4f}, p = {format_p_value(pair.p_value)}"]
    reasons = [f"not a success, because {'; and '.join(doubts)}"] if doubts else []
    return f"{pair.second.name}: {answer} ({'; '.join([*figures, *reasons])})"


def describe_pairs(pairs: Sequence[Pair]) -> list[list[str]]:
    """Return the rows of the table with the columns ``PAIR_HEAD``, one for each pair of groups."""
    return [
        [
            pair.first.name,
            pair.second.name,
            format_short_mean(pair.first.estimate_best()),
            format_short_mean(pair.second.estimate_best()),
            f"{pair.difference.value:+.4f}",
            format_interval((pair.difference.low, pair.difference.high)),
            format_p_value(pair.p_value),
            PAIR_WORDS.get(pair.difference.verdict, SHORT_VERDICTS[pair.difference.verdict]),
        ]
        for pair in pairs
    ]


def format_p_value(p_value: float) -> str:
    """Return a p-value with four digits; "unknown" for NaN.

    >>> format_p_value(0.01234), format_p_value(1e-9), format_p_value(math.nan)
    ('0.0123', 'below 0.0001', 'unknown')
    """
    if math.isnan(p_value):
        return "unknown"
    return f"{p_value:.4f}" if p_value >= SMALLEST_P else f"below {SMALLEST_P}"
