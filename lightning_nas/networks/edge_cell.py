"""The network of an edge cell, as NAS-Bench-201 trained it for every row of its table.

Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Dong and Yang, 2020, https://arxiv.org/abs/2001.00326, Section 2.1, and the authors' code.
Batch norms are affine, the shortcut of a residual block has no batch norm and the linear layer has
a bias: this gives the parameter counts of the table. As in the authors' code, the weights keep the
initial values of torch's layers.
"""

from collections.abc import Callable, Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import EDGES, EdgeCellArchitecture
from lightning_nas.layers.convolutions import Conv2d, Norm, ReluConvNorm
from lightning_nas.layers.operations import make_operation
from lightning_nas.networks.heads import Stem, check_image_size

STAGES = 3


class EdgeCell(nn.Module):
    """Cell of four nodes and six operations between them.

    Args:
        architecture: Operations of the cell, one for each of ``EDGES``.
        channels: Number of input and output channels.
        norm: Factory of batch norms.
    """

    def __init__(self, architecture: EdgeCellArchitecture, channels: int, norm: Norm) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            make_operation("edge", name, channels, channels, 1, norm)
            for name in architecture.operations
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of the last node."""
        return sum_edges(x, self.edges)


def sum_edges(x: Tensor, operations: Iterable[nn.Module]) -> Tensor:
    """Return the map of the last node of a cell with one operation for each of ``EDGES``."""
    nodes = [x]
    for (source, target), operation in zip(EDGES, operations, strict=True):
        result = operation(nodes[source])
        if target == len(nodes):
            nodes.append(result)
        else:
            nodes[target] = nodes[target] + result
    return nodes[-1]


class ResidualReduction(nn.Module):
    """Basic residual block that halves the resolution.

    The main path is ReLU, 3x3 convolution, batch norm, applied twice, the first with stride 2. The
    shortcut is a 2x2 average and a 1x1 convolution. Zeros are added on all sides, unlike SAME
    padding. The last row and column of an odd map are averaged alone, so any image size works.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.halve = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
        self.norm = norm(out_channels)
        self.conv = ReluConvNorm(out_channels, out_channels, 1, norm, 3)
        self.shortcut = Conv2d(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, out_channels, ceil(H / 2), ceil(W / 2))``."""
        shortcut = self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True))
        return shortcut + self.conv(self.norm(self.halve(F.relu(x))))


def list_cells(
    make_cell: Callable[[int], nn.Module], cells: int, filters: int, norm: Norm
) -> list[nn.Module]:
    """Return the cells of three stages, with a residual block of stride 2 between two stages.

    Args:
        make_cell: Function from the number of channels to a cell.
        cells: Number of cells in a stage.
        filters: Filters of the first stage; each reduction doubles them.
        norm: Factory of batch norms.
    """
    layers: list[nn.Module] = []
    for stage in range(STAGES):
        width = filters * 2**stage
        if stage > 0:
            layers.append(ResidualReduction(width // 2, width, norm))
        layers += [make_cell(width) for _ in range(cells)]
    return layers


class EdgeCellNetwork(nn.Module):
    """Three stages of the same cell, with a residual block of stride 2 between two stages.

    Args:
        architecture: Operations of the cell.
        num_classes: Number of classes.
        channels: Number of channels of the images.
        image_size: Side of the images in pixels.
        cells: Number of cells in a stage, at least 1.
        filters: Filters of the first stage; each reduction doubles them.
        dropout: Dropout rate before the classifier, in [0, 1); the benchmark has none.
    """

    def __init__(
        self,
        architecture: EdgeCellArchitecture,
        *,
        num_classes: int,
        channels: int = 3,
        image_size: int = 32,
        cells: int = 5,
        filters: int = 16,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_image_size(image_size)
        self.operations = architecture.operations
        norm = nn.BatchNorm2d
        self.stem = Stem(channels, filters, norm)
        self.cells = nn.Sequential(
            *list_cells(lambda width: EdgeCell(architecture, width, norm), cells, filters, norm)
        )
        last = filters * 2 ** (STAGES - 1)
        self.norm = norm(last)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(last, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        x = self.features(images)[-1]
        return self.classifier(self.dropout(x.mean(dim=(2, 3))))

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the last map of each resolution, largest first, after ReLU."""
        x = self.stem(images)
        maps: list[Tensor] = []
        for cell in self.cells:
            if isinstance(cell, ResidualReduction):
                maps.append(F.relu(x))
            x = cell(x)
        return [*maps, F.relu(self.norm(x))]

    @property
    def stages(self) -> list[list[nn.Module]]:
        """The stem, then the cells of each resolution."""
        stages: list[list[nn.Module]] = [[]]
        for cell in self.cells:
            if isinstance(cell, ResidualReduction):
                stages.append([])
            stages[-1].append(cell)
        return [[self.stem], *stages[:-1], [*stages[-1], self.norm]]
