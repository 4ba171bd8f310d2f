"""What is to be said of a search with shared weights: do they rank, and is what was found better?

From the accuracies of single architectures to the facts of ``weight_sharing.json``, and the lines
that are printed. All accuracies are on the validation split, in [0, 1].
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lightning_nas.judge.correlation import correlate
from lightning_nas.report.statistics import compare_means, mean_of
from lightning_nas.storage.trial import DERIVED, POLICY, RANDOM

STATE = ("status", "architectures", "best_reward")  # of a summary: they tell its states apart
NAMES = {RANDOM: "uniform", POLICY: "the controller's", DERIVED: "derived"}


@dataclass(frozen=True)
class JudgedArchitecture:
    """An architecture, as it was judged both ways.

    Args:
        arm: ``control``, drawn uniformly; ``policy``, drawn by the controller; or ``derived``.
        tokens: Its decisions.
        shared: Accuracy with the shared weights, by the mode of batch norm.
        alone: Accuracy of trainings from scratch, one for each seed, at least one.
        parameters: Of the network that was trained.
    """

    arm: str
    tokens: tuple[int, ...]
    shared: dict[str, float]
    alone: tuple[float, ...] = field(default=())
    parameters: int | None = None

    @property
    def mean(self) -> float:
        """Accuracy from scratch, over the seeds."""
        return statistics.fmean(self.alone)


def collect_facts(judged: Sequence[JudgedArchitecture]) -> dict[str, Any]:
    """Return what ``weight_sharing.json`` has besides the settings.

    Correlations are those over the uniform architectures: the primary figure, for nothing chose
    them. ``correlations_all`` are over all; the others were chosen by these very weights.

    Args:
        judged: At least three of the arm ``control``, and one ``derived``.
    """
    arms = {arm: [one for one in judged if one.arm == arm] for arm in NAMES}
    return {
        "architectures": [asdict(one) for one in judged],
        "correlations": _correlations(arms[RANDOM]),
        "correlations_all": _correlations(judged),
        "arms": {arm: _summary(ones) for arm, ones in arms.items() if ones},
        "derived": _derived(arms[DERIVED][0], arms[RANDOM]),
        "policy": _policy(arms[POLICY], arms[RANDOM]),
        "deviation": _deviation(arms[RANDOM], judged),
    }


def _correlations(judged: Sequence[JudgedArchitecture]) -> dict[str, Any]:
    alone = [one.mean for one in judged]
    found = {
        mode: correlate([one.shared[mode] for one in judged], alone) for mode in judged[0].shared
    }
    return {mode: asdict(one) for mode, one in found.items() if one is not None}


def _summary(judged: Sequence[JudgedArchitecture]) -> dict[str, Any]:
    alone = [one.mean for one in judged]
    return {
        "count": len(judged),
        "alone_mean": statistics.fmean(alone),
        "alone_std": statistics.stdev(alone) if len(alone) > 1 else None,
        "alone_best": max(alone),
        "shared_mean": {
            mode: statistics.fmean(one.shared[mode] for one in judged) for mode in judged[0].shared
        },
    }


def _derived(
    derived: JudgedArchitecture, control: Sequence[JudgedArchitecture]
) -> dict[str, float]:
    alone = [one.mean for one in control]
    return {
        "alone_mean": derived.mean,
        "control_mean": statistics.fmean(alone),
        "control_std": statistics.stdev(alone),
        "control_best": max(alone),
        "better_than": sum(one < derived.mean for one in alone) / len(alone),
    }


def _policy(
    policy: Sequence[JudgedArchitecture], control: Sequence[JudgedArchitecture]
) -> dict[str, Any] | None:
    """Return how the controller's architectures compare with uniform ones, trained alike.

    The interval is None where there are too few of either for one.
    """
    if not policy:
        return None
    ours, theirs = (mean_of([one.mean for one in arm]) for arm in (policy, control))
    found = compare_means(ours, theirs)
    return {
        "alone_mean": ours.value,
        "difference": found.value,
        "difference_interval": (found.low, found.high) if math.isfinite(found.half) else None,
        "verdict": found.verdict,
    }


def _deviation(
    control: Sequence[JudgedArchitecture], judged: Sequence[JudgedArchitecture]
) -> dict[str, float | None]:
    """Return how far uniform architectures lie apart, and the seeds of one of any arm."""
    within = [statistics.variance(one.alone) for one in judged if len(one.alone) > 1]
    return {
        "architectures": statistics.stdev(one.mean for one in control),
        "seeds": statistics.fmean(within) ** 0.5 if within else None,
    }


def describe_state(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far a search has come, by its summary: what was judged is known again by it."""
    return {name: summary.get(name) for name in STATE}


def format_facts(facts: Mapping[str, Any]) -> str:
    """Return the facts as lines for a terminal."""
    lines = [f"{'trained alone':<18}{'count':>6}{'mean':>9}{'std':>8}{'best':>9}"]
    for arm, name in NAMES.items():
        if one := facts["arms"].get(arm):
            std = "" if one["alone_std"] is None else f"{one['alone_std']:.2%}"
            row = f"{one['alone_mean']:>9.2%}{std:>8}{one['alone_best']:>9.2%}"
            lines.append(f"{name:<18}{one['count']:>6}{row}")
    lines += ["", f"{'shared weights':<18}{'tau':>6}{'[95 %]':>17}{'rho':>7}{'[95 %]':>17}"]
    for mode, one in facts["correlations"].items():
        tau, rho = (f"[{low:.2f}, {high:.2f}]" for low, high in map(one.get, INTERVALS))
        lines.append(f"{mode:<18}{one['tau']:>6.2f}{tau:>17}{one['rho']:>7.2f}{rho:>17}")
    better = f"{facts['derived']['better_than']:.0%}"
    lines += [f"over the uniform ones; the derived one is better than {better} of them"]
    return "\n".join([*lines, "", *list_remarks(facts)]).rstrip()


def list_remarks(facts: Mapping[str, Any]) -> list[str]:
    """Return what is to be said beside the figures, a sentence each: here and in a report."""
    said = []
    policy = facts.get("policy") or {}
    if "verdict" in policy:
        ends = policy["difference_interval"]
        interval = "" if ends is None else f" (95 % interval {ends[0]:+.2%} to {ends[1]:+.2%})"
        said.append(
            f"Trained alone, the controller's less the uniform ones: {policy['difference']:+.2%}"
            f"{interval}, {policy['verdict']}."
        )
    failed = len(facts.get("failed", ()))
    if failed:
        trainings = failed + sum(len(one["alone"]) for one in facts["architectures"])
        said.append(f"{failed} of {trainings} trainings failed and are left out.")
    return said


INTERVALS = ("tau_interval", "rho_interval")
