"""The shared weights of edge cells, the space of NAS-Bench-201: forward takes an architecture.

Every edge of every cell has weights for every operation. Only the operations that the architecture
names are computed. Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Dong and Yang, 2020, https://arxiv.org/abs/2001.00326, Section 5: there, methods with shared
weights search a network of the same layers as ``EdgeCellNetwork``.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import EDGE_OPERATIONS, EDGES, EdgeCellArchitecture
from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import Norm
from lightning_nas.layers.operations import make_operation
from lightning_nas.layers.shared import BatchStatistics
from lightning_nas.networks.edge_cell import STAGES, ResidualReduction, list_cells, sum_edges
from lightning_nas.networks.heads import Stem, check_image_size
from lightning_nas.networks.initialization import initialize


class SharedEdgeCell(nn.Module):
    """Cell of four nodes with the weights of every operation on every edge.

    Args:
        operations: Names of the operations.
        channels: Number of input and output channels.
        norm: Factory of batch norms.
    """

    def __init__(self, operations: Sequence[str], channels: int, norm: Norm) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: make_operation("edge", name, channels, channels, 1, norm)
                    for name in operations
                }
            )
            for _ in EDGES
        )

    def forward(self, x: Tensor, operations: Sequence[str]) -> Tensor:
        """Return the map of the last node for the operations of an architecture."""
        chosen = zip(self.edges, operations, strict=True)
        return sum_edges(x, (edge[name] for edge, name in chosen))  # type: ignore[index]


class SharedEdgeCellNetwork(nn.Module):
    """Network of the edge cell space whose weights all architectures share.

    Args:
        num_classes: Number of classes.
        channels: Number of channels of the images.
        image_size: Side of the images in pixels, at least 4.
        cells: Number of cells in each of the three stages, at least 1.
        filters: Filters of the first stage, at least 1; each reduction doubles them.
        operations: Names of the operations of the space.
        batch_norm: Mode of ``BatchStatistics``.
        dropout: Dropout rate before the classifier, in [0, 1); the benchmark has none.
        initialization: Initial weights, ``he`` or ``identity``, see ``initialize``.

    Raises:
        InputError: If a number or a name is out of range, or the images are too small.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int = 3,
        image_size: int = 32,
        cells: int = 5,
        filters: int = 16,
        operations: Sequence[str] = EDGE_OPERATIONS,
        batch_norm: str = "batch",
        dropout: float = 0.0,
        initialization: str = "he",
    ) -> None:
        super().__init__()
        check_image_size(image_size)
        if min(cells, filters) < 1:
            raise InputError(
                f"supernet.cells and supernet.filters must be at least 1, got {cells} and {filters}"
            )
        self.statistics = BatchStatistics(batch_norm)
        norm = self.statistics.norm
        self.stem = Stem(channels, filters, norm)
        self.cells = nn.ModuleList(
            list_cells(lambda width: SharedEdgeCell(operations, width, norm), cells, filters, norm)
        )
        last = filters * 2 ** (STAGES - 1)
        self.norm = norm(last)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(last, num_classes)
        initialize(self, initialization)

    def forward(self, images: Tensor, architecture: EdgeCellArchitecture) -> Tensor:
        """Return logits of the given architecture."""
        x = self.stem(images)
        for cell in self.cells:
            is_reduction = isinstance(cell, ResidualReduction)
            x = cell(x) if is_reduction else cell(x, architecture.operations)
        return self.classifier(self.dropout(F.relu(self.norm(x)).mean(dim=(2, 3))))
