"""A surrogate: a model of a method's trials that chooses which candidates the search evaluates.

The model is a random forest over the decisions of an architecture, one input for each value of each
decision. A candidate is rated by the mean of a few randomly drawn trees. Each tree has seen another
bootstrap sample of the trials, so where the trials say little, the ratings differ from draw to draw
and the search explores: an approximation of Thompson sampling.

Half of the candidates are samples of the method, half are uniform: a method that has settled too
early must not bound the choice. None of the three papers has a surrogate.
"""

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
import torch

from lightning_nas.data.seeding import draw_seed
from lightning_nas.errors import InputError
from lightning_nas.search.sampling import Sampling
from lightning_nas.spaces.base import Space

FIRST = 10  # smallest number of trials before the first choice
TREES = 30  # trees of the forest
DRAWN = 5  # trees that rate the candidates of one trial
REFIT = 5  # trials between two fits: a fit takes longer than many evaluations of a table

Tokens = tuple[int, ...]


class Surrogate:
    """Random forest from the tokens of an architecture to its reward.

    Args:
        options: Number of values of each token. Architectures may have fewer tokens than this.
        first: Number of trials before the first choice, at least 1.
        seed: Seed of the forest.
    """

    def __init__(self, options: Sequence[int], first: int, seed: int) -> None:
        self.first = first
        self.seed = seed
        self._starts = [0, *accumulate(options)]  # first input of each token
        self._tokens: list[Tokens] = []
        self._rewards: list[float] = []
        self._trees: list[Any] = []

    @property
    def is_ready(self) -> bool:
        """Whether there are enough trials for a choice."""
        return len(self._tokens) >= self.first

    def observe(self, tokens: Tokens, reward: float) -> None:
        """Add a trial. After every ``REFIT`` trials, the next choice fits the forest again."""
        self._tokens.append(tokens)
        self._rewards.append(reward)
        if (len(self._tokens) - self.first) % REFIT == 0:
            self._trees = []

    def choose_new(
        self,
        candidates: Sequence[Tokens],
        seen: set[Tokens],
        generator: torch.Generator | None = None,
    ) -> Tokens:
        """Choose among the candidates that were not seen, if there are any, and note the choice.

        Args:
            candidates: Tokens of architectures, at least one.
            seen: Tokens that the search has sampled; the choice is added.
            generator: As in ``choose``.
        """
        new = [tokens for tokens in dict.fromkeys(candidates) if tokens not in seen]
        chosen = self.choose(new or candidates, generator)
        seen.add(chosen)
        return chosen

    def choose(
        self, candidates: Sequence[Tokens], generator: torch.Generator | None = None
    ) -> Tokens:
        """Return the candidate with the highest rating, the first of equal ones.

        Args:
            candidates: Tokens of architectures, at least one.
            generator: Source of the random draw of trees; None = torch's default generator.
        """
        if not self._trees:
            self._trees = self._fit()
        inputs = self._encode(candidates)
        drawn = torch.randperm(TREES, generator=generator)[:DRAWN].tolist()
        rating = sum(self._trees[place].predict(inputs, check_input=False) for place in drawn)
        return candidates[int(rating.argmax())]

    def _fit(self) -> list[Any]:
        """Fit the forest on all trials up to the last refit and return its trees."""
        from sklearn.ensemble import RandomForestRegressor  # takes a second to import

        count = len(self._tokens) - (len(self._tokens) - self.first) % REFIT
        seed = draw_seed("surrogate", self.seed, count)
        forest = RandomForestRegressor(TREES, random_state=seed)
        forest.fit(self._encode(self._tokens[:count]), self._rewards[:count])
        return list(forest.estimators_)

    def _encode(self, tokens: Sequence[Tokens]) -> Any:
        """Return one row of 0 and 1 for each architecture; a missing token has only zeros."""
        inputs = np.zeros((len(tokens), self._starts[-1]), np.float32)
        lengths = np.array([len(given) for given in tokens])
        rows = np.repeat(np.arange(len(tokens)), lengths)
        starts = np.concatenate([self._starts[:length] for length in lengths])
        inputs[rows, starts + np.fromiter(chain.from_iterable(tokens), int)] = 1
        return inputs


def build_surrogate(space: Space, sampling: Sampling) -> Surrogate | None:
    """Return the surrogate of a search; None if there is one candidate for each trial.

    Args:
        space: The deepest space of the search.
        sampling: Settings of the search.

    Raises:
        InputError: If the search is too short for a choice.
    """
    if sampling.candidates == 1:
        return None
    first = max(FIRST, sampling.batch)
    if sampling.samples <= first:
        raise InputError(
            f"method.candidates={sampling.candidates} needs method.samples above {first}, got "
            f"{sampling.samples}: the first {first} trials train the model"
        )
    return Surrogate(list(space.count_token_options()), first, sampling.seed)
