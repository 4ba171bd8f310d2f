"""NASNet: a controller writes a normal and a reduction cell and learns by PPO from small networks.

Until the given number of pairs of cells has been trained: sample a pair, train a small network of
these cells from scratch, and take its validation accuracy as reward; after each batch, take a few
steps of proximal policy optimisation on the controller. The best pairs are then trained for longer.

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
    """Search with a controller that learns by proximal policy optimisation (PPO).

    Args:
        controller: Controller of the search.
        clip: Distance from 1 at which the ratio of probabilities is clipped, in (0, 1).
        passes: Number of gradient steps on each batch, at least 1.
        normalise: Whether to scale the advantages of a batch to mean 0 and standard deviation 1.
            Not in the paper; needs batches of at least 2.
        ranks: Whether to replace the advantages of a batch by their ranks, before normalisation.
            Not in the paper; needs batches of at least 2.
        settings: Keyword arguments of ``TrialSearch``.

    Raises:
        InputError: If a number is out of range, or a setting of the controller is for REINFORCE.
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
                "method.clip must be in (0, 1) and method.passes at least 1, "
                f"got {clip} and {passes}"
            )
        if controller.leave_one_out or controller.skip_kl_weight:
            raise InputError(
                "method.controller.leave_one_out and skip_kl_weight belong to REINFORCE; NASNet "
                "learns by PPO, without them"
            )
        if (normalise or ranks) and self.sampling.batch < 2:
            raise InputError(
                "method.normalise and method.ranks need a method.batch of at least 2, got 1"
            )
        self.clip = clip
        self.passes = passes
        self.normalise = normalise
        self.ranks = ranks

    def credit(self, reward_N: Tensor) -> Tensor:
        """Return the advantages ``(N,)`` of rewards and update the baseline."""
        advantage_N: Tensor = self.controller.baseline(reward_N)
        advantage_N = rank_values(advantage_N) if self.ranks else advantage_N
        return normalise(advantage_N) if self.normalise else advantage_N

    def loss(self, rollout: Rollout, sampled_N: Tensor, credit_N: Tensor) -> tuple[Tensor, Metrics]:
        """Return the PPO loss minus the entropy bonus, a scalar, and the metrics to log."""
        entropy = rollout.entropy_N.mean()
        loss = ppo_loss(rollout.log_prob_N, sampled_N, credit_N, self.clip)
        return loss - self.controller.entropy_weight * entropy, {
            "loss": loss.detach(),
            "entropy": entropy.detach(),
            "baseline": self.controller.baseline.average.clone(),
        }
