"""The registry of operations: for each rule set, the factory of each operation, by name.

A rule set groups the operations that one kind of network uses: ``enas``, ``darts`` and ``nasnet``
for the blocks of cells, ``macro`` for the layers of the macro space, ``edge`` for the edges of edge
cells. Networks can build only the operations in this registry. ``register_operation`` adds one.
``architecture/operation_names.py`` has the legal names, for code that must not import torch.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pydoc import ErrorDuringImport, locate

import torch
from torch import Tensor, nn

from lightning_nas.architecture import register_name
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

    The input still gets a gradient of zeros, because DDP fails on parameters without a gradient.
    """

    reads_relu = False

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros in the shape of ``x``."""
        return x * 0


class StridedIdentity(FactorizedReduction):
    """Identity of ENAS for stride 2: a factorized reduction that reads the map before the ReLU."""

    reads_relu = False


class ReluReduction(FactorizedReduction):
    """Identity of DARTS for stride 2: a factorized reduction that reads the map after the ReLU."""

    reads_relu = True


class ProjectedPool(nn.Sequential):
    """Pooling, 1x1 convolution and batch norm. The pooling reads the map before the ReLU."""

    reads_relu = False


def _make_identity(
    channels_in: int,
    channels_out: int,
    stride: int,
    norm: Norm,
    reduction: type[FactorizedReduction] = StridedIdentity,
) -> nn.Module:
    return Identity() if stride == 1 else reduction(channels_in, channels_out, norm)


def _make_projected_identity(
    channels_in: int, channels_out: int, stride: int, norm: Norm
) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return Identity()
    return ConvNorm(channels_in, channels_out, stride, norm)


def _make_zero(channels_in: int, channels_out: int, stride: int, norm: Norm) -> nn.Module:
    return Zero()


def _make_pool(
    channels_in: int,
    channels_out: int,
    stride: int,
    norm: Norm,
    pool: Callable[[int], nn.Module],
) -> nn.Module:
    if channels_in == channels_out:
        return pool(stride)
    return ProjectedPool(pool(stride), ConvNorm(channels_in, channels_out, 1, norm))


def _make_bare_conv(
    channels_in: int, channels_out: int, stride: int, norm: Norm, kernel: int
) -> nn.Module:
    return Conv2d(channels_in, channels_out, kernel, stride)


def _make_bare_separable_conv(
    channels_in: int, channels_out: int, stride: int, norm: Norm, kernel: int
) -> nn.Module:
    depthwise = Conv2d(channels_in, channels_in, kernel, stride, groups=channels_in)
    return nn.Sequential(depthwise, Conv2d(channels_in, channels_out))


_POOLS: dict[str, OperationFactory] = {
    "avg_pool_3x3": partial(_make_pool, pool=AveragePool),
    "max_pool_3x3": partial(_make_pool, pool=MaxPool),
}
_ENAS: dict[str, OperationFactory] = {
    "sep_conv_3x3": partial(SeparableConv, kernel=3),
    "sep_conv_5x5": partial(SeparableConv, kernel=5),
    **_POOLS,
    "identity": _make_identity,
}
OPERATIONS: dict[str, dict[str, OperationFactory]] = {
    "enas": _ENAS,
    "darts": {
        **_ENAS,
        "sep_conv_7x7": partial(SeparableConv, kernel=7),
        "identity": partial(_make_identity, reduction=ReluReduction),
    },
    "nasnet": {
        "identity": _make_projected_identity,
        "conv_1x3_3x1": partial(AsymmetricConv, kernel=3),
        "conv_1x7_7x1": partial(AsymmetricConv, kernel=7),
        "dil_conv_3x3": partial(ConvNorm, kernel=3, dilation=2),
        **_POOLS,
        "max_pool_5x5": partial(_make_pool, pool=partial(MaxPool, kernel=5)),
        "max_pool_7x7": partial(_make_pool, pool=partial(MaxPool, kernel=7)),
        "conv_1x1": ConvNorm,
        "conv_3x3": partial(ConvNorm, kernel=3),
        "sep_conv_3x3": partial(SeparableConv, kernel=3),
        "sep_conv_5x5": partial(SeparableConv, kernel=5),
        "sep_conv_7x7": partial(SeparableConv, kernel=7),
    },
    "macro": {  # bare: the network adds activation and batch norm
        "conv_3x3": partial(_make_bare_conv, kernel=3),
        "sep_conv_3x3": partial(_make_bare_separable_conv, kernel=3),
        "conv_5x5": partial(_make_bare_conv, kernel=5),
        "sep_conv_5x5": partial(_make_bare_separable_conv, kernel=5),
        **_POOLS,
    },
    "edge": {
        "none": _make_zero,
        "identity": _make_identity,
        "conv_1x1": ReluConvNorm,
        "conv_3x3": partial(ReluConvNorm, kernel=3),
        "avg_pool_3x3": partial(_make_pool, pool=AveragePool),
    },
}
POOLINGS = tuple(_POOLS)  # networks of the macro space have no batch norm after a pooling


def make_operation(
    rules: str, name: str, channels_in: int, channels_out: int, stride: int, norm: Norm
) -> nn.Module:
    """Return the layer of an operation.

    Args:
        rules: Rule set, a key of ``OPERATIONS``.
        name: Name of the operation.
        channels_in: Number of input channels.
        channels_out: Number of output channels.
        stride: Stride in pixels, 1 or 2.
        norm: Factory of batch norms.

    Raises:
        InputError: If the rule set has no such operation.
    """
    if name not in OPERATIONS[rules]:
        legal = ", ".join(OPERATIONS[rules])
        raise InputError(f"operation {name!r} is not registered for {rules}; legal: {legal}")
    return OPERATIONS[rules][name](channels_in, channels_out, stride, norm)


ADDED: dict[str, dict[str, OperationFactory]] = {}  # operations from register_operation
_CHECKS = {  # pairs (channels in, stride) that the networks of a rule set use
    "enas": ((8, 1), (8, 2)),
    "darts": ((8, 1), (8, 2)),
    "nasnet": ((8, 1), (8, 2), (16, 1), (16, 2)),
    "macro": ((8, 1),),
    "edge": ((8, 1),),
}


def register_operations(operations: Mapping[str, Mapping[str, object]] | None) -> None:
    """Register the operations of a configuration.

    Args:
        operations: For each rule set, the factory of each operation, by name. A factory is a
            callable or the dotted name of a callable; None = no operations. Example:
            ``{"enas": {"my_conv": "my_module.make_my_conv"}}``.

    Raises:
        InputError: If a factory cannot be imported, or ``register_operation`` refuses the factory.
    """
    for rules, factories in (operations or {}).items():
        if not isinstance(factories, Mapping):
            raise InputError(
                f"operations.{rules} must be a mapping of names to factories, got {factories!r}"
            )
        for name, factory in factories.items():
            if isinstance(factory, str):
                factory = _import_factory(f"operations.{rules}.{name}", factory)
            register_operation(rules, name, factory)  # type: ignore[arg-type]


def _import_factory(setting: str, dotted_name: str) -> object:
    try:
        factory = locate(dotted_name)
    except ErrorDuringImport as error:
        raise InputError(f"{setting}={dotted_name}: {' '.join(str(error).split())}") from error
    if factory is None:
        raise InputError(
            f"{setting}={dotted_name}: not found; check the name, and that PYTHONPATH contains the "
            "folder of the module"
        )
    return factory


def register_operation(rules: str, name: str, factory: OperationFactory) -> None:
    """Add an operation to a rule set. Spaces can then list the name, and networks can build it.

    The layer is checked on small maps. In a cell, a layer with the class attribute
    ``reads_relu = True`` gets its input after the ReLU; all other layers get the input before the
    ReLU. A second registration of the same factory has no effect.

    Args:
        rules: Rule set, a key of ``OPERATIONS``.
        name: Name in architecture files and settings: letters, digits and underscores.
        factory: Function of ``(channels_in, channels_out, stride, norm)`` that returns a layer. The
            argument ``norm`` is a function from a number of channels to a batch norm. The layer
            maps ``(N, channels_in, H, W)`` to
            ``(N, channels_out, ceil(H / stride), ceil(W / stride))``.

    Raises:
        InputError: If the rule set is unknown; if the name is taken or not legal; or if the layer
            raises an error, changes its input in place, or returns another shape.
    """
    setting = f"operations.{rules}.{name}"
    if rules in OPERATIONS and name in OPERATIONS[rules]:
        if OPERATIONS[rules][name] is factory:
            return
        raise InputError(f"{setting}: the name is taken; choose another one")
    if not callable(factory):
        raise InputError(f"{setting} must be a function or a class, got {factory!r}")
    if isinstance(name, str) and hasattr(nn.ModuleDict(), name):
        raise InputError(f"{setting}: torch reserves this name; choose another one")
    for channels_in, stride in _CHECKS.get(rules, ()):
        _check_layer(setting, factory, channels_in, stride)
    register_name(rules, name)
    OPERATIONS[rules][name] = factory
    ADDED.setdefault(rules, {})[name] = factory


def _check_layer(setting: str, factory: OperationFactory, channels_in: int, stride: int) -> None:
    """Raise InputError if the layer from ``channels_in`` to 8 channels does not work."""
    size = math.ceil(7 / stride)
    where = f"{setting} with {channels_in} to 8 channels and stride {stride}"
    with torch.random.fork_rng(devices=[]):  # keep the random state of the search
        x = torch.randn(2, channels_in, 7, 7)
        before = x.clone()
        try:
            out = factory(channels_in, 8, stride, nn.BatchNorm2d)(x)
        except Exception as error:  # the user's code may raise anything
            reason = " ".join(str(error).split())
            raise InputError(f"{where}: {type(error).__name__}: {reason}") from error
    if not isinstance(out, Tensor) or out.shape != (2, 8, size, size):
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise InputError(f"{where} must map {tuple(x.shape)} to {(2, 8, size, size)}, got {shape}")
    if not x.equal(before):
        raise InputError(f"{where} changes its input in place, but other layers read the same map")
