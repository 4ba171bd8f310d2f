"""The facts about weight sharing in ``weight_sharing.json``, for a terminal and for a report.

Do shared weights rank architectures as training from scratch does, and are the architectures that
the search found better than its random arm? Accuracies with the shared weights are on the
validation split, accuracies after training from scratch on the test split; both are in [0, 1].
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.judge.scatter import TITLES, list_modes, make_small_scatter
from lightning_nas.report.comparison import VERDICT_WORDS
from lightning_nas.report.inline import inline_figure
from lightning_nas.report.statistics import compare_means, correlate_ranks, estimate_mean
from lightning_nas.report.table import format_interval, format_number
from lightning_nas.storage.run_folder import RunFolder, describe_state
from lightning_nas.storage.trial import DERIVED, POLICY, RANDOM

ARM_NAMES = {RANDOM: "random arm", POLICY: "controller", DERIVED: "derived"}


@dataclass(frozen=True)
class ArchitectureScores:
    """The accuracies of an architecture with the shared weights and after training from scratch.

    Args:
        arm: ``control`` (the random arm), ``policy`` (sampled by the controller), or ``derived``.
        tokens: The decisions that describe the architecture.
        shared: Accuracy with the shared weights, by mode of batch norm.
        alone: Accuracy after training from scratch, one value for each seed, at least one.
        parameters: Number of parameters of the child.
    """

    arm: str
    tokens: tuple[int, ...]
    shared: dict[str, float]
    alone: tuple[float, ...] = ()
    parameters: int | None = None

    @property
    def mean(self) -> float:
        """Mean over the seeds of the accuracy after training from scratch."""
        return statistics.fmean(self.alone)


Scores = Sequence[ArchitectureScores]


def collect_facts(scores: Scores) -> dict[str, Any]:
    """Return the content of ``weight_sharing.json``, without the settings.

    ``correlations`` are over the random arm: they are the primary result, because no reward chose
    these architectures. ``correlations_all`` are over all; the shared weights chose the others.

    Args:
        scores: At least three architectures of the random arm ``control``, and one of ``derived``.
    """
    arms = {arm: [one for one in scores if one.arm == arm] for arm in ARM_NAMES}
    means = [one.mean for one in arms[RANDOM]]
    derived = arms[DERIVED][0].mean
    variances = [statistics.variance(one.alone) for one in scores if len(one.alone) > 1]
    return {
        "architectures": [asdict(one) for one in scores],
        "correlations": _correlate_modes(arms[RANDOM]),
        "correlations_all": _correlate_modes(scores),
        "arms": {arm: _summarise_arm(ones) for arm, ones in arms.items() if ones},
        "derived": {
            "alone_mean": derived,
            "control_mean": statistics.fmean(means),
            "control_std": statistics.stdev(means),
            "control_best": max(means),
            "better_than": sum(mean < derived for mean in means) / len(means),
        },
        "policy": _compare_policy(arms[POLICY], means) if arms[POLICY] else None,
        "deviation": {
            "architectures": statistics.stdev(means),
            "seeds": statistics.fmean(variances) ** 0.5 if variances else None,
        },
    }


def _correlate_modes(scores: Scores) -> dict[str, Any]:
    alone = [one.mean for one in scores]
    correlations = {
        mode: correlate_ranks([one.shared[mode] for one in scores], alone)
        for mode in scores[0].shared
    }
    return {mode: asdict(one) for mode, one in correlations.items() if one is not None}


def _summarise_arm(scores: Scores) -> dict[str, Any]:
    alone = [one.mean for one in scores]
    return {
        "count": len(scores),
        "alone_mean": statistics.fmean(alone),
        "alone_std": statistics.stdev(alone) if len(alone) > 1 else None,
        "alone_best": max(alone),
        "shared_mean": {
            mode: statistics.fmean(one.shared[mode] for one in scores) for mode in scores[0].shared
        },
    }


def _compare_policy(policy: Scores, random_means: Sequence[float]) -> dict[str, Any]:
    """Return the controller's architectures minus the random arm, both trained from scratch."""
    mean = estimate_mean([one.mean for one in policy])
    difference = compare_means(mean, estimate_mean(random_means))
    has_interval = math.isfinite(difference.half)
    return {
        "alone_mean": mean.value,
        "difference": difference.value,
        "difference_interval": (difference.low, difference.high) if has_interval else None,
        "verdict": difference.verdict,
    }


# ---- in words ------------------------------------------------------------------------------------


