"""The operations of the spaces, by name: the only place where a name becomes a layer.

``CELL`` makes the operation on an edge of an ENAS cell, activation and batch norm included,
``DARTS`` that of a cell by the rules of DARTS, ``NASNET`` that of a NASNet cell. An operation with
``reads_relu`` takes the state after its ReLU, the others the state as it is. ``MACRO`` makes the
bare operation of a macro layer, which puts activation and batch norm around it itself.
``EDGE`` makes the operation on an edge of an edge cell,
ReLU and batch norm included.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from lightning_nas.layers.convolutions import (
    AsymmetricConv,
    AveragePool,
    Conv2d,
    ConvNorm,
    FactorizedReduction,
    MaxPool,
    Norm,
    ReluConvNorm,
    SeparableConv,
)


class Identity(nn.Identity):
    """The state itself."""

    reads_relu = False


class Zero(nn.Module):
    """Zeros. What lies before them still gets a gradient, of zeros, as DDP asks for."""

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros in the shape of ``x``."""
        return x * 0


class StridedIdentity(FactorizedReduction):
    """The state itself at half the resolution."""

    reads_relu = False


class ReluReduction(FactorizedReduction):
    """The state at half the resolution, after its ReLU, which is the caller's."""

    reads_relu = True


def _identity(channels: int, stride: int, norm: Norm) -> nn.Module:
    return Identity() if stride == 1 else StridedIdentity(channels, channels, norm)


def _separable(channels: int, kernel: int) -> nn.Module:
    depthwise = Conv2d(channels, channels, kernel, groups=channels)
    return nn.Sequential(depthwise, Conv2d(channels, channels))


CELL: dict[str, Callable[[int, int, Norm], nn.Module]] = {  # channels, stride, norm
    "sep_conv_3x3": lambda channels, stride, norm: SeparableConv(
        channels, channels, 3, stride, norm
    ),
    "sep_conv_5x5": lambda channels, stride, norm: SeparableConv(
        channels, channels, 5, stride, norm
    ),
    "avg_pool_3x3": lambda channels, stride, norm: AveragePool(stride),
    "max_pool_3x3": lambda channels, stride, norm: MaxPool(stride),
    "identity": _identity,
}

DARTS: dict[str, Callable[[int, int, Norm], nn.Module]] = {  # the same, for the rules of DARTS
    **CELL,
    "sep_conv_7x7": lambda channels, stride, norm: SeparableConv(
        channels, channels, 7, stride, norm
    ),
    "identity": lambda channels, stride, norm: (
        Identity() if stride == 1 else ReluReduction(channels, channels, norm)
    ),
}


class ProjectedPool(nn.Sequential):
    """A pooling of a state as it is, then 1x1 and batch norm without a ReLU."""

    reads_relu = False


def _nasnet_identity(in_channels: int, channels: int, stride: int, norm: Norm) -> nn.Module:
    if stride == 1 and in_channels == channels:
        return Identity()
    return ConvNorm(in_channels, channels, norm, stride=stride)


def _pool(
    in_channels: int, channels: int, stride: int, norm: Norm, layer: Callable[[int], nn.Module]
) -> nn.Module:
    if in_channels == channels:
        return layer(stride)
    return ProjectedPool(layer(stride), ConvNorm(in_channels, channels, norm))


NASNET: dict[str, Callable[..., nn.Module]] = {  # in_channels, channels, stride=, norm=
    "identity": _nasnet_identity,
    "conv_1x3_3x1": partial(AsymmetricConv, kernel=3),
    "conv_1x7_7x1": partial(AsymmetricConv, kernel=7),
    "dil_conv_3x3": partial(ConvNorm, kernel=3, dilation=2),
    "avg_pool_3x3": partial(_pool, layer=AveragePool),
    "max_pool_3x3": partial(_pool, layer=MaxPool),
    "max_pool_5x5": partial(_pool, layer=partial(MaxPool, kernel=5)),
    "max_pool_7x7": partial(_pool, layer=partial(MaxPool, kernel=7)),
    "conv_1x1": ConvNorm,
    "conv_3x3": partial(ConvNorm, kernel=3),
    "sep_conv_3x3": partial(SeparableConv, kernel=3),
    "sep_conv_5x5": partial(SeparableConv, kernel=5),
    "sep_conv_7x7": partial(SeparableConv, kernel=7),
}

MACRO: dict[str, Callable[[int], nn.Module]] = {  # channels
    "conv_3x3": lambda channels: Conv2d(channels, channels, 3),
    "sep_conv_3x3": lambda channels: _separable(channels, 3),
    "conv_5x5": lambda channels: Conv2d(channels, channels, 5),
    "sep_conv_5x5": lambda channels: _separable(channels, 5),
    "avg_pool_3x3": lambda channels: AveragePool(),
    "max_pool_3x3": lambda channels: MaxPool(),
}
EDGE: dict[str, Callable[[int, Norm], nn.Module]] = {  # channels, norm
    "none": lambda channels, norm: Zero(),
    "identity": lambda channels, norm: Identity(),
    "conv_1x1": lambda channels, norm: ReluConvNorm(channels, channels, norm),
    "conv_3x3": lambda channels, norm: ReluConvNorm(channels, channels, norm, 3),
    "avg_pool_3x3": lambda channels, norm: AveragePool(),
}
POOLINGS = ("avg_pool_3x3", "max_pool_3x3")  # in a macro layer: no batch norm after them
