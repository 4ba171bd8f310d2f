"""The record of sampled or scored architectures. Shapes: N = architectures, T = tokens of one."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Rollout:
    """Architectures that a controller sampled or scored.

    Args:
        tokens_NT: Tokens, int64.
        log_prob_NT: Log-probability of each token, given the tokens before it.
        entropy_NT: Entropy of the distribution of each token, in nats.
        skip_kl_N: Divergence of the skip probabilities from their target, in nats; 0 without skips.
    """

    tokens_NT: Tensor
    log_prob_NT: Tensor
    entropy_NT: Tensor
    skip_kl_N: Tensor

    @classmethod
    def join(cls, rollouts: Sequence["Rollout"], order: Tensor) -> "Rollout":
        """Return one rollout of several. Zeros fill the shorter ones up to the longest.

        Args:
            rollouts: At least one rollout.
            order: Place of each architecture in the result, int64 ``(N,)``.
        """
        longest = max(rollout.tokens_NT.shape[1] for rollout in rollouts)

        def join_field(name: str) -> Tensor:
            parts = [getattr(rollout, name) for rollout in rollouts]
            if parts[0].ndim == 2:
                parts = [F.pad(part, (0, longest - part.shape[1])) for part in parts]
            return torch.cat(parts)[order.argsort()]

        return cls(*(join_field(field.name) for field in fields(cls)))

    @property
    def log_prob_N(self) -> Tensor:
        """Log-probability of each architecture."""
        return self.log_prob_NT.sum(dim=1)

    @property
    def entropy_N(self) -> Tensor:
        """Sum of the entropies of all tokens of each architecture, in nats."""
        return self.entropy_NT.sum(dim=1)
