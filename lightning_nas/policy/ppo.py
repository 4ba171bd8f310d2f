"""Proximal policy optimisation (PPO) with clipping. Shapes: N = sampled architectures.

Source: Schulman et al., 2017, https://arxiv.org/abs/1707.06347, Equation 7.
"""

import torch
from torch import Tensor


def ppo_loss(
    log_prob_N: Tensor, old_log_prob_N: Tensor, advantage_N: Tensor, clip: float
) -> Tensor:
    """Return the negative clipped surrogate objective, a scalar.

    Args:
        log_prob_N: Log-probability of each architecture under the present policy, with its graph.
        old_log_prob_N: Log-probability under the policy that sampled the architecture.
        advantage_N: Reward minus baseline; no gradient flows into it.
        clip: Clipping range of the ratio of the two probabilities around 1, in (0, 1).

    >>> ratio_two = torch.tensor([2.0]).log()
    >>> ppo_loss(ratio_two, torch.zeros(1), torch.ones(1), clip=0.2)
    tensor(-1.2000)
    """
    ratio_N = (log_prob_N - old_log_prob_N.detach()).exp()
    advantage_N = advantage_N.detach()
    clipped_N = ratio_N.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio_N * advantage_N, clipped_N * advantage_N).mean()


def normalise(advantage_N: Tensor) -> Tensor:
    """Return advantages with mean 0 and standard deviation 1; equal advantages become 0.

    A baseline then changes nothing.

    >>> normalise(torch.tensor([0.25, 0.75]))
    tensor([-1.0000,  1.0000])
    """
    # 1e-5 is above the rounding of equal rewards in [0, 1] and below any relevant difference.
    return (advantage_N - advantage_N.mean()) / (advantage_N.std(correction=0) + 1e-5)


def rank_values(advantage_N: Tensor) -> Tensor:
    """Return the share of lower advantages minus the share of higher ones, for each advantage.

    Ranks separate good architectures of similar rewards, even if one bad reward is far below.

    >>> rank_values(torch.tensor([0.25, 0.75, 0.76, 0.76]))
    tensor([-0.7500, -0.2500,  0.5000,  0.5000])
    """
    return (advantage_N[:, None] - advantage_N).sign().mean(dim=1)
