"""The LightningModule of a controller: policy gradient, baseline and optimiser.

It fits alone on any reward function. Inside a search it logs nothing: it returns metrics to log.
Shapes: N = sampled architectures.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.base import Controller
from lightning_nas.controllers.rollout import Rollout
from lightning_nas.errors import InputError, explain_settings
from lightning_nas.policy.baseline import MovingAverageBaseline, leave_one_out
from lightning_nas.policy.reinforce import reinforce_loss
from lightning_nas.spaces.base import Space

Metrics = dict[str, Tensor]
Reward = Callable[[Sequence[Architecture]], Tensor]


class ControllerModule(LightningModule):
    """A controller and its training: REINFORCE with a moving-average baseline.

    Args:
        controller: Controller that samples and scores architectures.
        baseline: Baseline that turns rewards into advantages.
        optimizer: Function from the controller's parameters to their optimiser.
        samples: Number of architectures in a step of one process, at least 1.
        entropy_weight: Weight of the entropy, in nats, in the reward (NASNet: in the loss).
        skip_kl_weight: Weight of the skips' divergence from their target, in nats, in the loss.
            NASNet has neither this term nor ``leave_one_out``.
        clip_norm: Bound of the gradients' norm; None = no bound.
        leave_one_out: Whether the advantage of a reward is its difference from the mean of the
            other rewards of the step and process, instead of from the moving average.
        reward: Function from architectures to rewards ``(N,)``, for fitting alone.

    Raises:
        InputError: If ``samples`` is below 1.
    """

    def __init__(
        self,
        controller: Controller,
        baseline: MovingAverageBaseline,
        optimizer: Callable[[Any], torch.optim.Optimizer],
        samples: int = 10,
        entropy_weight: float = 1e-4,
        skip_kl_weight: float = 0.0,
        clip_norm: float | None = None,
        leave_one_out: bool = False,
        reward: Reward | None = None,
    ) -> None:
        super().__init__()
        if samples < 1:
            raise InputError(f"controller.samples must be at least 1, got {samples}")
        self.controller = controller
        self.baseline = baseline
        self.make_optimizer = optimizer
        self.samples = samples
        self.entropy_weight = entropy_weight
        self.skip_kl_weight = skip_kl_weight
        self.clip_norm = clip_norm
        self.leave_one_out = leave_one_out
        self.reward = reward

    @property
    def space(self) -> Space:
        """The space of the controller."""
        return self.controller.space

    @property
    def learns(self) -> bool:
        """Whether the controller has parameters; the uniform controller has none."""
        return any(True for _ in self.controller.parameters())

    def sample(self, n: int) -> tuple[Rollout, list[Architecture]]:
        """Sample ``n`` architectures, with one transfer from the device for all of them."""
        with self._full_precision():
            rollout = self.controller.sample(n)
        return rollout, [self.space.decode(tokens) for tokens in rollout.tokens_NT.tolist()]

    def sample_from(self, space: Space, n: int = 1) -> Rollout:
        """Sample architectures of a space that may have more layers than the controller's."""
        with self._full_precision():
            return self.controller.sample(n, space)

    def _full_precision(self) -> AbstractContextManager[Any]:
        """Return a context without mixed precision: log-probabilities would be off by 0.1."""
        device = self.device.type
        if not torch.amp.is_autocast_available(device):
            return nullcontext()
        return torch.autocast(device, enabled=False)

    def score(
        self, tokens: Sequence[Sequence[int]], spaces: Sequence[Space] | None = None
    ) -> Rollout:
        """Return the rollout of given architectures, with its graph.

        The controller scores all architectures of one length in one pass.

        Args:
            tokens: Tokens of each architecture.
            spaces: Space of each architecture; None = the controller's.
        """
        by_length: dict[int, list[int]] = {}
        for place, given in enumerate(tokens):
            by_length.setdefault(len(given), []).append(place)
        rollouts = []
        for places in by_length.values():
            batch_NT = torch.tensor([tokens[place] for place in places], device=self.device)
            space = self.space if spaces is None else spaces[places[0]]
            with self._full_precision():
                rollouts.append(self.controller.score(batch_NT, space))
        order = [place for places in by_length.values() for place in places]
        return Rollout.join(rollouts, torch.tensor(order, device=self.device))

    def loss(
        self, rollout: Rollout, reward_N: Tensor, weight_N: Tensor | None = None
    ) -> tuple[Tensor, Metrics]:
        """Return the policy-gradient loss of sampled architectures and the metrics to log.

        The baseline is updated with the rewards, under DDP with those of all processes.

        Args:
            rollout: Rollout of the architectures, with its graph.
            reward_N: Rewards in [0, 1], without the entropy bonus.
            weight_N: Weight of each architecture; None = 1.
        """
        total_N = reward_N.float() + self.entropy_weight * rollout.entropy_N.detach()
        advantage_N = (
            leave_one_out(total_N) if self.leave_one_out else self.baseline.advantage(total_N)
        )
        if weight_N is not None:
            advantage_N = advantage_N * weight_N
        self.baseline.update(self._from_all_processes(total_N))
        skip_kl = rollout.skip_kl_N.mean()
        loss = reinforce_loss(rollout.log_prob_N, advantage_N) + self.skip_kl_weight * skip_kl
        return loss, {
            "loss": loss.detach(),
            "reward": reward_N.mean(),
            "baseline": self.baseline.average.clone(),
            "entropy": rollout.entropy_N.detach().mean(),
            "skip_kl": skip_kl.detach(),
        }

    def _from_all_processes(self, values_N: Tensor) -> Tensor:
        if self._fabric is None and self._trainer is None:
            return values_N
        return self.all_gather(values_N).flatten()  # type: ignore[union-attr]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Fit alone: sample architectures, compute their rewards, learn. The batch is unused."""
        assert self.reward is not None, "ControllerModule(reward=...) is needed to fit alone"
        rollout, architectures = self.sample(self.samples)
        loss, metrics = self.loss(rollout, self.reward(architectures).to(self.device))
        self.log_dict({f"controller/{name}": value for name, value in metrics.items()})
        return loss

    def configure_optimizers(self) -> Any:
        """Return the optimiser; None for a controller without parameters."""
        if not self.learns:
            return None
        with explain_settings("method.controller.optimizer"):
            return self.make_optimizer(self.controller.parameters())