def format_facts(facts: Mapping[str, Any]) -> str:
    """Return the facts as lines for a terminal."""
    lines = [f"{'from scratch':<18}{'count':>6}{'mean':>9}{'std':>8}{'best':>9}"]
    for arm, name in ARM_NAMES.items():
        if one := facts["arms"].get(arm):
            std = "" if one["alone_std"] is None else f"{one['alone_std']:.2%}"
            row = f"{one['alone_mean']:>9.2%}{std:>8}{one['alone_best']:>9.2%}"
            lines.append(f"{name:<18}{one['count']:>6}{row}")
    lines += ["", f"{'mode of batch norm':<18}{'tau':>6}{'[95 %]':>17}{'rho':>7}{'[95 %]':>17}"]
    for mode, one in facts["correlations"].items():
        tau, rho = (f"[{one[n][0]:.2f}, {one[n][1]:.2f}]" for n in ("tau_interval", "rho_interval"))
        lines.append(f"{mode:<18}{one['tau']:>6.2f}{tau:>17}{one['rho']:>7.2f}{rho:>17}")
    lines.append("tau, rho: shared weights against training from scratch, over the random arm")
    better = f"{facts['derived']['better_than']:.0%}"
    lines += ["", f"The derived architecture is better than {better} of the random arm."]
    if facts.get("table"):
        lines.append(_describe_place(facts["table"]))
    return "\n".join([*lines, *list_remarks(facts)])


def list_remarks(facts: Mapping[str, Any]) -> list[str]:
    """Return remarks beside the figures, one sentence each."""
    remarks = []
    policy = facts.get("policy") or {}
    if "verdict" in policy:
        ends = policy["difference_interval"]
        interval = "" if ends is None else f" (95 % interval {ends[0]:+.2%} to {ends[1]:+.2%})"
        remarks.append(
            "Trained from scratch, accuracy of the controller's architectures minus the random "
            f"arm: {policy['difference']:+.2%}{interval}, {VERDICT_WORDS[policy['verdict']]}."
        )
    failed = len(facts.get("failed", ()))
    if failed:
        trainings = failed + sum(len(one["alone"]) for one in facts["architectures"])
        remarks.append(f"{failed} of {trainings} trainings failed and are left out.")
    return remarks


def describe_weight_sharing(run: RunFolder) -> dict[str, Any] | None:
    """Return the section of a report, by the names in ``run.html``; None if nothing was judged.

    Raises:
        InputError: If ``weight_sharing.json`` is damaged.
    """
    facts = run.read_judgement()
    if not facts:
        return None
    try:
        section = _build_section(facts)
        # drawn again: the SVG file of a stranger could hold scripts
        charts = [_build_chart(facts, mode) for mode in list_modes(facts)]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{run.judgement}: damaged: {error!r}") from None
    state = describe_state(run.read_summary())
    if facts.get("search", state) != state:
        section["notes"].append(
            "These results are from an earlier state: the search was resumed since. "
            "Run python -m lightning_nas.judge again."
        )
    return section | {"charts": charts}


def _build_chart(facts: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """Return the chart of a mode of batch norm with the keys of the macro ``figure``."""
    name, title = f"sharing-{mode}", f"{TITLES[mode][0].upper()}{TITLES[mode][1:]}"
    one = facts["correlations"].get(mode)
    caption = "The random arm has no order."
    if one is not None:
        interval = format_interval(one["tau_interval"], digits=2)
        caption = f"Kendall's tau of the random arm: {one['tau']:.2f} (95 %: {interval})."
    svg = inline_figure(make_small_scatter(facts, mode), name, f"Weight sharing, {TITLES[mode]}")
    return {"name": name, "title": title, "caption": caption, "svg": svg}


def _build_section(facts: Mapping[str, Any]) -> dict[str, Any]:
    words = (
        f"{len(facts['architectures'])} architectures of this search were trained from scratch for "
        f"{facts['epochs']} epochs each. The table compares the accuracies of the random arm with "
        "those under the shared weights: a correlation of 1 is the same order, 0 is none."
    )
    rows = [
        [
            mode,
            format_number(one["count"]),
            f"{one['tau']:.2f}",
            format_interval(one["tau_interval"], digits=2),
            f"{one['rho']:.2f}",
            format_interval(one["rho_interval"], digits=2),
        ]
        for mode, one in facts["correlations"].items()
    ]
    derived = ""
    if one := facts.get("derived"):
        derived = (
            f"Trained from scratch, the derived architecture has an accuracy of "
            f"{one['alone_mean']:.2%}, the random arm {one['control_mean']:.2%} on average "
            f"(standard deviation {one['control_std']:.2%}) and {one['control_best']:.2%} at best. "
            f"The derived architecture is better than {one['better_than']:.0%} of the random arm."
        )
    if facts.get("table"):
        derived = f"{derived} {_describe_place(facts['table'])}"
    return {"words": words, "rows": rows, "derived": derived, "notes": list_remarks(facts)}


def _describe_place(place: Mapping[str, Any]) -> str:
    return (
        f"In the table, its accuracy is {place['accuracy']:.2%}: rank {place['rank']:,} of "
        f"{place['count']:,}; the best has {place['best']:.2%}."
    )
