"""The choices in architectures: their shares, over the course of a search, and their collapse."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lightning_nas.architecture import (
    Architecture,
    CellArchitecture,
    ChainArchitecture,
    MacroArchitecture,
)
from lightning_nas.report.comparison import split_into_parts
from lightning_nas.report.record import RunRecord
from lightning_nas.storage.trial import POLICY, Trial

DECODED = 500  # architectures that are decoded for one part of a search, at most
LAST = 0.05  # share of the controller's last architectures that are checked for a collapse
MIN_LAST = 10  # number of these, at least
SAME = 0.9  # collapsed if one architecture has this share among the last ones
ENTROPY = 0.02  # collapsed below this share of the entropy of uniform sampling
COLLAPSE_RULE = (
    f"Collapsed: among the last {LAST:.0%} of the controller's architectures (at least {MIN_LAST}) "
    f"one has a share of {SAME:.0%} or more, or the entropy of the controller is below "
    f"{ENTROPY:.0%} of the maximum, that of uniform sampling."
)


def list_choices(architecture: Architecture) -> dict[str, list[str]]:
    """Return the options that an architecture uses, by kind of decision.

    Kinds: ``operations``, ``inputs`` and ``skips``; for a chain ``windows`` (height x width, such
    as ``3x5``), ``filters`` and ``skips``.
    """
    if isinstance(architecture, CellArchitecture):
        blocks = [
            block for cell in (architecture.normal, architecture.reduction) for block in cell.blocks
        ]
        names = {0: "older input", 1: "newer input"}
        return {
            "operations": [name for block in blocks for name in block.operations],
            "inputs": [
                names.get(state, "earlier block") for block in blocks for state in block.inputs
            ],
        }
    if isinstance(architecture, MacroArchitecture):
        layers = architecture.layers
        return {
            "operations": [layer.operation for layer in layers],
            "skips": _list_skips([len(layer.skips) for layer in layers]),
        }
    if isinstance(architecture, ChainArchitecture):
        return {
            "windows": ["x".join(map(str, layer.kernel)) for layer in architecture.layers],
            "filters": [f"{layer.filters}" for layer in architecture.layers],
            "skips": _list_skips([len(layer.inputs) for layer in architecture.layers]),
        }
    return {"operations": list(architecture.operations)}


def _list_skips(counts: Sequence[int]) -> list[str]:
    """Return "taken" or "not taken" for each possible skip; layer n has n possible skips."""
    taken, possible = sum(counts), sum(range(len(counts)))
    return ["taken"] * taken + ["not taken"] * (possible - taken)


def count_shares(architectures: Iterable[Architecture]) -> dict[str, float]:
    """Return the share of each operation, and of the taken skips among the possible ones.

    Args:
        architectures: Architectures of one space. The operations of a chain are its windows.

    Returns:
        ``operations/NAME`` for each operation, in [0, 1] with sum 1; ``skips`` in [0, 1] if the
        space has skips.

    >>> from lightning_nas.published import load_architecture
    >>> round(count_shares([load_architecture("enas_macro")])["skips"], 3)
    0.355
    """
    counts = _count_choices(architectures)
    skips = counts.pop("skips", Counter())
    operations = counts["windows" if "windows" in counts else "operations"]
    shares = {f"operations/{name}": n / operations.total() for name, n in operations.items()}
    return {**shares, "skips": skips["taken"] / skips.total()} if skips else shares


def _count_choices(architectures: Iterable[Architecture]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for architecture in architectures:
        for kind, options in list_choices(architecture).items():
            counts.setdefault(kind, Counter()).update(options)
    return counts


def trace_shares(record: RunRecord) -> dict[str, dict[str, list[float]]]:
    """Return, for each kind of decision and each option, its share in each part of the search.

    At most ``DECODED`` evenly spaced architectures of a part are counted: decoding takes long. A
    kind without any decision, such as the skips of a single layer, is left out.
    """
    parts = [
        _count_choices(record.decode(trial.proposal) for trial in choose_evenly(part, DECODED))
        for part in split_into_parts(record.select_arms(POLICY))
    ]
    kinds = dict.fromkeys(kind for counts in parts for kind, found in counts.items() if found)
    return {
        kind: _divide_counts([counts.get(kind, Counter()) for counts in parts]) for kind in kinds
    }


def choose_evenly(trials: Sequence[Trial], most: int) -> list[Trial]:
    """Return at most ``most`` evenly spaced trials, in their order."""
    count = min(most, len(trials))
    return [trials[place * len(trials) // count] for place in range(count)]


def _divide_counts(counts: Sequence[Counter[str]]) -> dict[str, list[float]]:
    def sort_key(option: str) -> tuple[int, str]:
        return (int(option), "") if option.isdigit() else (0, option)  # 8 filters before 12

    options = sorted({option for count in counts for option in count}, key=sort_key)
    return {
        option: [count[option] / max(1, count.total()) for count in counts] for option in options
    }


@dataclass(frozen=True)
class Collapse:
    """Whether the controller has stopped exploring.

    Args:
        is_collapsed: Whether it has, by ``COLLAPSE_RULE``.
        same: Share of the most frequent architecture among the last ones, in (0, 1].
        last: Number of these last architectures.
        entropy: Entropy of the controller at the end, as a share of that of uniform sampling; None
            if the space grows, because the entropy of uniform sampling then grows too.
    """

    is_collapsed: bool
    same: float
    last: int
    entropy: float | None

    def __str__(self) -> str:
        entropy = ""
        if self.entropy is not None:
            entropy = f"; its entropy is {self.entropy:.1%} of the maximum"
        return (
            f"the most frequent of its last {self.last} architectures has a share of "
            f"{self.same:.0%}{entropy}."
        )


def find_collapse(record: RunRecord) -> Collapse | None:
    """Return whether the controller has collapsed.

    None if there are too few architectures, or if no entropy was logged (no controller learns).
    """
    policy = record.select_arms(POLICY)
    last = max(MIN_LAST, math.ceil(LAST * len(policy)))
    entropies = record.read_curve("controller/entropy")[1]
    if len(policy) < last or not entropies:
        return None
    tokens = Counter(trial.proposal.tokens for trial in policy[-last:])
    same = tokens.most_common(1)[0][1] / last
    maximum = 0.0 if record.has_growing_space else math.log(record.space.size)
    entropy = entropies[-1] / maximum if maximum else None
    is_collapsed = same >= SAME or (entropy is not None and entropy < ENTROPY)
    return Collapse(is_collapsed, same, last, entropy)
