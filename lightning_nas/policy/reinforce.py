"""REINFORCE. Shapes: N = sampled architectures.

Source: Williams, 1992, https://doi.org/10.1007/BF00992696.
"""

from torch import Tensor


def reinforce_loss(log_prob_N: Tensor, advantage_N: Tensor) -> Tensor:
    """Return the loss whose gradient is the policy gradient's estimate, a scalar.

    Args:
        log_prob_N: Log-probability of each sampled architecture, with its graph.
        advantage_N: Reward less baseline; no gradient flows into it.
    """
    return -(log_prob_N * advantage_N.detach()).mean()


def importance_weights(log_prob_N: Tensor, sampled_log_prob_N: Tensor) -> Tensor:
    """Return how much samples of an older policy count: the ratio of probabilities, at most 1.

    Source: truncated importance weights, Espeholt et al., 2018, https://arxiv.org/abs/1802.01561.

    Args:
        log_prob_N: Log-probability of each under the policy as it is.
        sampled_log_prob_N: Under the one that it was sampled from.

    >>> import torch
    >>> importance(torch.tensor([0.5, 0.5]).log(), torch.tensor([1.0, 0.25]).log())
    tensor([0.5000, 1.0000])
    """
    return (log_prob_N.detach() - sampled_log_prob_N).exp().clamp(max=1)
