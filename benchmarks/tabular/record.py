"""What one search asked of the table, and the curve that it gives. Q = queries, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lightning_nas.evaluation.tabular import SPACE, TabularBenchmark
from lightning_nas.search.trial_search import TrialSearch

Tokens = tuple[int, ...]


@dataclass
class Record:
    """The queries of one search, as its journal would have them.

    An architecture that was asked for before is answered from memory, with the outcome of the first
    time; it counts as a query all the same.

    Args:
        search: Which asks.
        table: Which answers.
    """

    search: TrialSearch
    table: TabularBenchmark
    tokens_Q: list[Tokens] = field(default_factory=list)
    reward_Q: list[float] = field(default_factory=list)
    _known: dict[Tokens, float] = field(default_factory=dict)

    def query(self, tokens: Tokens) -> float:
        """Return the reward of an architecture, and write it down."""
        if tokens not in self._known:
            architecture = self.search.space_of(tokens).decode(tokens)
            seed = self.search.seed_of(len(self.tokens_Q))
            self._known[tokens] = self.table(architecture, seed).reward
        self.tokens_Q.append(tokens)
        self.reward_Q.append(self._known[tokens])
        return self._known[tokens]


def curve(
    tokens_Q: Sequence[Tokens], reward_Q: Sequence[float], table: TabularBenchmark
) -> list[float]:
    """Return, after each query, what is known afterwards of what the search would then choose.

    It chooses the highest reward so far, the earliest of equal ones: one training of the table.
    What is known afterwards is the mean of the table's trainings of it, which may fall when a lucky
    training displaces a better architecture.

    >>> table = TabularBenchmark("cifar10")
    >>> good, lucky = (3, 3, 3, 1, 3, 2), (3, 3, 3, 1, 3, 3)
    >>> means = curve([good, lucky, good], [0.91, 0.92, 0.91], table)
    >>> means[0] == table.mean_accuracy(SPACE.decode(good)), means[1] == means[2]
    (True, True)
    """
    means: list[float] = []
    best = float("-inf")
    for tokens, reward in zip(tokens_Q, reward_Q, strict=True):
        if reward > best:
            best = reward
            mean = table.mean_accuracy(SPACE.decode(tokens))
        means.append(mean)
    return means
