"""The queries of one search and its curve. Shapes: Q = queries, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lightning_nas.evaluation.tabular import SPACE, TabularBenchmark
from lightning_nas.search.trial_search import TrialSearch

Tokens = tuple[int, ...]


@dataclass
class Record:
    """The queries of one search, as its journal would contain them.

    If the search asks for an architecture again, the first answer is repeated; it counts as a
    query.

    Args:
        search: Search that asks.
        table: Table that answers.
    """

    search: TrialSearch
    table: TabularBenchmark
    tokens_Q: list[Tokens] = field(default_factory=list)
    reward_Q: list[float] = field(default_factory=list)
    _known: dict[Tokens, float] = field(default_factory=dict)

    def query(self, tokens: Tokens) -> float:
        """Return the reward of an architecture and record the query."""
        if tokens not in self._known:
            architecture = self.search.space_of(tokens).decode(tokens)
            seed = self.search.choose_seed(len(self.tokens_Q))
            self._known[tokens] = self.table(architecture, seed).reward
        self.tokens_Q.append(tokens)
        self.reward_Q.append(self._known[tokens])
        return self._known[tokens]


def curve(
    tokens_Q: Sequence[Tokens], reward_Q: Sequence[float], table: TabularBenchmark
) -> list[float]:
    """Return, after each query, the mean accuracy of the architecture that the search would choose.

    The search chooses the highest reward so far, which is the accuracy of one training, and the
    earliest of equal rewards. The mean over all trainings of the chosen architecture can fall: a
    lucky training can displace a better architecture.

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
