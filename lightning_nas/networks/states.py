"""What the cells of every network share: their states, and how their inputs are brought in."""

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.layers.convolutions import ConvNorm, FactorizedReduction, Norm


class State:
    """A map and its ReLU, computed at most once, for every layer that reads it.

    Args:
        x: The map, ``(N, C, H, W)``.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._relu: Tensor | None = None

    @property
    def relu(self) -> Tensor:
        """The map with zeros for what is negative."""
        if self._relu is None:
            self._relu = F.relu(self.x)
        return self._relu

    def through(self, layer: nn.Module) -> Tensor:
        """Return what a layer, which says by ``reads_relu`` what it reads, makes of it."""
        return layer(self.relu if layer.reads_relu else self.x)

    def brought_in(self, layer: nn.Module) -> "State":
        """Return the state that a layer brings into a cell; this one, if it changes nothing."""
        return self if isinstance(layer, nn.Identity) else State(self.through(layer))


class Halving(nn.Sequential):
    """A factorised reduction of a state after its ReLU, which stands in the first place."""

    reads_relu = True

    def __init__(self, in_channels: int, channels: int, norm: Norm) -> None:
        super().__init__(nn.Identity(), FactorizedReduction(in_channels, channels, norm))


def calibrate(in_channels: int, channels: int, halve: bool, norm: Norm) -> nn.Module:
    """Return the layer that brings an input of a cell to the cell's channels and resolution."""
    if halve:
        return Halving(in_channels, channels, norm)
    return nn.Identity() if in_channels == channels else ConvNorm(in_channels, channels, norm)
