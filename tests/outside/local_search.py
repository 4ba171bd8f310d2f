"""Local search: look at the neighbours of where one stands, and move to the first that is better.

Source: White et al., 2020, https://arxiv.org/abs/2005.02960.
"""

from collections.abc import Iterator
from typing import Any

import torch

from lightning_nas.controllers.uniform import UniformController
from lightning_nas.search.trial_search import Draw, TrialSearch, unpack_draw
from lightning_nas.storage.trial import Trial

Tokens = tuple[int, ...]


class LocalSearch(TrialSearch):
    """Stands on an architecture; where no neighbour is better, begins anew at a random one."""

    at_once = 1  # the next may be a neighbour of the one that ends just now

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.current: Trial | None = None
        self.untried: list[Tokens] = []

    def observe(self, trial: Trial) -> None:
        """Move, or cross a neighbour out. A resumed search hears of all its trials again."""
        tokens = trial.proposal.tokens
        if self.current is None or trial.reward > self.current.reward:
            self.current, self.untried = trial, list(self._neighbours(tokens))
        else:
            self.untried = [other for other in self.untried if other != tokens]
        if not self.untried:
            self.current = None

    def draw(self, number: int) -> Draw:
        """Return a neighbour, or a uniformly drawn architecture to begin with."""
        if self.current is None:
            return unpack_draw(UniformController(self.space).sample(1))
        return self.untried[int(torch.randint(len(self.untried), ()))], ()

    def _neighbours(self, tokens: Tokens) -> Iterator[Tokens]:
        """Yield all that differ from an architecture in one decision."""
        for place, options in enumerate(self.space.token_options()):
            for token in range(options):
                if token != tokens[place]:
                    yield (*tokens[:place], token, *tokens[place + 1 :])
