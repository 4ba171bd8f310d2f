"""Proximal policy optimisation, the clipped form. Shapes: N = sampled architectures.

Source: Schulman et al., 2017, https://arxiv.org/abs/1707.06347, Equation 7.
"""

import torch
from torch import Tensor


def ppo_loss(
    log_prob_N: Tensor, old_log_prob_N: Tensor, advantage_N: Tensor, clip: float
) -> Tensor:
    """Return the loss whose gradient is that of the clipped surrogate objective, a scalar.

    Args:
        log_prob_N: Log-probability of each architecture under the present policy, with its graph.
        old_log_prob_N: The same under the policy that sampled it.
        advantage_N: Reward less baseline; no gradient flows into it.
        clip: How far the ratio of the two probabilities may move from 1 and still pay, in (0, 1).

    >>> ratio_two = torch.tensor([2.0]).log()
    >>> ppo_loss(ratio_two, torch.zeros(1), torch.ones(1), clip=0.2)
    tensor(-1.2000)
    """
    ratio_N = (log_prob_N - old_log_prob_N.detach()).exp()
    advantage_N = advantage_N.detach()
    clipped_N = ratio_N.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio_N * advantage_N, clipped_N * advantage_N).mean()


def normalise(advantage_N: Tensor) -> Tensor:
    """Return advantages with mean 0 and deviation 1; equal ones become 0. No baseline matters then.

    >>> normalised(torch.tensor([0.25, 0.75]))
    tensor([-1.0000,  1.0000])
    """
    # 1e-5: above the rounding of equal rewards in [0, 1], below any difference that counts
    return (advantage_N - advantage_N.mean()) / (advantage_N.std(correction=0) + 1e-5)


def rank_values(advantage_N: Tensor) -> Tensor:
    """Return, for each advantage, the share of others below it less the share above it.

    However far a bad architecture falls behind, good ones that lie close are told apart as clearly.

    >>> ranks(torch.tensor([0.25, 0.75, 0.76, 0.76]))
    tensor([-0.7500, -0.2500,  0.5000,  0.5000])
    """
    return (advantage_N[:, None] - advantage_N).sign().mean(dim=1)
