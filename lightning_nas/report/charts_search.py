"""Which charts a search has, each with one sentence that says how to read it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean

from matplotlib.figure import Figure

from lightning_nas.report import charts
from lightning_nas.report.progress import (
    DECODED,
    list_rewards,
    mean_reward,
    pair_epochs,
    read_curve,
    shares_over_search,
    split_in_parts,
)
from lightning_nas.report.record import RunRecord
from lightning_nas.report.statistics import FEWEST, compare_means
from lightning_nas.storage.trial import FINALIST, POLICY, RANDOM, Trial

CURVE = 20  # points of a curve of means
DOTS = 24  # of the epochs' differences
Pair = tuple[list[Trial], list[Trial]]  # of the controller and of chance
COST_NAMES = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "latency": "seconds of a batch",
}


@dataclass(frozen=True)
class Chart:
    """A chart of the page.

    Args:
        name: Of all ids in it.
        title: What it shows.
        caption: How to read it.
        figure: The chart.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def reward_charts(record: RunRecord) -> Iterator[Chart]:
    """Yield reward against time, beside the random arm's, and what else tells how it went."""
    yield _reward_chart(record)
    weights = {
        name: read_curve(record.metrics, metric)
        for name, metric in (("training", "weights/accuracy"), ("validation", "val/accuracy"))
    }
    learnt = {name: points for name, points in weights.items() if points[0]}
    if learnt:
        yield Chart(
            "weights",
            "Shared weights",
            "Accuracy of sampled architectures with the shared weights, on training batches and "
            "on validation images: as long as it rises, early and late rewards cannot "
            "be compared.",
            charts.lines("epoch", "accuracy", learnt),
        )
    late, control = record.late()
    if late and control and not record.shared:
        arms = {
            f"search, second half ({len(late)})": list_rewards(late),
            f"random ({len(control)})": list_rewards(control),
        }
        yield Chart(
            "spread",
            "The search beside chance",
            "How rewards are spread in the second half of the search and in its random arm"
            f"{' of the same time, as the space grows' if record.grows else ''}; "
            "upright lines are means: the further apart, the more the search has learnt.",
            charts.histograms("reward", arms, (charts.POLICY_COLOUR, charts.CONTROL_COLOUR)),
        )


def _reward_chart(record: RunRecord) -> Chart:
    figure, axes = charts.chart("architectures of the search", "reward")
    place = {trial.number: at for at, trial in enumerate(_searched(record), start=1)}
    policy, control = record.of(POLICY), record.control()
    if policy:
        points = [place[t.number] for t in policy], list_rewards(policy)
        charts.cloud(axes, points, charts.POLICY_COLOUR)
        charts.band(axes, _means(policy, place), charts.POLICY_COLOUR, "search")
    if control and (record.shared or record.grows):  # what is drawn late is worth more
        charts.band(axes, _means(control, place), charts.CONTROL_COLOUR, "random")
    elif control:
        mean = mean_reward(control)
        charts.level(axes, mean, charts.CONTROL_COLOUR, f"random ({mean.count})")
    if policy and not record.shared:
        best = list(accumulate(list_rewards(policy), max))
        at = [place[t.number] for t in policy]
        axes.plot(
            *charts.thin((at, best)),
            color=charts.BEST_COLOUR,
            linewidth=1.1,
            label="best so far",
        )
    charts.legend(axes, 3)
    thinned = f", {charts.DOTS:,} of them drawn" if len(policy) > charts.DOTS else ""
    return Chart(
        "reward",
        "Reward over the search",
        f"Each dot is an architecture of the search{thinned}; lines are means of parts of it, "
        "bands their 95 % intervals; a search that learns leaves the random line below.",
        figure,
    )


def _searched(record: RunRecord) -> list[Trial]:
    """The trials of the search itself, in their order, the random arm included."""
    numbers = {trial.number for trial in record.control()}
    found = [t for t in record.trials if t.proposal.arm == POLICY or t.number in numbers]
    return found if not record.shared else sorted(found, key=lambda trial: trial.number)


