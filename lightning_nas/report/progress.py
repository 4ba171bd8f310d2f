"""How a search went: its parts, its epochs, what the controller was worth beside chance."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lightning_nas.report.record import RunRecord
from lightning_nas.report.shares import list_choices
from lightning_nas.report.statistics import Difference, Mean, compare_means, compare_pairs, mean_of
from lightning_nas.storage.trial import POLICY, RANDOM, Trial

PARTS = 12  # of a search, for curves of shares
DECODED = 500  # architectures of a part, for its shares
LAST = 0.05  # share of the controller's architectures that its collapse is looked for in
FEWEST_LAST = 10
SAME = 0.9  # share of one architecture among the last: collapsed
ENTROPY = 0.02  # of the entropy of uniform draws: collapsed
RULE = (
    f"collapsed: the last {LAST:.0%} of its architectures ({FEWEST_LAST} at least) are the same "
    f"one to {SAME:.0%}, or the entropy of its decisions is below {ENTROPY:.0%} of a uniform draw's"
)


@dataclass(frozen=True)
class Comparison:
    """The controller beside chance.

    Args:
        when: In which part of the search, to be read by people.
        policy: What it sampled.
        control: What was drawn uniformly.
        difference: Of the means.
        unit: What there are too few of, where nothing can be said.
    """

    when: str
    policy: Mean
    control: Mean
    difference: Difference
    unit: str = "evaluations in one of the two arms"


def list_rewards(trials: Sequence[Trial]) -> list[float]:
    """Return the rewards of trials."""
    return [trial.reward for trial in trials]


def mean_reward(trials: Sequence[Trial]) -> Mean:
    """Return the mean reward of trials; those that copy an outcome are one evaluation with it."""
    roots = [trial.number if trial.same_as is None else trial.same_as for trial in trials]
    return mean_of(list_rewards(trials), roots)


def split_in_parts(trials: Sequence[Trial], count: int = PARTS) -> list[Sequence[Trial]]:
    """Divide trials, in their order, into so many parts, as even as can be; none is empty."""
    count = min(count, len(trials))
    edges = [round(place * len(trials) / max(1, count)) for place in range(count + 1)]
    return [trials[first:last] for first, last in pairwise(edges)]


def choose_evenly(trials: Sequence[Trial], most: int) -> list[Trial]:
    """Return so many trials at most, evenly chosen, in their order."""
    count = min(most, len(trials))
    return [trials[place * len(trials) // count] for place in range(count)]


def pair_epochs(record: RunRecord) -> list[tuple[list[Trial], list[Trial]]]:
    """Return what ENAS's controller and its random arm had in each epoch.

    The journal has an epoch's random arm first: where it follows the controller's, an epoch begins.
    Epochs without a random arm are left out.
    """
    found: list[tuple[list[Trial], list[Trial]]] = []
    last = {trial.number for trial in record.final()[1]}
    steps = record.config["method"]["controller_steps"]
    before = POLICY
    for trial in sorted(record.of(POLICY, RANDOM), key=lambda trial: trial.number):
        arm = trial.proposal.arm
        if trial.number in last:
            break
        if arm == RANDOM and before == POLICY:
            found.append(([], []))
        if found and not _is_later(trial, found[-1][0], steps):
            found[-1][arm == RANDOM].append(trial)
        before = arm
    return [(policy, control) for policy, control in found if policy and control]


def _is_later(trial: Trial, policy: Sequence[Trial], steps: int) -> bool:
    """Whether an architecture is of a later epoch than the controller's, of so many steps."""
    return bool(policy) and trial.proposal.step >= policy[0].proposal.step + steps


def compare_arms(record: RunRecord) -> list[Comparison]:
    """Return the controller beside chance; the first one answers the question."""
    if record.shared:
        return _of_shared(record)
    return [
        _independent("second half of the search", *record.late()),
        _independent("whole search", record.of(POLICY), record.of(RANDOM)),
    ]


