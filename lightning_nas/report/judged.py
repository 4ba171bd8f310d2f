"""Comparisons that the judge made possible: networks trained from scratch, fair shared weights."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from lightning_nas.report.comparison import Comparison, compare_arms
from lightning_nas.report.record import RunRecord
from lightning_nas.report.statistics import compare_means, estimate_mean
from lightning_nas.storage.run_folder import describe_state
from lightning_nas.storage.trial import DERIVED, RANDOM

NETWORKS = "trained from scratch"
UNIFORM = "shared weights trained on uniform samples, ranking at the end"
# what the judge tests on, in weight_sharing.json: the test split, or a table of trained networks
TEST_IMAGES, TABLE = "test", "table"


def list_comparisons(record: RunRecord) -> list[Comparison]:
    """Return all comparisons of a search with random architectures, the strongest first."""
    if record.is_random_search:
        return []
    judged = [compare_networks(record), compare_uniform_weights(record)]
    return [*[one for one in judged if one is not None], *compare_arms(record)]


def compare_networks(record: RunRecord) -> Comparison | None:
    """Compare networks that the judge trained from scratch: the derived and random architectures.

    The means are accuracies on the test split: of the derived architecture over its seeds, and of
    the random architectures over architectures.

    Returns:
        None if the search was not judged, or was resumed after the judgement, or if a version of
        this project judged it that tested the networks on the images of the rewards.
    """
    if not _has_judgement(record):
        return None
    derived = estimate_mean(
        [value for alone in _list_accuracies(record, DERIVED) for value in alone]
    )
    random_arm = estimate_mean([fmean(alone) for alone in _list_accuracies(record, RANDOM)])
    return Comparison(NETWORKS, derived, random_arm, compare_means(derived, random_arm))


def read_better_share(record: RunRecord) -> float | None:
    """Return the share of random architectures that are worse than the derived one, in [0, 1].

    Returns:
        None in the cases of ``compare_networks``, and without a network of one of the two arms.
    """
    derived, random_arm = (_list_accuracies(record, arm) for arm in (DERIVED, RANDOM))
    if not (_has_judgement(record) and derived and random_arm):
        return None
    return fmean(fmean(alone) < fmean(derived[0]) for alone in random_arm)


def compare_uniform_weights(record: RunRecord) -> Comparison | None:
    """Compare the final ranking under shared weights that were trained on uniform samples alone.

    These weights favour nothing that the controller prefers. Copies of an architecture count in the
    mean and are one evaluation for the interval.

    Returns:
        None if there are no such weights, or the search was resumed after the judgement.
    """
    facts = record.judgement.get("uniform_weights")
    if not (facts and _has_judgement(record)):
        return None

    def average(arm: str) -> Any:
        ones = [one for one in facts["architectures"] if one["arm"] == arm]
        tokens = [tuple(one["tokens"]) for one in ones]
        return estimate_mean([one["accuracy"] for one in ones], tokens)

    derived, random_arm = average(DERIVED), average(RANDOM)
    return Comparison(UNIFORM, derived, random_arm, compare_means(derived, random_arm))


def _has_judgement(record: RunRecord) -> bool:
    judgement = record.judgement
    return (
        record.shares_weights
        and judgement.get("images") in (TEST_IMAGES, TABLE)
        and judgement.get("search") == describe_state(record.summary)
    )


def _list_accuracies(record: RunRecord, arm: str) -> list[Sequence[float]]:
    architectures = record.judgement.get("architectures", ())
    return [one["alone"] for one in architectures if one["arm"] == arm]
