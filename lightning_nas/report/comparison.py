"""The comparison of a search with its random arm: selection of trials, means, a table.

The random arm is a set of uniformly sampled architectures. The search evaluates the random arm in
the same way as its own architectures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lightning_nas.report.record import RunRecord
from lightning_nas.report.statistics import (
    BETTER,
    CANNOT_TELL,
    NO_BETTER,
    NOT_ENOUGH,
    WORSE,
    Difference,
    Mean,
    compare_means,
    compare_pairs,
    estimate_mean,
)
from lightning_nas.report.table import format_interval
from lightning_nas.storage.trial import DERIVED, POLICY, RANDOM, Trial

PARTS = 12  # number of parts of a search, for curves of shares
HEAD = ("when", "search", "random arm", "difference", "95 % interval", "verdict")
VERDICT_WORDS = {
    BETTER: "better than the random arm",
    NO_BETTER: "no better than the random arm",
    WORSE: "worse than the random arm",
    CANNOT_TELL: CANNOT_TELL,
    NOT_ENOUGH: NOT_ENOUGH,
}
SHORT_VERDICTS = {key: words.split(" than ")[0] for key, words in VERDICT_WORDS.items()}  # tables
SHARED = "shared weights, "
UNIT_OF_EPOCHS = "epochs with a random arm"
Pair = tuple[list[Trial], list[Trial]]  # trials of the controller and of the random arm


@dataclass(frozen=True)
class Comparison:
    """Mean rewards of a search and of its random arm.

    Args:
        when: Name of the compared part of the search, for a table.
        search: Mean reward of the architectures that the method sampled.
        random_arm: Mean reward of the random arm.
        difference: Difference of the two, with the verdict. For ENAS it is the mean of the
            differences of the epochs.
        unit: What was counted, for the message that there are too few.
    """

    when: str
    search: Mean
    random_arm: Mean
    difference: Difference
    unit: str = "evaluations in one of the two arms"

    @property
    def has_both_arms(self) -> bool:
        """Whether both arms have at least one trial."""
        return self.search.count > 0 and self.random_arm.count > 0


def list_rewards(trials: Sequence[Trial]) -> list[float]:
    """Return the rewards of trials."""
    return [trial.reward for trial in trials]


def mean_reward(trials: Sequence[Trial]) -> Mean:
    """Return the mean reward of trials, with its interval.

    Copies count in the mean. For the interval, a trial and its copies are one evaluation.
    """
    roots = [trial.number if trial.same_as is None else trial.same_as for trial in trials]
    return estimate_mean(list_rewards(trials), roots)


def split_into_parts(trials: Sequence[Trial], count: int = PARTS) -> list[Sequence[Trial]]:
    """Split trials, in their order, into at most ``count`` parts of about equal length.

    No part is empty.
    """
    count = min(count, len(trials))
    edges = [round(place * len(trials) / max(1, count)) for place in range(count + 1)]
    return [trials[first:last] for first, last in pairwise(edges)]


# ---- selection of trials -------------------------------------------------------------------------


def list_final_ranking(record: RunRecord) -> tuple[tuple[Trial, ...], tuple[Trial, ...]]:
    """Return the architectures in the final ranking of ENAS: derived ones, then the random arm."""
    derived = record.select_arms(DERIVED)
    first = min((trial.number for trial in derived), default=math.inf)
    return derived, tuple(t for t in record.select_arms(RANDOM) if t.number > first)


def list_random_arm(record: RunRecord) -> tuple[Trial, ...]:
    """Return the random arm, without the architectures of the final ranking."""
    ranked = {trial.number for trial in list_final_ranking(record)[1]}
    return tuple(trial for trial in record.select_arms(RANDOM) if trial.number not in ranked)


def list_second_half(record: RunRecord) -> tuple[tuple[Trial, ...], tuple[Trial, ...]]:
    """Return the method's trials in the second half of the search, and the random arm.

    If the space is constant, the whole random arm is returned. If the space grows, only the part of
    the random arm with the same trial numbers is returned: these trials have equal spaces.
    """
    policy = sorted(record.select_arms(POLICY), key=lambda trial: trial.number)
    half = policy[len(policy) // 2 :]
    random_arm = list_random_arm(record)
    if record.has_growing_space and half:
        numbers = range(half[0].number, half[-1].number + 1)
        random_arm = tuple(trial for trial in random_arm if trial.number in numbers)
    return tuple(half), random_arm


def pair_epochs(record: RunRecord) -> list[Pair]:
    """Return, for each epoch of ENAS, the trials of the controller and of the random arm.

    In each epoch the journal has the random arm before the controller. A trial of the random arm
    after a trial of the controller therefore starts a new epoch. Epochs without a random arm are
    left out.
    """
    pairs: list[Pair] = []
    ranked = {trial.number for trial in list_final_ranking(record)[1]}
    steps = record.config["method"]["controller_steps"]
    previous_arm = POLICY
    for trial in sorted(record.select_arms(POLICY, RANDOM), key=lambda trial: trial.number):
        arm = trial.proposal.arm
        if trial.number in ranked:
            break
        if arm == RANDOM and previous_arm == POLICY:
            pairs.append(([], []))
        if pairs and not _is_later_epoch(trial, pairs[-1][0], steps):
            pairs[-1][arm == RANDOM].append(trial)
        previous_arm = arm
    return [(policy, random_arm) for policy, random_arm in pairs if policy and random_arm]


def _is_later_epoch(trial: Trial, policy: Sequence[Trial], steps: int) -> bool:
    """Return whether a trial belongs to a later epoch than the given trials of the controller."""
    return bool(policy) and trial.proposal.step >= policy[0].proposal.step + steps


def compare_arms(record: RunRecord) -> list[Comparison]:
    """Return the comparisons of the rewards of a search with those of its random arm."""
    if record.shares_weights:
        return _compare_epochs(record)
    arms = record.select_arms(POLICY), record.select_arms(RANDOM)
    return [
        _compare_trials("second half of the search", *list_second_half(record)),
        _compare_trials("whole search", *arms),
    ]


def _compare_epochs(record: RunRecord) -> list[Comparison]:
    """Return the comparisons of a search with shared weights: final ranking, then paired epochs."""
    derived, ranked_random = list_final_ranking(record)
    ranking = _compare_trials(f"{SHARED}ranking at the end", derived, ranked_random)
    comparisons = [ranking] if derived else []
    pairs = pair_epochs(record)
    for when, part in (
        (f"{SHARED}second half of the search", pairs[len(pairs) // 2 :]),
        (f"{SHARED}whole search", pairs),
    ):
        policy, random_arm = (
            mean_reward([t for pair in part for t in pair[arm]]) for arm in (0, 1)
        )
        differences = [mean_reward(p).value - mean_reward(r).value for p, r in part]
        difference = compare_pairs(differences, random_arm.spread)
        comparisons.append(Comparison(when, policy, random_arm, difference, UNIT_OF_EPOCHS))
    return comparisons


def _compare_trials(when: str, policy: Sequence[Trial], random_arm: Sequence[Trial]) -> Comparison:
    means = mean_reward(policy), mean_reward(random_arm)
    return Comparison(when, *means, compare_means(*means))


# ---- texts ---------------------------------------------------------------------------------------


def format_mean(mean: Mean) -> str:
    """Return a mean, half the width of the interval, and the number of values.

    >>> format_mean(estimate_mean([0.5, 0.7, 0.6, 0.6], "abcc"))
    '0.6000 ± 0.2635 (of 4, 3 evaluated)'
    """
    if not mean.count:
        return "none"
    copies = f", {mean.evaluations:,} evaluated" if mean.evaluations < mean.count else ""
    return f"{format_short_mean(mean)} (of {mean.count:,}{copies})"


def format_short_mean(mean: Mean) -> str:
    """Return a mean and half the width of the interval; "none" without values."""
    half = f" ± {mean.half:.4f}" if math.isfinite(mean.half) else ""
    return f"{mean.value:.4f}{half}" if mean.count else "none"


def describe_comparisons(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Return comparisons as rows of a table with the columns ``HEAD``."""
    return [
        [
            one.when,
            format_mean(one.search),
            format_mean(one.random_arm),
            "" if math.isnan(one.difference.value) else f"{one.difference.value:+.4f}",
            format_interval((one.difference.low, one.difference.high)),
            SHORT_VERDICTS[one.difference.verdict],
        ]
        for one in comparisons
    ]


def describe_difference(difference: Difference) -> str:
    """Return a difference with its interval and verdict."""
    ends = format_interval((difference.low, difference.high))
    words = f"a difference of {difference.value:+.4f} (95 % interval {ends})"
    if difference.verdict == CANNOT_TELL:
        return f"{words}."
    return f"{words}, {VERDICT_WORDS[difference.verdict]}."
