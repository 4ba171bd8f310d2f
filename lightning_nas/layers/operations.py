"""The registry of operations: for each rule set, the factory of every operation by its name.

A rule set says how a network uses an operation: ``enas``, ``darts`` and ``nasnet`` for the edges of
cells, ``macro`` for the layers of the macro space, ``edge`` for the edges of edge cells. Spaces,
networks, pictures and exports know the operations in this registry and no others.
``register_operation`` adds one.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from lightning_nas.errors import InputError
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

# (channels in, channels out, stride, factory of batch norms) -> layer
OperationFactory = Callable[[int, int, int, Norm], nn.Module]


class Identity(nn.Identity):
    """Layer that returns its input."""

    reads_relu = False


class Zero(nn.Module):
    """Layer that returns zeros.

    The layers before it still get a gradient, which is zero: DDP fails on parameters without one.
    """

    reads_relu = False

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros in the shape of ``x``."""
        return x * 0


class StridedIdentity(FactorizedReduction):
    """Factorized reduction of a map before its ReLU: the identity with stride 2 of ENAS."""

    reads_relu = False


class ReluReduction(FactorizedReduction):
    """Factorized reduction of a map after its ReLU: the identity with stride 2 of DARTS."""

    reads_relu = True


class ProjectedPool(nn.Sequential):
    """Pooling of a map before its ReLU, then 1x1 convolution and batch norm without a ReLU."""

    reads_relu = False


def _identity(
    channels_in: int,
    channels_out: int,
    stride: int,
    norm: Norm,
    reduction: type[FactorizedReduction] = StridedIdentity,
) -> nn.Module:
    return Identity() if stride == 1 else reduction(channels_in, channels_out, norm)


def _projected_identity(channels_in: int, channels_out: int, stride: int, norm: Norm) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return Identity()
    return ConvNorm(channels_in, channels_out, stride, norm)


def _zero(channels_in: int, channels_out: int, stride: int, norm: Norm) -> nn.Module:
    return Zero()


def _pool(
    channels_in: int,
    channels_out: int,
    stride: int,
    norm: Norm,
    pool: Callable[[int], nn.Module],
) -> nn.Module:
    if channels_in == channels_out:
        return pool(stride)
    return ProjectedPool(pool(stride), ConvNorm(channels_in, channels_out, 1, norm))


def _bare_conv(
    channels_in: int, channels_out: int, stride: int, norm: Norm, kernel: int
) -> nn.Module:
    return Conv2d(channels_in, channels_out, kernel, stride)


def _bare_separable_conv(
    channels_in: int, channels_out: int, stride: int, norm: Norm, kernel: int
) -> nn.Module:
    depthwise = Conv2d(channels_in, channels_in, kernel, stride, groups=channels_in)
    return nn.Sequential(depthwise, Conv2d(channels_in, channels_out))


_POOLS: dict[str, OperationFactory] = {
    "avg_pool_3x3": partial(_pool, pool=AveragePool),
    "max_pool_3x3": partial(_pool, pool=MaxPool),
}
_ENAS: dict[str, OperationFactory] = {
    "sep_conv_3x3": partial(SeparableConv, kernel=3),
    "sep_conv_5x5": partial(SeparableConv, kernel=5),
    **_POOLS,
    "identity": _identity,
}
OPERATIONS: dict[str, dict[str, OperationFactory]] = {
    "enas": _ENAS,
    "darts": {
        **_ENAS,
        "sep_conv_7x7": partial(SeparableConv, kernel=7),
        "identity": partial(_identity, reduction=ReluReduction),
    },
    "nasnet": {
        "identity": _projected_identity,
        "conv_1x3_3x1": partial(AsymmetricConv, kernel=3),
        "conv_1x7_7x1": partial(AsymmetricConv, kernel=7),
        "dil_conv_3x3": partial(ConvNorm, kernel=3, dilation=2),
        **_POOLS,
        "max_pool_5x5": partial(_pool, pool=partial(MaxPool, kernel=5)),
        "max_pool_7x7": partial(_pool, pool=partial(MaxPool, kernel=7)),
        "conv_1x1": ConvNorm,
        "conv_3x3": partial(ConvNorm, kernel=3),
        "sep_conv_3x3": partial(SeparableConv, kernel=3),
        "sep_conv_5x5": partial(SeparableConv, kernel=5),
        "sep_conv_7x7": partial(SeparableConv, kernel=7),
    },
    "macro": {  # bare: the layer of the network adds activation and batch norm
        "conv_3x3": partial(_bare_conv, kernel=3),
        "sep_conv_3x3": partial(_bare_separable_conv, kernel=3),
        "conv_5x5": partial(_bare_conv, kernel=5),
        "sep_conv_5x5": partial(_bare_separable_conv, kernel=5),
        **_POOLS,
    },
    "edge": {
        "none": _zero,
        "identity": _identity,
        "conv_1x1": ReluConvNorm,
        "conv_3x3": partial(ReluConvNorm, kernel=3),
        "avg_pool_3x3": partial(_pool, pool=AveragePool),
    },
}
POOLINGS = tuple(_POOLS)  # the macro space applies no batch norm after them


def make_operation(
    rules: str, name: str, channels_in: int, channels_out: int, stride: int, norm: Norm
) -> nn.Module:
    """Return the layer of an operation.

    Args:
        rules: Rule set, a key of ``OPERATIONS``.
        name: Name of the operation.
        channels_in: Number of input channels.
        channels_out: Number of output channels.
        stride: 1 or 2.
        norm: Factory of batch norms.

    Raises:
        InputError: If the rule set has no such operation.
    """
    if name not in OPERATIONS[rules]:
        legal = ", ".join(OPERATIONS[rules])
        raise InputError(f"no operation {name!r} is registered for {rules}; legal: {legal}")
    return OPERATIONS[rules][name](channels_in, channels_out, stride, norm)
