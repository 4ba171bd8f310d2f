"""NASNet: a controller writes a normal and a reduction cell and learns by PPO from small networks.

Until so many pairs of cells have been trained: sample one, train a small network of it from
scratch, take its validation accuracy as reward; after every batch, take a few steps of proximal
policy optimisation on the controller. The best pairs are then trained for longer.

Source: Zoph et al., 2018, https://arxiv.org/abs/1707.07012. ``nasnet.md`` has the details.
"""

from typing import Any

from torch import Tensor

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.errors import InputError
from lightning_nas.modules.controller import ControllerModule, Metrics
from lightning_nas.policy.ppo import normalise, ppo_loss, rank_values
from lightning_nas.search.controller_search import ControllerSearch


class NASNet(ControllerSearch):
    """The controller, its children, and how it learns from them.

    Args:
        controller: The controller.
        clip: How far the ratio of probabilities may move from 1 and still pay, in (0, 1).
        passes: Steps on each batch, at least 1.
        normalise: Bring a batch's advantages to mean 0 and deviation 1; not in the paper. Needs
            batches of at least 2.
        ranks: Let the ranks of a batch stand for its advantages, before they are normalised; not in
            the paper. Needs batches of at least 2.
        settings: Of ``TrialSearch``.

    Raises:
        InputError: If a number is out of range.
    """

    def __init__(
        self,
        controller: ControllerModule,
        clip: float = 0.2,
        passes: int = 4,
        normalise: bool = False,
        ranks: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(controller, **settings)
        if not 0 < clip < 1 or passes < 1:
            raise InputError(
                "method.clip must lie in (0, 1) and method.passes be at least 1, "
                f"got {clip} and {passes}"
            )
        if (normalise or ranks) and self.batch < 2:
            raise InputError(
                "method.normalise and method.ranks need a method.batch of at least 2, got 1"
            )
        self.clip = clip
        self.passes = passes
        self.normalise = normalise
        self.ranks = ranks

    def credit(self, reward_N: Tensor) -> Tensor:
        """Return the advantages ``(N,)`` of rewards, and take these into the baseline."""
        advantage_N: Tensor = self.controller.baseline(reward_N)
        advantage_N = rank_values(advantage_N) if self.ranks else advantage_N
        return normalise(advantage_N) if self.normalise else advantage_N

    def loss(self, rollout: Rollout, sampled_N: Tensor, credit_N: Tensor) -> tuple[Tensor, Metrics]:
        """Return PPO's loss less the entropy bonus."""
        entropy = rollout.entropy_N.mean()
        surrogate = ppo_loss(rollout.log_prob_N, sampled_N, credit_N, self.clip)
        return surrogate - self.controller.entropy_weight * entropy, {
            "loss": surrogate.detach(),
            "entropy": entropy.detach(),
            "baseline": self.controller.baseline.average.clone(),
        }
