"""NASNet: a controller writes a normal and a reduction cell and learns by PPO from small networks.

Until so many pairs of cells have been trained: sample one, train a small network of it from
scratch, take its validation accuracy as reward; after every batch, take a few steps of proximal
policy optimisation on the controller. The best pairs are then trained for longer.

Source: Zoph et al., 2018, https://arxiv.org/abs/1707.07012. ``nasnet.md`` has the details.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lightning_nas.errors import InputError
from lightning_nas.evaluation.trial import Trial
from lightning_nas.methods.controller_search import ControllerSearch
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.policy.ppo import normalised, ppo_loss


class NASNet(ControllerSearch):
    """The controller, its children, and how it learns from them.

    Args:
        controller: The controller.
        clip: How far the ratio of probabilities may move from 1 and still pay, in (0, 1).
        passes: Steps on each batch, at least 1.
        normalise: Bring a batch's advantages to mean 0 and deviation 1; not in the paper. Needs
            batches of at least 2.
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
        **settings: Any,
    ) -> None:
        super().__init__(controller, **settings)
        if not 0 < clip < 1 or passes < 1:
            raise InputError(
                "method.clip must lie in (0, 1) and method.passes be at least 1, "
                f"got {clip} and {passes}"
            )
        if normalise and self.batch < 2:
            raise InputError("method.normalise needs a method.batch of at least 2, got 1")
        self.clip = clip
        self.passes = passes
        self.normalise = normalise

    def learn(self, trials: Sequence[Trial]) -> dict[str, Tensor]:
        """Take some steps of PPO on a batch."""
        controller = self.controller
        reward_N = self.rewards_of(trials)
        advantage_N = controller.baseline(reward_N)
        if self.normalise:
            advantage_N = normalised(advantage_N)
        old_log_prob_N = reward_N.new_tensor([trial.proposal.log_prob for trial in trials])
        for _ in range(self.passes):
            rollout = controller.score([trial.proposal.tokens for trial in trials])
            entropy = rollout.entropy_N.mean()
            surrogate = ppo_loss(rollout.log_prob_N, old_log_prob_N, advantage_N, self.clip)
            self.step_on(surrogate - controller.entropy_weight * entropy)
        return {
            "loss": surrogate.detach(),
            "entropy": entropy.detach(),
            "baseline": controller.baseline.average.clone(),
        }
