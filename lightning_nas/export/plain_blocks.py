"""What the files of ``python_file`` build their networks of, out of ``plain_layers``.

Copied like those. Shapes: ``(N, C, H, W)`` maps, ``(N, K)`` logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.export.plain_layers import (
    Conv2d,
    FactorizedReduction,
    ReluConvNorm,
    batch_norm,
)


def fit(in_channels: int, channels: int, halve: bool = False) -> nn.Module:
    """Return what brings an input of a cell to the cell's channels and resolution."""
    if halve:
        return nn.Sequential(nn.ReLU(), FactorizedReduction(in_channels, channels))
    return nn.Identity() if in_channels == channels else ReluConvNorm(in_channels, channels)


def always_fit(in_channels: int, channels: int, halve: bool) -> nn.Module:
    """Return the same; what fits already goes through a convolution, too."""
    if halve:
        return nn.Sequential(nn.ReLU(), FactorizedReduction(in_channels, channels))
    return ReluConvNorm(in_channels, channels)


def plain(channels: int, kernel: int) -> nn.Module:
    """Return ReLU, convolution, batch norm."""
    return nn.Sequential(nn.ReLU(), Conv2d(channels, channels, kernel), batch_norm(channels))


def separable(channels: int, kernel: int) -> nn.Module:
    """Return ReLU, depthwise and pointwise convolution, batch norm."""
    depthwise = Conv2d(channels, channels, kernel, groups=channels)
    convolutions = nn.Sequential(depthwise, Conv2d(channels, channels))
    return nn.Sequential(nn.ReLU(), convolutions, batch_norm(channels))


class Block(nn.Module):
    """ReLU, 1x1 convolution, batch norm; then an operation; then a 1x1 convolution of all skips."""

    def __init__(self, channels: int, operation: nn.Module, skips: int | None) -> None:
        super().__init__()
        self.conv = ReluConvNorm(channels, channels)
        self.operation = operation
        self.join = None if skips is None else ReluConvNorm((skips + 1) * channels, channels)

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        """Return the block's output."""
        x = self.operation(self.conv(x))
        return x if self.join is None else self.join(torch.cat([*skips, x], dim=1))


def halvings(channels: int, *sources: int) -> nn.ModuleDict:
    """Return what brings each of some outputs to half the resolution and twice the channels."""
    sizes = channels, 2 * channels
    return nn.ModuleDict({str(source): FactorizedReduction(*sizes) for source in sources})


def join(*inputs: Tensor) -> Tensor:
    """Concatenate maps in depth, smaller ones in the middle of zeros."""
    height, width = (max(x.shape[axis] for x in inputs) for axis in (2, 3))
    padded = []
    for x in inputs:
        down, across = height - x.shape[2], width - x.shape[3]
        zeros = (across // 2, across - across // 2, down // 2, down - down // 2)
        padded.append(F.pad(x, zeros) if any(zeros) else x)
    return torch.cat(padded, dim=1)


class ConvNormRelu(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, in_channels: int, filters: int, kernel: tuple[int, int], stride: tuple[int, int]
    ) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, filters, kernel, stride)
        self.norm = batch_norm(filters)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for ``x``."""
        return F.relu(self.norm(self.conv(x)))


class Convolutions(nn.Module):
    """The same convolution some times in a row, each of which reads all before it."""

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        repeats: int = 1,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ConvNormRelu(in_channels + i * filters, filters, kernel, stride) for i in range(repeats)
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the output of the last one for the joined inputs."""
        x = join(*inputs)
        out = self.layers[0](x)
        for layer in self.layers[1:]:
            x = torch.cat([x, out], dim=1)
            out = layer(x)
        return out


def pool(x: Tensor) -> Tensor:
    """Halve the resolution by maxima."""
    return F.max_pool2d(x, 2, ceil_mode=True)


class ResidualReduction(nn.Module):
    """A residual block that halves the resolution."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.halve = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1, bias=False)
        self.norm = batch_norm(channels)
        self.conv = ReluConvNorm(channels, channels, 3)
        self.shortcut = Conv2d(in_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for ``x``."""
        shortcut = self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True))
        return shortcut + self.conv(self.norm(self.halve(F.relu(x))))


class Classifier(nn.Module):
    """The average over all pixels, dropout, a linear layer."""

    def __init__(self, channels: int, num_classes: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, num_classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.linear(self.dropout(x.mean(dim=(2, 3))))
