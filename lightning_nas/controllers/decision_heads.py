"""Layers that turn the state of a controller into the logits of a decision.

Shapes: N = architectures, H = hidden units, K = options, J = earlier nodes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_nas.errors import InputError
from lightning_nas.spaces.base import Choice, Pick, Skips, Space


def squash(logits: Tensor, temperature: float | None, bound: float | None) -> Tensor:
    """Return logits divided by ``temperature``, then bounded by ``c tanh(x)``; None = neither."""
    if temperature is not None:
        logits = logits / temperature
    return logits if bound is None else bound * torch.tanh(logits)


def list_logit_shapes(space: Space) -> list[tuple[int, int]]:
    """Return the shape of one architecture's logits for each decision: tokens, options."""
    shapes = []
    for decision in space.decisions:
        match decision:
            case Choice(n=n) | Pick(n):
                shapes.append((1, n))
            case Skips(n) if n:
                shapes.append((n, 2))
    return shapes


def make_bias(name: str, bias: Sequence[float] | None, choices: dict[str, int]) -> Tensor | None:
    """Return a bias of the logits of named options, with a number for each; None = no bias."""
    if bias is None:
        return None
    for choice, options in choices.items():
        if len(bias) != options:
            raise InputError(
                f"controller.{name} has {len(bias)} numbers, but {choice} has {options} options"
            )
    return torch.tensor([float(number) for number in bias])


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
