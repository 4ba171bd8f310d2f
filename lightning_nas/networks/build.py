"""``build_network``, which turns an architecture into a network."""

from typing import Any

from torch import nn

from lightning_nas.architecture import (
    Architecture,
    CellArchitecture,
    ChainArchitecture,
    EdgeCellArchitecture,
    MacroArchitecture,
)
from lightning_nas.errors import InputError
from lightning_nas.networks.cell import CellNetwork, DARTSCellNetwork, NASNetCellNetwork
from lightning_nas.networks.chain import ChainNetwork
from lightning_nas.networks.edge_cell import EdgeCellNetwork
from lightning_nas.networks.features import FeaturePyramid
from lightning_nas.networks.heads import STEM_REDUCTIONS
from lightning_nas.networks.macro import MacroNetwork

CELL_NETWORKS = {  # by rule set
    "enas": CellNetwork,
    "nasnet": NASNetCellNetwork,
    "darts": DARTSCellNetwork,
}
IMAGE_SIZE = {"cifar": 32, "imagenet": 224}
EPSILON = {"cifar": 1e-5, "imagenet": 1e-3}  # batch norm in the released code of NASNet
LARGE = 96  # filters from which stem=imagenet follows NASNet-A Large; below, NASNet-A Mobile
LARGE_STEM, MOBILE_STEM = 96, 32  # filters


def build_network(
    architecture: Architecture,
    *,
    num_classes: int,
    filters: int | None = None,
    cells: int | None = None,
    stem: str = "cifar",
    in_channels: int = 3,
    auxiliary: bool = False,
    image_size: int | None = None,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    stem_filters: int | None = None,
    skip_reduction_input: bool | None = None,
    norm_epsilon: float | None = None,
    norm_momentum: float = 0.1,
    features_only: bool = False,
) -> nn.Module:
    """Return the network of an architecture with initial weights.

    Its forward takes ``(N, C, H, W)`` float images and returns ``(N, num_classes)`` logits; in
    training with ``auxiliary=True`` it returns logits and auxiliary logits.

    Args:
        architecture: Architecture of any kind.
        num_classes: Number of classes, at least 1.
        filters: Filters of the first stage, even; None = the architecture's own. Not for chains.
        cells: Number of normal cells in a stack (the papers' N), or of cells in a stage of edge
            cells, at least 1; None = the architecture's own. For cells and edge cells only.
        stem: ``cifar`` for small images, or ``imagenet``: a convolution and two reduction cells
            that reduce 224 pixels to 28. ``imagenet`` is for cells only.
        in_channels: Number of channels of the images.
        auxiliary: Whether to add the auxiliary head. For cells only.
        image_size: Side of the images in pixels; an auxiliary head needs a minimum. None = 32, or
            224 with ``stem="imagenet"``.
        dropout: Dropout rate before the classifier, in [0, 1).
        drop_path: Drop path rate of the last cell at the end of training, in [0, 1). For cells
            only.
        stem_filters: Filters of the stem's convolution, at least 1. None = 3 * filters; with
            ``stem="imagenet"`` 96 as in NASNet-A Large if filters >= 96, else 32 as in NASNet-A
            Mobile. For cells only.
        skip_reduction_input: Whether the normal cell after a reduction cell reads, as its older
            input, the last but one cell before the reduction cell, not the last one. None = true
            only with ``stem="imagenet"`` and filters >= 96, as in NASNet-A Large. For cells only.
        norm_epsilon: Epsilon of batch norm, above 0; None = 1e-5, or 1e-3 with
            ``stem="imagenet"``.
        norm_momentum: Weight of a batch in the running statistics of batch norm, in (0, 1].
        features_only: Whether to return a ``FeaturePyramid``: the last map of each resolution,
            without classifier and auxiliary head.

    Raises:
        InputError: If a number is out of range, a setting does not apply to the kind of
            architecture, or an operation is not registered.

    >>> from lightning_nas import load_architecture
    >>> network = build_network(load_architecture("enas_micro"), num_classes=10)
    >>> sum(parameter.numel() for parameter in network.parameters())
    3894372
    """
    if stem not in STEM_REDUCTIONS:
        raise InputError(f"stem must be {' or '.join(STEM_REDUCTIONS)}, got {stem!r}")
    if num_classes < 1:
        raise InputError(f"num_classes must be at least 1, got {num_classes}")
    image_size = IMAGE_SIZE[stem] if image_size is None else image_size
    common: dict[str, Any] = {
        "num_classes": num_classes,
        "channels": in_channels,
        "image_size": image_size,
        "dropout": dropout,
    }
    only_cells: dict[str, Any] = {
        "auxiliary": auxiliary,
        "drop_path": drop_path,
        "stem": stem,
        "stem_filters": stem_filters,
        "skip_reduction_input": skip_reduction_input,
    }
    network_class, sizes = _network_and_sizes(architecture, filters, cells, common, only_cells)
    network = network_class(architecture, **sizes)
    setattr(network, "sizes", sizes)  # noqa: B010  # read by the exported Python file; typed as a module
    _set_norms(network, EPSILON[stem] if norm_epsilon is None else norm_epsilon, norm_momentum)
    return FeaturePyramid(network, in_channels) if features_only else network


