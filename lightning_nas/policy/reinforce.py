"""REINFORCE. Shapes: N = sampled architectures.

Source: Williams, 1992, https://doi.org/10.1007/BF00992696.
"""

from torch import Tensor


def reinforce_loss(log_prob_N: Tensor, advantage_N: Tensor) -> Tensor:
    """Return the REINFORCE loss, a scalar; its gradient estimates the policy gradient.

    Args:
        log_prob_N: Log-probability of each sampled architecture, with its graph.
        advantage_N: Reward minus baseline; no gradient flows into it.
    """
    return -(log_prob_N * advantage_N.detach()).mean()


def importance_weights(log_prob_N: Tensor, sampled_log_prob_N: Tensor) -> Tensor:
    """Return the weights of samples from an older policy: ratios of probabilities, at most 1.

    Source: truncated importance weights, Espeholt et al., 2018, https://arxiv.org/abs/1802.01561.

    Args:
        log_prob_N: Log-probability of each architecture under the present policy.
        sampled_log_prob_N: Log-probability under the policy that sampled the architecture.

    >>> import torch
    >>> importance_weights(torch.tensor([0.5, 0.5]).log(), torch.tensor([1.0, 0.25]).log())
    tensor([0.5000, 1.0000])
    """
    return (log_prob_N.detach() - sampled_log_prob_N).exp().clamp(max=1)
