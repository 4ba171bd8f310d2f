"""The record of sampled architectures. Shapes: N = architectures, T = tokens of one."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Rollout:
    """Architectures as a controller sampled or scored them.

    Args:
        tokens_NT: What was decided, int64.
        log_prob_NT: Log-probability of each token, given those before it.
        entropy_NT: Entropy of the distribution that each token was drawn from, in nats.
        skip_kl_N: How far the skip probabilities lie from their target; 0 without skips.
    """

    tokens_NT: Tensor
    log_prob_NT: Tensor
    entropy_NT: Tensor
    skip_kl_N: Tensor

    @property
    def log_prob_N(self) -> Tensor:
        """Log-probability of each architecture."""
        return self.log_prob_NT.sum(dim=1)

    @property
    def entropy_N(self) -> Tensor:
        """Sum of the entropies along each architecture."""
        return self.entropy_NT.sum(dim=1)