def _means(trials: Sequence[Trial], place: dict[int, int]) -> charts.Band:
    some = split_in_parts(trials, min(CURVE, max(1, len(trials) // 5)))
    middle = [sum(place[t.number] for t in part) / len(part) for part in some]
    return middle, [mean_reward(part) for part in some]


def arm_charts(record: RunRecord) -> Iterator[Chart]:
    """Yield, for shared weights, the controller less chance in each epoch, and the last ranking."""
    some = join_epochs(pair_epochs(record))
    if some:
        at = [fmean(trial.proposal.step for trial in policy) for policy, _ in some]
        found = [
            compare_means(mean_reward(policy), mean_reward(control)) for policy, control in some
        ]
        yield Chart(
            "arms",
            "Controller less chance, epoch by epoch",
            "A dot is the mean reward of the controller's architectures less that of the uniform "
            "ones of the same epoch, under the same weights, with its 95 % interval; above the "
            f"line the controller is better. Epochs are joined until both have {FEWEST}; a hollow "
            "dot has fewer.",
            charts.differences("step of the controller", (at, found)),
        )
    derived, uniform = record.final()
    if derived and uniform:
        arms = {
            f"controller ({len(derived)})": list_rewards(derived),
            f"uniform ({len(uniform)})": list_rewards(uniform),
        }
        yield Chart(
            "ranking",
            "The ranking at the end",
            "Accuracy on the whole validation split with the final weights; upright lines are "
            "means: the further the controller's lies to the right, the more it has learnt.",
            charts.histograms("accuracy", arms, (charts.POLICY_COLOUR, charts.CONTROL_COLOUR)),
        )


def join_epochs(pairs: Sequence[Pair], most: int = DOTS) -> list[Pair]:
    """Join epochs until both arms have enough to say something, into so many at most.

    What the last epochs lack of that stays by itself.
    """
    width = -(-len(pairs) // most)
    found: list[Pair] = []
    epochs_in = 0
    for policy, control in pairs:
        if found and (
            epochs_in < width or min(mean_reward(arm).evaluations for arm in found[-1]) < FEWEST
        ):
            found[-1] = [*found[-1][0], *policy], [*found[-1][1], *control]
            epochs_in += 1
        else:
            found.append((policy, control))
            epochs_in = 1
    return found


def controller_charts(record: RunRecord) -> Iterator[Chart]:
    """Yield entropy and baseline, where a controller learns."""
    name = "epoch" if record.shared else "update of the controller"
    entropy = read_curve(record.metrics, "controller/entropy")
    if entropy[0]:
        yield Chart(
            "entropy",
            "Entropy of the controller",
            "How undecided the controller is about an architecture, in nats: it falls as the "
            "controller settles, and near 0 it proposes the same again and again.",
            charts.lines(name, "entropy (nats)", {"entropy": entropy}),
        )
    baseline = read_curve(record.metrics, "controller/baseline")
    if baseline[0]:
        reward = read_curve(record.metrics, "controller/reward")
        yield Chart(
            "baseline",
            "Reward and baseline",
            "The baseline is the moving average that rewards are compared with: architectures "
            "above it become likelier, those below it less likely.",
            charts.lines(name, "reward", {"reward": reward, "baseline": baseline}),
        )


def choice_charts(record: RunRecord) -> Iterator[Chart]:
    """Yield what was chosen over the search."""
    some = split_in_parts(record.of(POLICY))
    ends = [0, *accumulate(len(part) for part in some)]
    many = any(len(part) > DECODED for part in some)
    of = f", by {DECODED} evenly chosen architectures of it" if many else ""
    at = [(first + last) / 2 for first, last in pairwise(ends)]
    titles = {
        "operations": "Operations",
        "inputs": "Inputs of blocks",
        "skips": "Skips",
        "windows": "Windows of convolutions",
        "filters": "Filters",
    }
    for kind, options in shares_over_search(record).items():
        yield Chart(
            f"choice-{kind}",
            titles[kind],
            "From left to right the parts of the search; the height of a colour is the share of "
            f"that option in its part{of}: an area that swallows the others is what the search "
            "settles on.",
            charts.stacked(at, options),
        )


def front_chart(record: RunRecord) -> Chart | None:
    """Return accuracy against cost, where costs are known."""
    if not record.front:
        return None
    known = [
        t
        for t in record.trials
        if t.proposal.arm != FINALIST
        and t.outcome.error is None
        and t.same_as is None
        and getattr(t.outcome, record.cost)
    ]
    name = COST_NAMES[record.cost]
    points = [getattr(t.outcome, record.cost) for t in known], [t.outcome.reward for t in known]
    line = [one.trial for one in record.front]
    best = [getattr(t.outcome, record.cost) for t in line], [t.outcome.reward for t in line]
    return Chart(
        "front",
        f"Accuracy against {name}",
        f"Each dot is an architecture; no other has both fewer {name} and a higher accuracy than "
        "those on the line: up and to the left is better.",
        charts.front(name, points, best),
    )


def seconds_of(record: RunRecord) -> dict[str, float]:
    """Return where the time went, in seconds; of a table, what its trainings had taken."""
    if record.shared:
        phases = {
            "weights": "shared weights",
            "control": "random arm",
            "controller": "controller",
        }
        spent = {
            name: sum(read_curve(record.metrics, f"{phase}/seconds")[1])
            for phase, name in phases.items()
        }
        finalists = sum(trial.outcome.seconds for trial in record.of(FINALIST))
    else:
        names = {POLICY: "search", RANDOM: "random arm", FINALIST: "finalists"}
        spent = {
            name: sum(t.outcome.seconds for t in record.of(arm) if t.same_as is None)
            for arm, name in names.items()
        }
        finalists = 0.0
    spent |= {"finalists": finalists} if finalists else {}
    if record.tabular:
        return {name: seconds for name, seconds in spent.items() if seconds}
    rest = float(record.summary.get("seconds", 0)) - sum(spent.values())
    spent |= {"all else": rest} if rest > 0 else {}
    return {name: seconds for name, seconds in spent.items() if seconds}


def seconds_chart(record: RunRecord) -> Chart | None:
    """Return where the time went, where it was measured."""
    spent = seconds_of(record)
    if not spent:
        return None
    if record.tabular:
        return Chart(
            "seconds",
            "Training time that the table saved",
            "Minutes that the trainings in the table had taken, by phase; this search has only "
            "looked them up.",
            charts.bars(spent),
        )
    return Chart(
        "seconds",
        "Where the time went",
        "Minutes by phase, those of architectures that are trained at once added up; the random "
        "arm's are the price of knowing whether the search beats chance.",
        charts.bars(spent),
    )
