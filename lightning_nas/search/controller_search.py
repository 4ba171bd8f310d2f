"""What NAS and NASNet have in common: a controller draws, and learns by gradients."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.modules.controller import ControllerModule, Metrics
from lightning_nas.modules.manual import take_step
from lightning_nas.search.trial_search import Draw, TrialSearch, unpack_draw
from lightning_nas.storage.trial import Trial


class ControllerSearch(TrialSearch):
    """A search that a controller draws.

    Args:
        controller: The controller.
        settings: Of ``TrialSearch``.
    """

    passes = 1  # steps on each batch

    def __init__(self, controller: ControllerModule, **settings: Any) -> None:
        super().__init__(space=controller.space, **settings)
        self.controller = controller

    def draw(self, number: int) -> Draw:
        """Return an architecture of the controller."""
        return unpack_draw(self.controller.sample_in(self.space_at(number)))

    def credit(self, reward_N: Tensor) -> Tensor:
        """Return what ``loss`` is given of a batch's rewards ``(N,)``; asked for once a batch."""
        return reward_N

    @abstractmethod
    def loss(self, rollout: Rollout, sampled_N: Tensor, credit_N: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss of a batch, and what is to be logged.

        Args:
            rollout: The batch as the controller scores it now, with its graph.
            sampled_N: The log-probabilities with which it was sampled.
            credit_N: Of ``credit``.
        """

    def learn(self, trials: Sequence[Trial]) -> dict[str, Tensor]:
        """Take a step, or some, on a batch."""
        tokens = [trial.proposal.tokens for trial in trials]
        spaces = [self.space_of(given) for given in tokens]
        reward_N = torch.tensor([trial.reward for trial in trials], device=self.device)
        sampled_N = reward_N.new_tensor([trial.proposal.log_prob for trial in trials])
        credit_N = self.credit(reward_N)
        for _ in range(self.passes):
            loss, metrics = self.loss(self.controller.score(tokens, spaces), sampled_N, credit_N)
            take_step(self, self.optimizers(), loss, self.controller.clip_norm)
        return metrics

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the controller's optimiser."""
        return self.controller.configure_optimizers()
