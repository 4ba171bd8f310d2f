"""The network of a cell architecture: built for one architecture, to be trained from scratch.

How cells are joined is ENAS's here; ``nasnet.py`` and ``darts.py`` have other rules.
Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Pham et al., 2018, and the final network of the authors' code, which differs from the shared
weights of the search: state 1 goes through one more 1x1 convolution, outputs are concatenated.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lightning_nas.architecture import CELL_INPUTS, Cell, CellArchitecture
from lightning_nas.layers.convolutions import ConvNorm, FactorizedReduction, Norm
from lightning_nas.layers.drop_path import layer_rate
from lightning_nas.layers.operations import CELL
from lightning_nas.networks.cell_layer import CellLayer
from lightning_nas.networks.heads import (
    REDUCTIONS,
    STEM_REDUCTIONS,
    Classifier,
    Stem,
    auxiliary_head,
    check_image_size,
)
from lightning_nas.networks.initialization import initialize
from lightning_nas.networks.states import State, calibrate


def enas_cell(
    cell: Cell,
    older: int,
    newer: int,
    channels: int,
    stride: int,
    halve_older: bool,
    norm: Norm,
) -> CellLayer:
    """Return a cell with the layers of the released final network of ENAS.

    Args:
        cell: What it computes.
        older: Channels of state 0 as it comes in.
        newer: Channels of state 1 as it comes in.
        channels: Channels of every state inside.
        stride: 2 for a reduction cell.
        halve_older: State 0 comes in at twice the resolution of state 1.
        norm: Makes batch norms.
    """
    inputs = (
        calibrate(older, channels, halve_older, norm),
        calibrate(newer, channels, False, norm),
        ConvNorm(channels, channels, norm),
    )
    return even_cell(cell, inputs, CELL, channels, stride, norm)


def even_cell(
    cell: Cell,
    inputs: tuple[nn.Module, nn.Module, nn.Module],
    operations: Mapping[str, Callable[[int, int, Norm], nn.Module]],
    channels: int,
    stride: int,
    norm: Norm,
) -> CellLayer:
    """Return a cell whose states all have the same channels.

    Args:
        cell: What it computes.
        inputs: What state 0 goes through as it comes in, what state 1 does, and does next.
        operations: Make an operation, by its name.
        channels: Channels of every state inside.
        stride: 2 for a reduction cell.
        norm: Makes batch norms.
    """
    halved = [state for state in cell.outputs if stride > 1 and state < CELL_INPUTS]
    return CellLayer(
        cell,
        *inputs,
        lambda name, state: operations[name](channels, stride if state < CELL_INPUTS else 1, norm),
        {state: FactorizedReduction(channels, channels, norm) for state in halved},
        channels * len(cell.outputs),
    )


def cell_widths(cells: int, filters: int, stem_cells: int) -> list[tuple[bool, int]]:
    """Return, for each cell of a network, whether it is a reduction, and its filters.

    >>> cell_widths(1, 8, stem_cells=2)[:5]
    [(True, 2), (True, 4), (False, 8), (True, 16), (False, 16)]
    """
    widths = [(True, filters // 2**k) for k in range(stem_cells, 0, -1)]
    for stack in range(REDUCTIONS + 1):
        width = filters * 2**stack
        widths += [(True, width)] * (stack > 0) + [(False, width)] * cells
    return widths


class CellNetwork(nn.Module):
    """Three stacks of normal cells with a reduction cell between them, by the rules of ENAS.

    With the stem for large images, two more reduction cells come first.

    Args:
        architecture: The pair of cells.
        num_classes: Classes.
        channels: Channels of the images.
        image_size: Side of the images in pixels: decides whether the auxiliary head fits.
        cells: Normal cells in a stack, the paper's N, at least 1.
        filters: Filters of the first stack, even, the paper's F.
        stem: ``cifar`` or ``imagenet``, see ``heads.Stem``.
        stem_filters: Filters of the stem's convolution.
        skip_reduction_input: The normal cell after a reduction reads, as its older input, the cell
            before the last one of the stack before, and not that last one.
        auxiliary: Add the auxiliary head.
        dropout: Before the classifier.
        drop_path: Rate of the last cell at the end of training; see ``progress``.

    Attributes:
        progress: Share of the training that is done, a tensor in [0, 1] that training sets; drop
            path grows with it.
    """

    auxiliary_at = 1  # the auxiliary head reads this cell, counted from the second reduction
    padded = True  # whether the auxiliary head's last convolution has SAME padding
    bias = False  # of the linear layers
    initialize: Callable[[nn.Module], None] = staticmethod(initialize)

    progress: Tensor

    def __init__(
        self,
        architecture: CellArchitecture,
        *,
        num_classes: int,
        channels: int = 3,
        image_size: int = 32,
        cells: int = 5,
        filters: int = 36,
        stem: str = "cifar",
        stem_filters: int = 108,
        skip_reduction_input: bool = False,
        auxiliary: bool = False,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        check_image_size(image_size, stem)
        self.architecture = architecture
        self.drop_path = drop_path
        self.skip_reduction_input = skip_reduction_input
        first = STEM_REDUCTIONS[stem]
        self.reductions = (first + cells, first + 2 * cells + 1)
        self.register_buffer("progress", torch.zeros(()), persistent=False)
        self.stem = Stem(channels, stem_filters, nn.BatchNorm2d, stem)
        self.cells = nn.ModuleList()
        self.halves: list[bool] = []  # whether a cell is a reduction
        outputs = [(stem_filters, 0)] * CELL_INPUTS  # channels, and how often they were halved
        for index, (reduces, width) in enumerate(cell_widths(cells, filters, first)):
            (older, older_scale), (newer, scale) = outputs[self.older_of(index)], outputs[-1]
            layer = self._make_cell(
                cell=architecture.reduction if reduces else architecture.normal,
                older=older,
                newer=newer,
                channels=width,
                stride=2 if reduces else 1,
                halve_older=older_scale != scale,
                norm=nn.BatchNorm2d,
            )
            self.cells.append(layer)
            self.halves.append(reduces)
            outputs.append((layer.out_channels, scale + reduces))
        self.classifier = Classifier(outputs[-1][0], num_classes, dropout, self.bias)
        self.auxiliary_index = self.reductions[-1] + self.auxiliary_at
        self.auxiliary: nn.Module | None = None
        if auxiliary:
            read, halvings = outputs[self.auxiliary_index + CELL_INPUTS]
            self.auxiliary = auxiliary_head(
                read,
                image_size,
                num_classes,
                nn.BatchNorm2d,
                halvings,
                stem,
                padded=self.padded,
                bias=self.bias,
            )
        self.initialize(self)

    def older_of(self, index: int) -> int:
        """Return where the older input of a cell stands in what was computed, from the end."""
        return -3 if self.skip_reduction_input and index - 1 in self.reductions else -2

    def _make_cell(self, **settings: Any) -> CellLayer:
        return enas_cell(**settings)

    def _run(self, images: Tensor) -> tuple[list[State], Tensor | None]:
        """Return the last map of each resolution, and auxiliary logits in training."""
        maps: list[State] = []
        outputs = [State(self.stem(images))] * CELL_INPUTS
        auxiliary_logits = None
        drops = self.training and self.drop_path > 0
        for index, (cell, halves) in enumerate(zip(self.cells, self.halves, strict=True)):
            rate = None
            if drops:
                rate = layer_rate(self.progress, index, len(self.cells), self.drop_path)
            if halves:
                maps.append(outputs[-1])
            outputs.append(State(cell(outputs[self.older_of(index)], outputs[-1], rate)))
            outputs = outputs[-3:]  # all that later cells read
            if index == self.auxiliary_index and self.training and self.auxiliary is not None:
                auxiliary_logits = self.auxiliary(outputs[-1].x)
        return [*maps, outputs[-1]], auxiliary_logits

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits; in training, where there is an auxiliary head, its logits too."""
        maps, auxiliary_logits = self._run(images)
        logits = self.classifier(maps[-1].relu)
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the last map of each resolution, largest first, after ReLU."""
        return [state.relu for state in self._run(images)[0]]

    @property
    def stages(self) -> list[list[nn.Module]]:
        """The stem, its cells with it, then the cells of each resolution."""
        first, second = self.reductions
        start = first - (second - first - 1)  # the stem's cells come before
        cells = list(self.cells)
        stacks = [cells[start:first], cells[first:second], cells[second:]]
        return [[self.stem, *cells[:start]], *stacks]
