"""Charts of several runs: rewards averaged over the runs of a group, and groups in one chart."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import fmean
from typing import Any

from lightning_nas.report import charts
from lightning_nas.report.charts import BEST_COLOUR, POLICY_COLOUR, RANDOM_COLOUR, Chart
from lightning_nas.report.comparison import list_random_arm, list_rewards
from lightning_nas.report.groups import Group
from lightning_nas.report.record import RunRecord
from lightning_nas.report.statistics import estimate_mean
from lightning_nas.storage.trial import POLICY

CURVE_POINTS = 20
Curve = tuple[list[float], list[float]]


def chart_groups(groups: Sequence[Group]) -> Iterator[Chart]:
    """Yield the best reward so far of all groups in one chart, then the charts of each group."""
    by_trials = [group for group in groups if not group.records[0].shares_weights]
    if len({group.kind for group in by_trials}) == 1 < len(by_trials) <= len(charts.OTHERS):
        yield _compare_best(by_trials)
    for place, group in enumerate(groups):
        for chart in _chart_runs(group.records):
            if len(groups) == 1:
                yield chart
            else:
                title = f"{group.name}: {chart.title[0].lower()}{chart.title[1:]}"
                yield replace(chart, name=f"{chart.name}-{place}", title=title)


def _compare_best(groups: Sequence[Group]) -> Chart:
    """Return the best reward so far of each group, averaged over its runs, in one chart."""
    figure, axes = charts.make_axes("part of the search (%)", "best reward so far")
    highest = 0.0
    for group, colour in zip(groups, charts.OTHERS, strict=False):
        rewards = [list_rewards(record.select_arms(POLICY)) for record in group.records]
        curves = [_trace_best(one) for one in rewards if one]
        charts.add_band(axes, _average_runs(curves), colour, group.name)
        highest = max(highest, *(max(curve[1]) for curve in curves))
    charts.cut_at_one(axes, highest)
    charts.add_legend(axes, columns=1)
    return Chart(
        "groups",
        "Best reward so far, by group",
        "The highest reward up to each part of the search. Lines are means over the runs of a "
        "group, bands their 95 % intervals.",
        figure,
    )


def _chart_runs(records: Sequence[RunRecord]) -> Iterator[Chart]:
    """Yield the reward, and the best reward so far, averaged over runs."""
    policies = [list_rewards(record.select_arms(POLICY)) for record in records]
    random_arms = [list_rewards(list_random_arm(record)) for record in records]
    policies, random_arms = [p for p in policies if p], [r for r in random_arms if r]
    figure, axes = charts.make_axes("part of the search (%)", "reward")
    _add_runs(axes, list(map(average_curve, policies)), POLICY_COLOUR, "search")
    if random_arms:
        band = _average_runs(list(map(average_curve, random_arms)))
        charts.add_band(axes, band, RANDOM_COLOUR, "random arm")
    highest = max(map(max, [*policies, *random_arms]))
    charts.cut_at_one(axes, highest)
    charts.add_legend(axes)
    yield Chart(
        "reward",
        "Reward, averaged over runs",
        f"Each run is divided into {CURVE_POINTS} parts. Thick lines are means over runs, bands "
        "their 95 % intervals, thin lines single runs.",
        figure,
    )
    if not any(record.shares_weights for record in records):
        figure, axes = charts.make_axes("part of the search (%)", "best reward so far")
        _add_runs(axes, list(map(_trace_best, policies)), BEST_COLOUR, "best so far")
        charts.cut_at_one(axes, highest)
        yield Chart(
            "best-so-far",
            "Best reward so far, averaged over runs",
            "The highest reward up to each part of the search. The thick line is the mean over "
            "runs, the band its 95 % interval, thin lines are single runs.",
            figure,
        )


def _add_runs(axes: Any, curves: Sequence[Curve], colour: str, label: str) -> None:
    for curve in curves:
        axes.plot(*curve, color=colour, linewidth=0.6, alpha=0.35)
    charts.add_band(axes, _average_runs(curves), colour, label)


def average_curve(rewards: Sequence[float]) -> Curve:
    """Return the mean reward of each part of a search, at the same places (in %) in every run.

    With fewer rewards than parts, neighbouring parts have the same value.
    """
    edges = [place * len(rewards) // CURVE_POINTS for place in range(CURVE_POINTS + 1)]
    parts = [rewards[first : max(first + 1, last)] for first, last in pairwise(edges)]
    return [100 * (n + 0.5) / CURVE_POINTS for n in range(CURVE_POINTS)], list(map(fmean, parts))


def _trace_best(rewards: Sequence[float]) -> Curve:
    places = range(1, CURVE_POINTS + 1)
    ends = [max(1, round(place * len(rewards) / CURVE_POINTS)) for place in places]
    return [100 * place / CURVE_POINTS for place in places], [max(rewards[:end]) for end in ends]


def _average_runs(curves: Sequence[Curve]) -> charts.Band:
    """Return the mean over runs at each place; all curves have the same places."""
    if not curves:
        return [], []
    values = zip(*(ys for _, ys in curves), strict=True)
    return curves[0][0], [estimate_mean(some) for some in values]
