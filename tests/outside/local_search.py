"""Local search: try the neighbours of an architecture and move to the first one that is better.

Source: White et al., 2020, https://arxiv.org/abs/2005.02960.
"""

from collections.abc import Iterator
from typing import Any

import torch

from lightning_nas.search.sampling import Sample
from lightning_nas.search.trial_search import TrialSearch
from lightning_nas.storage.trial import Trial

Tokens = tuple[int, ...]


class LocalSearch(TrialSearch):
    """Local search that restarts at a random architecture if no neighbour is better."""

    at_once = 1  # the next architecture may be a neighbour of the trial that has just ended

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.current: Trial | None = None
        self.untried: list[Tokens] = []

    def observe(self, trial: Trial) -> None:
        """Move to a better neighbour, or remove the trial from the untried neighbours."""
        tokens = trial.proposal.tokens
        if self.current is None or trial.reward > self.current.reward:
            self.current, self.untried = trial, list(self._list_neighbours(tokens))
        else:
            self.untried = [other for other in self.untried if other != tokens]
        if not self.untried:
            self.current = None

    def sample(self, number: int) -> Sample:
        """Return an untried neighbour, or a uniformly sampled architecture to start from."""
        if self.current is None:
            return self.sample_uniformly(number)
        return self.untried[int(torch.randint(len(self.untried), ()))], ()

    def _list_neighbours(self, tokens: Tokens) -> Iterator[Tokens]:
        """Yield all architectures that differ from the given one in one decision."""
        for place, options in enumerate(self.space.count_token_options()):
            for token in range(options):
                if token != tokens[place]:
                    yield (*tokens[:place], token, *tokens[place + 1 :])
