"""Regularised evolution: mutate a good one of the living; the oldest dies.

Source: Real et al., 2019, https://arxiv.org/abs/1802.01548, Algorithm 1.
"""

from collections import deque
from typing import Any

import torch

from lightning_nas.controllers.uniform import UniformController
from lightning_nas.errors import InputError
from lightning_nas.search.trial_search import Draw, TrialSearch, unpack_draw
from lightning_nas.storage.trial import Trial


class Evolution(TrialSearch):
    """A population in which age, not fitness, decides who dies.

    While there are fewer than ``population`` trials, architectures are drawn uniformly. Then each
    is the child of the best of ``tournament`` of the living, with one decision changed. Where the
    space has grown since its parent, the new layers are drawn uniformly.

    Args:
        population: How many live at once, at least 2. The paper: 100.
        tournament: How many compete to be a parent, 1 to ``population``. The paper: 25.
        settings: Of ``TrialSearch``.

    Raises:
        InputError: If a number is out of range.
    """

    at_once = 1  # a parent may be the child that ended just now

    def __init__(self, population: int = 100, tournament: int = 25, **settings: Any) -> None:
        super().__init__(**settings)
        if not 1 <= tournament <= population or population < 2:
            raise InputError(
                "method.population must be at least 2 and method.tournament 1 to population, "
                f"got {population} and {tournament}"
            )
        self.population = population
        self.tournament = tournament
        self.living: deque[Trial] = deque(maxlen=population)

    def observe(self, trial: Trial) -> None:
        """Let a trial live, and the oldest die."""
        self.living.append(trial)

    def draw(self, number: int) -> Draw:
        """Return a child of the living, or a first ancestor."""
        if number < self.population or not self.living:
            return unpack_draw(UniformController(self.space_at(number)).sample(1))
        chosen = torch.randperm(len(self.living))[: self.tournament].tolist()
        parent = max((self.living[place] for place in chosen), key=lambda trial: trial.reward)
        return self._mutated(parent.proposal.tokens, number), ()

    def _mutated(self, tokens: tuple[int, ...], number: int) -> tuple[int, ...]:
        """Change one decision to another value."""
        options = list(self.space_at(number).token_options())
        tokens = (*tokens, *(int(torch.randint(n, ())) for n in options[len(tokens) :]))
        changeable = [place for place, count in enumerate(options) if count > 1]
        place = changeable[int(torch.randint(len(changeable), ()))]
        step = 1 + int(torch.randint(options[place] - 1, ()))
        changed = (tokens[place] + step) % options[place]
        return (*tokens[:place], changed, *tokens[place + 1 :])
