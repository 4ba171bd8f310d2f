"""The record of sampled architectures. Shapes: N = architectures, T = tokens of one."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
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

    @classmethod
    def join(cls, rollouts: Sequence["Rollout"], order: Tensor) -> "Rollout":
        """Return one rollout of several, of perhaps different lengths: zeros fill the shorter.

        Args:
            rollouts: At least one.
            order: Where each of all their architectures belongs, int64 ``(N,)``.
        """
        longest = max(rollout.tokens_NT.shape[1] for rollout in rollouts)

        def joined(name: str) -> Tensor:
            parts = [getattr(rollout, name) for rollout in rollouts]
            if parts[0].ndim == 2:
                parts = [F.pad(part, (0, longest - part.shape[1])) for part in parts]
            return torch.cat(parts)[order.argsort()]

        return cls(*(joined(field.name) for field in fields(cls)))

    @property
    def log_prob_N(self) -> Tensor:
        """Log-probability of each architecture."""
        return self.log_prob_NT.sum(dim=1)

    @property
    def entropy_N(self) -> Tensor:
        """Sum of the entropies along each architecture."""
        return self.entropy_NT.sum(dim=1)