def _of_shared(record: RunRecord) -> list[Comparison]:
    found = []
    derived, uniform = record.final()
    if derived:
        found.append(_independent("ranking at the end", derived, uniform))
    pairs = pair_epochs(record)
    for when, some in (
        ("second half of the search", pairs[len(pairs) // 2 :]),
        ("whole search", pairs),
    ):
        arms = [[t for pair in some for t in pair[arm]] for arm in (0, 1)]
        differences = [mean_reward(p).value - mean_reward(c).value for p, c in some]
        found.append(
            Comparison(
                when,
                mean_reward(arms[0]),
                mean_reward(arms[1]),
                compare_pairs(differences),
                "epochs with a random arm",
            )
        )
    return found


def _independent(when: str, policy: Sequence[Trial], control: Sequence[Trial]) -> Comparison:
    first, second = mean_reward(policy), mean_reward(control)
    return Comparison(when, first, second, compare_means(first, second))


# ---- what the controller chooses ----------------------------------------------------------------


def shares_over_search(record: RunRecord) -> dict[str, dict[str, list[float]]]:
    """Return, for each kind of decision and option, its share in each part of the search.

    Of a part's architectures at most ``DECODED`` count, evenly chosen: decoding takes long. A kind
    of which nothing was decided, such as the skips of a single layer, is left out.
    """
    counted = []
    for some in split_in_parts(record.of(POLICY)):
        counts: dict[str, Counter[str]] = {}
        for trial in choose_evenly(some, DECODED):
            for kind, options in list_choices(record.architecture(trial)).items():
                counts.setdefault(kind, Counter()).update(options)
        counted.append(counts)
    kinds = dict.fromkeys(kind for counts in counted for kind, found in counts.items() if found)
    return {kind: _shares_of([counts.get(kind, Counter()) for counts in counted]) for kind in kinds}


def _in_order(option: str) -> tuple[int, str]:
    return (int(option), "") if option.isdigit() else (0, option)  # 8 filters before 12


def _shares_of(counts: Sequence[Counter[str]]) -> dict[str, list[float]]:
    options = sorted({option for count in counts for option in count}, key=_in_order)
    return {
        option: [count[option] / max(1, count.total()) for count in counts] for option in options
    }


@dataclass(frozen=True)
class Collapse:
    """Whether the controller still looks around.

    Args:
        collapsed: Whether it does not.
        same: Share of the commonest architecture among the last.
        last: How many these are.
        entropy: Of its decisions at the end, as a share of a uniform draw's; None = the space
            grows, and a uniform draw's with it.
    """

    collapsed: bool
    same: float
    last: int
    entropy: float | None


def find_collapse(record: RunRecord) -> Collapse | None:
    """Return whether the controller has collapsed.

    None where there are too few architectures, or no controller that logs its entropy.
    """
    policy = record.of(POLICY)
    count = max(FEWEST_LAST, math.ceil(LAST * len(policy)))
    logged = read_curve(record.metrics, "controller/entropy")[1]
    if len(policy) < count or not logged:
        return None
    tokens = Counter(trial.proposal.tokens for trial in policy[-count:])
    same = tokens.most_common(1)[0][1] / count
    most = 0.0 if record.grows else math.log(record.space.size)
    entropy = logged[-1] / most if most else None
    return Collapse(
        same >= SAME or (entropy is not None and entropy < ENTROPY), same, count, entropy
    )


def read_curve(rows: Sequence[Mapping[str, float]], name: str) -> tuple[list[float], list[float]]:
    """Return epochs, from 1, and values of a metric, one an epoch where it was logged so."""
    for column in (f"{name}_epoch", name):
        found = [(row["epoch"], row[column]) for row in rows if column in row and "epoch" in row]
        if found:
            return [epoch + 1 for epoch, _ in found], [value for _, value in found]
    return [], []
