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
