"""What NAS and NASNet have in common: a controller draws, and learns by gradients."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_nas.evaluation.trial import Trial
from lightning_nas.methods.trial_search import Drawn, TrialSearch, drawn
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.manual import take_step


class ControllerSearch(TrialSearch):
    """A search that a controller draws.

    Args:
        controller: The controller.
        settings: Of ``TrialSearch``.
    """

    def __init__(self, controller: ControllerModule, **settings: Any) -> None:
        super().__init__(space=controller.space, **settings)
        self.controller = controller

    def draw(self, number: int) -> Drawn:
        """Return an architecture of the controller."""
        return drawn(self.controller.sample_in(self.space_at(number)))

    def rewards_of(self, trials: Sequence[Trial]) -> Tensor:
        """Return the rewards ``(N,)`` of trials, on the controller's device."""
        return torch.tensor([trial.reward for trial in trials], device=self.device)

    def step_on(self, loss: Tensor) -> None:
        """Take one step of the controller's optimiser on a loss."""
        take_step(self, self.optimizers(), loss, self.controller.clip_norm)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the controller's optimiser."""
        return self.controller.configure_optimizers()
