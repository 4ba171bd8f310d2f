"""Reward baselines for policy gradients. Shapes: N = sampled architectures."""

import torch
from torch import Tensor, nn

from lightning_nas.errors import InputError


def leave_one_out(reward_N: Tensor) -> Tensor:
    """Return each reward minus the mean of the others, ``(N,)``, float32.

    It needs no earlier rewards, so it does not lag behind rewards that grow with the weights.
    Source: Kool et al., 2019, https://openreview.net/forum?id=r1lgTGL5DE.

    Raises:
        InputError: If there are fewer than two rewards.

    >>> leave_one_out(torch.tensor([0.2, 0.4, 0.9]))
    tensor([-0.4500, -0.1500,  0.6000])
    """
    count = reward_N.numel()
    if count < 2:
        raise InputError(
            "method.controller.leave_one_out needs method.controller.samples of at least 2"
        )
    reward_N = reward_N.detach().float()
    return (reward_N - reward_N.mean()) * count / (count - 1)


class MovingAverageBaseline(nn.Module):
    """Baseline that is a moving average of earlier rewards, ``b <- decay b + (1 - decay) R``.

    The advantages of a batch are computed before its rewards enter the average: a baseline that
    contains them would bias the gradient. Their mean then enters with the weight
    ``1 - decay ** N``, as if N equal rewards came one after another. Checkpoints keep the average.

    Args:
        decay: Weight of the old average when one reward enters, in [0, 1). The released ENAS has
            0.99.
        initial: First value of the average; None = the mean of the first batch. The released ENAS
            has 0.

    Raises:
        InputError: If ``decay`` is outside [0, 1).
    """

    average: Tensor

    def __init__(self, decay: float, initial: float | None = None) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise InputError(f"baseline.decay must lie in [0, 1), got {decay}")
        self.decay = decay
        start = float("nan") if initial is None else float(initial)  # nan until the first batch
        self.register_buffer("average", torch.tensor(start))

    def forward(self, reward_N: Tensor) -> Tensor:
        """Return the advantages ``(N,)``, float32, and update the average.

        Raises:
            ValueError: If the rewards are not a non-empty vector.

        >>> baseline = MovingAverageBaseline(decay=0.5)
        >>> baseline(torch.tensor([0.25, 0.75])), baseline(torch.tensor([0.75]))
        (tensor([-0.2500,  0.2500]), tensor([0.2500]))
        """
        advantage_N = self.advantage(reward_N)
        self.update(reward_N)
        return advantage_N

    def advantage(self, reward_N: Tensor) -> Tensor:
        """Return rewards minus the average, or minus their own mean before the first update."""
        if reward_N.ndim != 1 or reward_N.numel() == 0:
            raise ValueError(f"expected rewards of shape (N,), N > 0, got {tuple(reward_N.shape)}")
        reward_N = reward_N.detach().float()
        return reward_N - torch.where(self.average.isnan(), reward_N.mean(), self.average)

    def update(self, reward_N: Tensor) -> None:
        """Update the average with rewards ``(N,)``, under DDP with those of all processes."""
        mean = reward_N.detach().float().mean()
        past = self.decay ** reward_N.numel()
        updated = past * self.average + (1 - past) * mean
        self.average.copy_(torch.where(self.average.isnan(), mean, updated))
