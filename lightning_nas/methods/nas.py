"""NAS: a controller writes a network layer by layer and learns by REINFORCE from its accuracy.

Until the given number of architectures has been trained: sample an architecture, train it from
scratch, and reward it by its validation accuracy (``evaluation.power=3``: the cube, as in the
paper); after each batch, take a REINFORCE step on the controller. The networks can grow deeper
during the search.

``search/controller_search.py`` samples and updates; ``modules/controller.py`` has the loss.

Source: Zoph and Le, 2017, https://arxiv.org/abs/1611.01578. ``nas.md`` has the details.
"""

from typing import Any

from torch import Tensor

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.modules.controller import ControllerModule, Metrics
from lightning_nas.policy.reinforce import importance_weights
from lightning_nas.search.controller_search import ControllerSearch


class NAS(ControllerSearch):
    """Search with a controller that learns by REINFORCE.

    Args:
        controller: Controller of the search.
        importance: Whether to weight a trial that was sampled before the last update by the ratio
            of its probability now to its probability then, at most 1. If children end in the order
            of their proposals, there are no such trials.
        settings: Keyword arguments of ``TrialSearch``.
    """

    def __init__(
        self, controller: ControllerModule, importance: bool = True, **settings: Any
    ) -> None:
        super().__init__(controller, **settings)
        self.importance = importance

    def loss(self, rollout: Rollout, sampled_N: Tensor, credit_N: Tensor) -> tuple[Tensor, Metrics]:
        """Return the REINFORCE loss, a scalar, and the metrics to log."""
        weight_N = importance_weights(rollout.log_prob_N, sampled_N) if self.importance else None
        return self.controller.loss(rollout, credit_N, weight_N)
