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


def measure(
    logits: Sequence[Tensor], tokens: Sequence[Tensor], released: bool
) -> tuple[Tensor, Tensor]:
    """Return the log-probability and the entropy of each token, ``(N, T)`` each.

    All decisions with the same number of options are measured at once, because a GPU needs as long
    to launch an operation on one token as on all of them. M = tokens of a decision, K = options.

    Args:
        logits: Logits of each decision, ``(N, M, K)``.
        tokens: Tokens of each decision, int64 ``(N, M)``.
        released: Whether to measure the entropy from the sampled token only.
    """
    groups: dict[int, list[int]] = {}  # numbers of the decisions, by K
    for number, one in enumerate(logits):
        groups.setdefault(one.shape[-1], []).append(number)
    measured: dict[int, tuple[Tensor, Tensor]] = {}
    for numbers in groups.values():
        together = torch.cat([logits[number] for number in numbers], dim=1)
        whole = _measure_alike(together, torch.cat([tokens[n] for n in numbers], dim=1), released)
        widths = [tokens[number].shape[1] for number in numbers]
        columns = zip(*(part.split(widths, dim=1) for part in whole), strict=True)
        measured.update(zip(numbers, columns, strict=True))
    log_probs, entropies = zip(*(measured[n] for n in range(len(logits))), strict=True)
    return torch.cat(log_probs, dim=1), torch.cat(entropies, dim=1)


def _measure_alike(logits_NMK: Tensor, tokens_NM: Tensor, released: bool) -> tuple[Tensor, Tensor]:
    log_probs = logits_NMK.log_softmax(dim=-1)
    log_prob = log_probs.gather(-1, tokens_NM[..., None]).squeeze(-1)
    if released:
        return log_prob, -log_prob.exp() * log_prob
    return log_prob, -(log_probs.exp() * log_probs).sum(dim=-1)
