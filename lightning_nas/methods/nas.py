"""NAS: a controller writes a network layer by layer and learns by REINFORCE from its accuracy.

Until so many architectures have been trained: sample one, train it from scratch, take the cube of
its validation accuracy as reward; after every few, take a REINFORCE step on the controller. The
networks grow deeper as the search goes on.

Source: Zoph and Le, 2017, https://arxiv.org/abs/1611.01578. ``nas.md`` has the details.
"""

from typing import Any

from torch import Tensor

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.modules.controller import ControllerModule, Metrics
from lightning_nas.policy.reinforce import importance_weights
from lightning_nas.search.controller_search import ControllerSearch


class NAS(ControllerSearch):
    """The controller, its children, and how it learns from them.

    Args:
        controller: The controller.
        importance: Let a sample of before an update count by the ratio of its probabilities now and
            then, at most 1. Where children end in the order of their proposals, there is none.
        settings: Of ``TrialSearch``.
    """

    def __init__(
        self, controller: ControllerModule, importance: bool = True, **settings: Any
    ) -> None:
        super().__init__(controller, **settings)
        self.importance = importance

    def loss(self, rollout: Rollout, sampled_N: Tensor, credit_N: Tensor) -> tuple[Tensor, Metrics]:
        """Return REINFORCE's loss."""
        weight_N = importance_weights(rollout.log_prob_N, sampled_N) if self.importance else None
        return self.controller.loss(rollout, credit_N, weight_N)
