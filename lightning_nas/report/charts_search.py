"""The charts of a search, each with a caption that says how to read it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from statistics import fmean

from lightning_nas.report import charts
from lightning_nas.report.charts import POLICY_COLOUR, RANDOM_COLOUR, Chart
from lightning_nas.report.comparison import (
    Pair,
    list_final_ranking,
    list_random_arm,
    list_rewards,
    list_second_half,
    mean_reward,
    pair_epochs,
    split_into_parts,
)
from lightning_nas.report.record import RunRecord
from lightning_nas.report.shares import DECODED, trace_shares
from lightning_nas.report.statistics import MIN_EVALUATIONS, compare_means
from lightning_nas.storage.trial import FINALIST, POLICY, RANDOM, Trial

CURVE_POINTS = 20  # at most, on a curve of means
MOST_DIFFERENCES = 24  # at most, in the chart of epochs
COST_NAMES = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "latency": "seconds per batch",
}
CHOICE_TITLES = {
    "operations": "Operations",
    "inputs": "Inputs of blocks",
    "skips": "Skip connections",
    "windows": "Windows of convolutions",
    "filters": "Filters",
}


def chart_rewards(record: RunRecord) -> Iterator[Chart]:
    """Yield the charts of the reward, of the shared weights, and of the reward distributions."""
    yield _chart_reward(record)
    curves = {
        name: record.read_curve(metric)
        for name, metric in (("training", "weights/accuracy"), ("validation", "val/accuracy"))
    }
    logged = {name: points for name, points in curves.items() if points[0]}
    if logged:
        yield Chart(
            "weights",
            "Shared weights",
            "Accuracy of sampled architectures with the shared weights, on training batches and "
            "on validation data. While this accuracy rises, early and late rewards cannot be "
            "compared.",
            charts.draw_lines("epoch", "accuracy", logged),
        )
    late, random_arm = list_second_half(record)
    if late and random_arm and not record.shares_weights:
        arms = {
            f"search, second half ({len(late)})": list_rewards(late),
            f"random arm ({len(random_arm)})": list_rewards(random_arm),
        }
        period = " of the same period, because the space grows" if record.has_growing_space else ""
        yield Chart(
            "spread",
            "Search and random arm",
            f"Distribution of the rewards in the second half of the search and in the random arm"
            f"{period}. Vertical lines are means: the larger their distance, the more the search "
            "has learned.",
            charts.draw_histograms("reward", arms, (POLICY_COLOUR, RANDOM_COLOUR)),
        )


def _chart_reward(record: RunRecord) -> Chart:
    figure, axes = charts.make_axes("architectures of the search", "reward")
    policy, random_arm = record.select_arms(POLICY), list_random_arm(record)
    places = _number_trials(record, random_arm)
    if policy:
        points = [places[t.number] for t in policy], list_rewards(policy)
        charts.add_dots(axes, points, POLICY_COLOUR)
        charts.add_band(axes, _average_parts(policy, places), POLICY_COLOUR, "search")
    if random_arm and (record.shares_weights or record.has_growing_space):
        # rewards rise while the weights are trained or the space grows: one mean would mislead
        band = _average_parts(random_arm, places)
        charts.add_band(axes, band, RANDOM_COLOUR, "random arm")
    elif random_arm:
        mean = mean_reward(random_arm)
        charts.add_level(axes, mean, RANDOM_COLOUR, f"random arm ({mean.count})")
    if policy and not record.shares_weights:
        x, best = charts.thin_points((points[0], list(accumulate(points[1], max))))
        axes.plot(x, best, color=charts.BEST_COLOUR, linewidth=1.1, label="best so far")
    charts.add_legend(axes, 3)
    thinned = f" ({charts.MOST_DOTS:,} are drawn)" if len(policy) > charts.MOST_DOTS else ""
    return Chart(
        "reward",
        "Reward over the search",
        f"A dot is an architecture of the search{thinned}. Lines are means over parts of the "
        "search, bands are their 95 % intervals. A search that learns rises above its random arm.",
        figure,
    )


def _number_trials(record: RunRecord, random_arm: Sequence[Trial]) -> dict[int, int]:
    """Return the x coordinate (from 1) of each trial of the search and random arm, by trial number.

    Trials with shared weights are sorted by number, other trials by the time of their end.
    """
    numbers = {trial.number for trial in random_arm}
    trials = [t for t in record.trials if t.proposal.arm == POLICY or t.number in numbers]
    if record.shares_weights:
        trials.sort(key=lambda trial: trial.number)
    return {trial.number: place for place, trial in enumerate(trials, start=1)}


def _average_parts(trials: Sequence[Trial], places: Mapping[int, int]) -> charts.Band:
    parts = split_into_parts(trials, min(CURVE_POINTS, max(1, len(trials) // 5)))
    x = [sum(places[t.number] for t in part) / len(part) for part in parts]
    return x, [mean_reward(part) for part in parts]


def chart_arms(record: RunRecord) -> Iterator[Chart]:
    """Yield the charts of controller and random arm: by epoch, and in the final ranking."""
    pairs = join_epochs(pair_epochs(record))
    if pairs:
        steps = [fmean(trial.proposal.step for trial in policy) for policy, _ in pairs]
        differences = [compare_means(*map(mean_reward, pair)) for pair in pairs]
        yield Chart(
            "arms",
            "Controller minus random arm",
            "A dot is the mean reward of the controller's architectures minus that of the random "
            "arm in the same epoch, with the same weights; bars are 95 % intervals. Above the line "
            f"the controller is better. Epochs are joined until both arms have {MIN_EVALUATIONS} "
            "architectures; a hollow dot has fewer.",
            charts.draw_differences("step of the controller", steps, differences),
        )
    derived, random_arm = list_final_ranking(record)
    if derived and random_arm:
        arms = {
            f"controller ({len(derived)})": list_rewards(derived),
            f"random arm ({len(random_arm)})": list_rewards(random_arm),
        }
        yield Chart(
            "ranking",
            "The ranking at the end",
            "Accuracy on the whole validation split with the final weights. Vertical lines are "
            "means: the further right the line of the controller, the more the controller has "
            "learned.",
            charts.draw_histograms("accuracy", arms, (POLICY_COLOUR, RANDOM_COLOUR)),
        )


def join_epochs(pairs: Sequence[Pair]) -> list[Pair]:
    """Join epochs until both arms have ``MIN_EVALUATIONS`` evaluations; the last may have fewer.

    Returns:
        At most ``MOST_DIFFERENCES`` pairs.
    """
    width = -(-len(pairs) // MOST_DIFFERENCES)
    joined: list[Pair] = []
    epochs_in_last = 0
    for policy, random_arm in pairs:
        if joined and (
            epochs_in_last < width
            or min(mean_reward(arm).evaluations for arm in joined[-1]) < MIN_EVALUATIONS
        ):
            joined[-1] = [*joined[-1][0], *policy], [*joined[-1][1], *random_arm]
            epochs_in_last += 1
        else:
            joined.append((policy, random_arm))
            epochs_in_last = 1
    return joined


def chart_controller(record: RunRecord) -> Iterator[Chart]:
    """Yield the charts of entropy and baseline of the controller, if the metrics were logged."""
    x_label = "epoch" if record.shares_weights else "update of the controller"
    entropy = record.read_curve("controller/entropy")
    if entropy[0]:
        yield Chart(
            "entropy",
            "Entropy of the controller",
            "Uncertainty of the controller about the architecture, in nats. The entropy falls when "
            "the controller converges; near 0 the controller samples the same architecture every "
            "time.",
            charts.draw_lines(x_label, "entropy (nats)", {"entropy": entropy}),
        )
    baseline = record.read_curve("controller/baseline")
    if baseline[0]:
        reward = record.read_curve("controller/reward")
        yield Chart(
            "baseline",
            "Reward and baseline",
            "The baseline is a moving average of rewards. Architectures with a reward above "
            "the baseline become more likely, the others less likely.",
            charts.draw_lines(x_label, "reward", {"reward": reward, "baseline": baseline}),
        )


def chart_choices(record: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each kind of decision: the shares of the options over the search."""
    parts = split_into_parts(record.select_arms(POLICY))
    ends = [0, *accumulate(len(part) for part in parts)]
    x = [(first + last) / 2 for first, last in pairwise(ends)]
    is_thinned = any(len(part) > DECODED for part in parts)
    sample = f", among {DECODED} evenly spaced architectures" if is_thinned else ""
    for kind, options in trace_shares(record).items():
        yield Chart(
            f"choice-{kind}",
            CHOICE_TITLES[kind],
            "From left to right: the parts of the search. The height of a colour is the share of "
            f"that option in its part{sample}. If one colour displaces the others, the search "
            "converges to that option.",
            charts.draw_shares(x, options),
        )


