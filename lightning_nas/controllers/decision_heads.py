"""Layers that turn the state of a controller into the logits of a decision.

Shapes: N = architectures, H = hidden units, K = options, J = earlier nodes.
"""

import torch
from torch import Tensor, nn


def squash(logits: Tensor, temperature: float | None, bound: float | None) -> Tensor:
    """Return logits divided by ``temperature``, then bounded by ``c tanh(x)``; None = neither."""
    if temperature is not None:
        logits = logits / temperature
    return logits if bound is None else bound * torch.tanh(logits)


class ChoiceHead(nn.Module):
    """Softmax over named options, with an embedding that feeds the chosen option back.

    Args:
        options: Number of options, K.
        hidden: Hidden units of the controller, H.
    """

    def __init__(self, options: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Linear(hidden, options, bias=False)
        self.embedding = nn.Embedding(options, hidden)

    def forward(self, state_NH: Tensor) -> Tensor:
        """Return logits ``(N, K)``."""
        return self.weight(state_NH)


class Attention(nn.Module):
    """Score of each earlier node for the present state: ``v tanh(W1 h_j + W2 h_i)``.

    Source: Zoph and Le, 2017, Section 3.3.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.value = nn.Linear(hidden, 1, bias=False)

    def forward(self, keys_NJH: Tensor, state_NH: Tensor) -> Tensor:
        """Return logits ``(N, J)``; ``key`` made the keys of the states of earlier nodes."""
        return self.value(torch.tanh(keys_NJH + self.query(state_NH)[:, None])).squeeze(-1)
