"""What the cells of every network share: their states, and how their inputs are brought in."""

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.layers.convolutions import FactorizedReduction, Norm, ReluConvNorm


class States:
    """The states of one cell as they are made, each with its ReLU, computed at most once."""

    def __init__(self, *states: Tensor) -> None:
        self.states = list(states)
        self._relu: dict[int, Tensor] = {}

    def append(self, state: Tensor) -> None:
        """Add the next state."""
        self.states.append(state)

    def __getitem__(self, index: int) -> Tensor:
        return self.states[index]

    def relu(self, index: int) -> Tensor:
        """Return the ReLU of a state."""
        if index not in self._relu:
            self._relu[index] = F.relu(self.states[index])
        return self._relu[index]


def calibrate(in_channels: int, channels: int, halve: bool, norm: Norm) -> nn.Module:
    """Return the layer that brings an input of a cell to the cell's channels and resolution."""
    if halve:
        return nn.Sequential(nn.ReLU(), FactorizedReduction(in_channels, channels, norm))
    return nn.Identity() if in_channels == channels else ReluConvNorm(in_channels, channels, norm)