def chart_front(record: RunRecord) -> Chart | None:
    """Return the chart of accuracy against cost, with the Pareto front; None without costs."""
    if not record.front:
        return None
    measured = [
        t
        for t in record.trials
        if t.proposal.arm != FINALIST
        and t.outcome.error is None
        and t.same_as is None
        and getattr(t.outcome, record.cost)
    ]
    points, front = (
        ([getattr(t.outcome, record.cost) for t in trials], [t.outcome.reward for t in trials])
        for trials in (measured, [one.trial for one in record.front])
    )
    name = COST_NAMES[record.cost]
    return Chart(
        "front",
        f"Accuracy against {name}",
        "A dot is an architecture. No architecture has both a lower cost and a higher accuracy "
        "than one on the line. Up and left is better.",
        charts.draw_front(name, points, front, record.target),
    )


def sum_seconds(record: RunRecord) -> dict[str, float]:
    """Return the seconds of each phase of a search; a benchmark table gives training times."""
    finalists = sum(t.outcome.seconds for t in record.select_arms(FINALIST) if t.same_as is None)
    if record.shares_weights:
        phases = {"shared weights": "weights", "random arm": "control", "controller": "controller"}
        seconds = {
            name: sum(record.read_curve(f"{phase}/seconds")[1]) for name, phase in phases.items()
        }
    else:
        seconds = {
            name: sum(t.outcome.seconds for t in record.select_arms(arm) if t.same_as is None)
            for name, arm in {"search": POLICY, "random arm": RANDOM}.items()
        }
    seconds["finalists"] = finalists
    if not record.reads_table:
        rest = float(record.summary.get("seconds", 0)) - sum(seconds.values())
        seconds["everything else"] = max(0.0, rest)
    return {name: spent for name, spent in seconds.items() if spent}


def chart_seconds(record: RunRecord) -> Chart | None:
    """Return the chart of the time of each phase; None if no time was measured."""
    seconds = sum_seconds(record)
    if not seconds:
        return None
    title = "Where the time went"
    caption = (
        "Minutes of each phase; times of children that are trained in parallel are added. The time "
        "of the random arm is the cost of the comparison with random search."
    )
    if record.reads_table:
        title = "Training time that the table saved"
        caption = (
            "Minutes that the trainings in the table took, by phase. This search only looked up "
            "their results."
        )
    return Chart("seconds", title, caption, charts.draw_minutes(seconds))
