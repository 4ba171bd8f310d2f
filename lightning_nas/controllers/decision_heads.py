"""What turns a controller's state into the logits of a decision.

Shapes: N = architectures, H = hidden units, K = options, J = earlier nodes.
"""

import torch
from torch import Tensor, nn


class Squash(nn.Module):
    """Keeps logits from growing: divides by a temperature, then bounds by ``c tanh``.

    Args:
        temperature: Logits are divided by it; above 1 flattens. None = not.
        tanh_constant: The bound c. None = none.
    """

    def __init__(self, temperature: float | None, tanh_constant: float | None) -> None:
        super().__init__()
        self.temperature = temperature
        self.tanh_constant = tanh_constant

    def forward(self, logits: Tensor) -> Tensor:
        """Return logits of the same shape."""
        if self.temperature is not None:
            logits = logits / self.temperature
        return logits if self.tanh_constant is None else self.tanh_constant * torch.tanh(logits)


class ChoiceHead(nn.Module):
    """One softmax over named options, and the embedding of what was chosen.

    Args:
        options: How many options.
        hidden: The controller's hidden units.
    """

    def __init__(self, options: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Linear(hidden, options, bias=False)
        self.embedding = nn.Embedding(options, hidden)

    def forward(self, state_NH: Tensor) -> Tensor:
        """Return logits ``(N, K)``."""
        return self.weight(state_NH)


class Attention(nn.Module):
    """How well each earlier node fits the present state: ``v tanh(W1 h_j + W2 h_i)``.

    Source: Zoph and Le, 2017, Section 3.3.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.value = nn.Linear(hidden, 1, bias=False)

    def forward(self, keys_NJH: Tensor, state_NH: Tensor) -> Tensor:
        """Return logits ``(N, J)`` for keys that ``key`` made of the earlier nodes' states."""
        return self.value(torch.tanh(keys_NJH + self.query(state_NH)[:, None])).squeeze(-1)
