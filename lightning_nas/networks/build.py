"""From an architecture to its network: the second of the two public names."""

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
from lightning_nas.networks.cell import CellNetwork
from lightning_nas.networks.chain import ChainNetwork
from lightning_nas.networks.edge_cell import EdgeCellNetwork
from lightning_nas.networks.macro import MacroNetwork
from lightning_nas.networks.nasnet import NASNetCellNetwork

CELL_NETWORKS = {"enas": CellNetwork, "nasnet": NASNetCellNetwork}  # by their rules


def build_network(
    architecture: Architecture,
    *,
    num_classes: int,
    filters: int | None = None,
    cells: int | None = None,
    stem: str = "cifar",
    in_channels: int = 3,
    auxiliary: bool = False,
    image_size: int = 32,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> nn.Module:
    """Return the network of an architecture, with fresh weights.

    Its forward takes ``(N, C, H, W)`` float images and returns ``(N, num_classes)`` logits; in
    training with ``auxiliary=True``, logits and auxiliary logits.

    Args:
        architecture: As found by a search, or published.
        num_classes: Classes, at least 1.
        filters: Filters of the first stage, even, not for chains; None = the published size.
        cells: Normal cells in a stack, the papers' N, or cells in a stage of edge cells; for these
            two alone; None = the published size.
        stem: ``cifar``, for small images.
        in_channels: Channels of the images.
        auxiliary: Add the auxiliary head, for cells alone.
        image_size: Side of the images in pixels: decides whether an auxiliary head fits.
        dropout: Before the classifier.
        drop_path: Rate of drop path of the last cell at the end of training, for cells alone.

    Raises:
        InputError: If a number is out of range or does not apply to this kind of architecture.

    >>> from lightning_nas import load_architecture
    >>> network = build_network(load_architecture("enas_micro"), num_classes=10)
    >>> sum(parameter.numel() for parameter in network.parameters())
    3894372
    """
    if stem != "cifar":
        raise InputError(f"stem must be cifar, got {stem!r}")
    if num_classes < 1:
        raise InputError(f"num_classes must be at least 1, got {num_classes}")
    common: dict[str, Any] = {
        "num_classes": num_classes,
        "channels": in_channels,
        "image_size": image_size,
        "dropout": dropout,
    }
    if not isinstance(architecture, CellArchitecture):
        _refuse(architecture, {"auxiliary": auxiliary, "drop_path": drop_path})
    if not isinstance(architecture, CellArchitecture | EdgeCellArchitecture):
        _refuse(architecture, {"cells": cells})
    if isinstance(architecture, ChainArchitecture):
        _refuse(architecture, {"filters": filters})
        return ChainNetwork(architecture, **common)
    filters = architecture.filters if filters is None else filters
    if filters < 2 or filters % 2:
        raise InputError(f"filters must be even, got {filters}")
    if isinstance(architecture, MacroArchitecture):
        return MacroNetwork(architecture, filters=filters, **common)
    cells = architecture.cells if cells is None else cells
    if cells < 1:
        raise InputError(f"cells must be at least 1, got {cells}")
    if isinstance(architecture, EdgeCellArchitecture):
        return EdgeCellNetwork(architecture, cells=cells, filters=filters, **common)
    return CELL_NETWORKS[architecture.rules](
        architecture,
        cells=cells,
        filters=filters,
        auxiliary=auxiliary,
        drop_path=drop_path,
        **common,
    )


def _refuse(architecture: Architecture, settings: dict[str, Any]) -> None:
    """Raise InputError for the first of the settings that is given: it has no effect."""
    for name, value in settings.items():
        if value:
            raise InputError(f"{name}={value} does not apply to a {architecture.kind} architecture")
