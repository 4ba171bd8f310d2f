"""Regularised evolution: mutate a good architecture of the population; the oldest one leaves it.

Source: Real et al., 2019, https://arxiv.org/abs/1802.01548, Algorithm 1. There, the candidates of a
tournament are drawn with replacement: a candidate stays in the population.
"""

from collections import deque
from typing import Any

import torch

from lightning_nas.errors import InputError
from lightning_nas.search.sampling import Sample
from lightning_nas.search.trial_search import TrialSearch
from lightning_nas.storage.trial import Trial


class Evolution(TrialSearch):
    """A population that loses its oldest architecture, not its worst.

    Architectures are sampled uniformly until ``population`` of them have been evaluated; the random
    arm does not count. Each later one is a copy of a parent, the best of ``tournament`` randomly
    chosen ones, with one decision changed. If the space has grown since the parent, the decisions
    of the new layers are sampled uniformly.

    Args:
        population: Size of the population, at least 2. The paper: 100.
        tournament: Number of candidates for a parent, 1 to ``population``. The paper: 25.
        with_replacement: Whether an architecture can be several candidates of one tournament. The
            paper: true. The default continues runs whose configuration lacks this setting.
        settings: Keyword arguments of ``TrialSearch``.

    Raises:
        InputError: If a number is out of range.
    """

    at_once = 1  # the parent may be the trial that has just ended

    def __init__(
        self,
        population: int = 100,
        tournament: int = 25,
        with_replacement: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if not 1 <= tournament <= population or population < 2:
            raise InputError(
                "method.population must be at least 2 and method.tournament 1 to population, "
                f"got {population} and {tournament}"
            )
        self.population = population
        self.tournament = tournament
        self.with_replacement = with_replacement
        self.living: deque[Trial] = deque(maxlen=population)

    def observe(self, trial: Trial) -> None:
        """Add a trial to the population, which may lose its oldest."""
        self.living.append(trial)

    def sample(self, number: int) -> Sample:
        """Return a mutated parent, or a uniformly sampled architecture at the beginning."""
        if len(self.living) < self.population:
            return self.sample_uniformly(number)
        candidates = [self.living[place] for place in self._draw_candidates()]
        parent = max(candidates, key=lambda trial: trial.reward)
        return self._mutate(parent.proposal.tokens, number), ()

    def _draw_candidates(self) -> list[int]:
        """Return the places of the candidates of a tournament in the population."""
        if self.with_replacement:
            places = torch.randint(self.population, (self.tournament,))
        else:
            places = torch.randperm(self.population)[: self.tournament]
        return places.tolist()

    def _mutate(self, tokens: tuple[int, ...], number: int) -> tuple[int, ...]:
        """Return the tokens with one decision changed to another value."""
        options = list(self.space_at(number).count_token_options())
        tokens = (*tokens, *(int(torch.randint(n, ())) for n in options[len(tokens) :]))
        changeable = [place for place, count in enumerate(options) if count > 1]
        place = changeable[int(torch.randint(len(changeable), ()))]
        step = 1 + int(torch.randint(options[place] - 1, ()))
        changed = (tokens[place] + step) % options[place]
        return (*tokens[:place], changed, *tokens[place + 1 :])