def _network_and_sizes(
    architecture: Architecture,
    filters: int | None,
    cells: int | None,
    common: dict[str, Any],
    only_cells: dict[str, Any],
) -> tuple[type[nn.Module], dict[str, Any]]:
    if not isinstance(architecture, CellArchitecture):
        _refuse(architecture, only_cells | {"stem": only_cells["stem"] != "cifar" and "imagenet"})
    if not isinstance(architecture, CellArchitecture | EdgeCellArchitecture):
        _refuse(architecture, {"cells": cells})
    if isinstance(architecture, ChainArchitecture):
        _refuse(architecture, {"filters": filters})
        return ChainNetwork, common
    filters = architecture.filters if filters is None else filters
    if filters < 2 or filters % 2:
        raise InputError(f"filters must be even and at least 2, got {filters}")
    if isinstance(architecture, MacroArchitecture):
        return MacroNetwork, common | {"filters": filters}
    cells = architecture.cells if cells is None else cells
    if cells < 1:
        raise InputError(f"cells must be at least 1, got {cells}")
    if isinstance(architecture, EdgeCellArchitecture):
        return EdgeCellNetwork, common | {"cells": cells, "filters": filters}
    stem = {name: only_cells[name] for name in ("stem", "stem_filters", "skip_reduction_input")}
    settings = only_cells | _published_stem(filters, **stem)
    sizes = {"cells": cells, "filters": filters}
    return CELL_NETWORKS[architecture.rules], common | sizes | settings


def _published_stem(
    filters: int,
    stem: str,
    stem_filters: int | None,
    skip_reduction_input: bool | None,
) -> dict[str, Any]:
    """Return ``stem_filters`` and ``skip_reduction_input``; None becomes the published value."""
    # The first cell of the stem has a quarter of the filters, at least 2.
    if stem == "imagenet" and (filters % 4 or filters < 8):
        raise InputError(
            f"filters must be a multiple of 4 and at least 8 with stem=imagenet, got {filters}"
        )
    large = stem == "imagenet" and filters >= LARGE
    default = 3 * filters if stem == "cifar" else LARGE_STEM if large else MOBILE_STEM
    if stem_filters is not None and stem_filters < 1:
        raise InputError(f"stem_filters must be at least 1, got {stem_filters}")
    return {
        "stem_filters": default if stem_filters is None else stem_filters,
        "skip_reduction_input": large if skip_reduction_input is None else skip_reduction_input,
    }


def _set_norms(network: nn.Module, epsilon: float, momentum: float) -> None:
    if epsilon <= 0 or not 0 < momentum <= 1:
        raise InputError(
            "norm_epsilon must be above 0 and norm_momentum in (0, 1], "
            f"got {epsilon} and {momentum}"
        )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = epsilon, momentum


def _refuse(architecture: Architecture, settings: dict[str, Any]) -> None:
    """Raise InputError for the first given setting, because it would have no effect."""
    for name, value in settings.items():
        if value:
            raise InputError(f"{name}={value} does not apply to a {architecture.kind} architecture")
