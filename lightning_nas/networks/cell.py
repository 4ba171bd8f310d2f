"""Networks of cell architectures for training from scratch, by the rules of ENAS, DARTS and NASNet.

``cell_rules`` contains the rules for one cell. Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Pham et al., 2018, and the final network of the authors' code. The final network
concatenates the outputs of a cell; the supernet adds these outputs. ``cell_rules`` names the
sources for NASNet and DARTS.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightning_nas.architecture import CELL_INPUTS, CellArchitecture
from lightning_nas.layers.drop_path import layer_rate
from lightning_nas.networks.cell_layer import CellLayer, State
from lightning_nas.networks.cell_rules import darts_cell, enas_cell, nasnet_cell
from lightning_nas.networks.heads import (
    REDUCTIONS,
    STEM_REDUCTIONS,
    Classifier,
    Stem,
    auxiliary_head,
    check_image_size,
)
from lightning_nas.networks.initialization import initialize, initialize_fan_out


def cell_widths(cells: int, filters: int, stem_cells: int) -> list[tuple[bool, int]]:
    """Return one pair for each cell of a network: whether the cell reduces, and its filters.

    >>> cell_widths(1, 8, stem_cells=2)[:5]
    [(True, 2), (True, 4), (False, 8), (True, 16), (False, 16)]
    """
    widths = [(True, filters // 2**k) for k in range(stem_cells, 0, -1)]
    for stack in range(REDUCTIONS + 1):
        width = filters * 2**stack
        widths += [(True, width)] * (stack > 0) + [(False, width)] * cells
    return widths


class CellNetwork(nn.Module):
    """Network of a cell architecture by the rules of ENAS.

    The network has three stacks of normal cells, with a reduction cell between two stacks. With the
    stem for large images, two more reduction cells follow the stem.

    Args:
        architecture: Normal cell and reduction cell.
        num_classes: Number of classes.
        channels: Number of channels of the images.
        image_size: Side of the images in pixels, at least 4, or 32 with ``stem="imagenet"``.
        cells: Number of normal cells in a stack (N in the papers), at least 1.
        filters: Filters of the first stack (F in the papers), even.
        stem: Kind of the stem, ``cifar`` or ``imagenet``, as in ``heads.Stem``.
        stem_filters: Filters of the convolution of the stem.
        skip_reduction_input: Older input of a normal cell after a reduction cell. True: the last
            cell but one before the reduction cell. False: the last cell before the reduction cell.
        auxiliary: Whether to add the auxiliary head.
        dropout: Dropout rate before the classifier, in [0, 1).
        drop_path: Drop path rate of the last cell at the end of training, in [0, 1).

    Attributes:
        progress: Completed share of the training, a scalar tensor in [0, 1]. The training updates
            ``progress``; the rate of drop path is proportional to ``progress``.
    """

    auxiliary_at = 1  # the auxiliary head reads the first cell after the second reduction cell
    padded = True  # whether the last convolution of the auxiliary head has SAME padding
    bias = False  # whether linear layers have a bias
    build_cell: Callable[..., CellLayer] = staticmethod(enas_cell)
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
        self.halves: list[bool] = []  # for each cell, whether the cell is a reduction cell
        outputs = [(stem_filters, 0)] * CELL_INPUTS  # (channels, number of halvings) of each output
        for index, (reduces, width) in enumerate(cell_widths(cells, filters, first)):
            (older, older_scale), (newer, scale) = outputs[self.older_of(index)], outputs[-1]
            layer = self.build_cell(
                cell=architecture.reduction if reduces else architecture.normal,
                older=older,
                newer=newer,
                channels=width,
                stride=2 if reduces else 1,
                halve_older=older_scale != scale,
                is_first=index == 0,
                norm=nn.BatchNorm2d,
            )
            self.cells.append(layer)
            self.halves.append(reduces)
            outputs.append((layer.out_channels, scale + reduces))
        self.classifier = Classifier(outputs[-1][0], num_classes, dropout, self.bias)
        self.auxiliary_index = self.reductions[-1] + self.auxiliary_at
        self.auxiliary: nn.Module | None = None
        if auxiliary:
            map_channels, halvings = outputs[self.auxiliary_index + CELL_INPUTS]
            self.auxiliary = auxiliary_head(
                map_channels,
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
        """Return the index, from the end of the list of outputs, of the older input of a cell."""
        return -3 if self.skip_reduction_input and index - 1 in self.reductions else -2

    def _drop_rate(self, index: int) -> Tensor | None:
        """Return the drop path rate of a cell; None if drop path is off."""
        if not self.training or self.drop_path == 0:
            return None
        return layer_rate(self.progress, index, len(self.cells), self.drop_path)

    def _run(
        self,
        images: Tensor,
        auxiliary_logits: list[Tensor] | None = None,
    ) -> list[State]:
        """Return the last map of each resolution, largest first.

        Args:
            images: ``(N, C, H, W)``.
            auxiliary_logits: List to which the logits of the auxiliary head are appended; None =
                do not run the auxiliary head.
        """
        maps: list[State] = []
        outputs = [State(self.stem(images))] * CELL_INPUTS
        for index, (cell, halves) in enumerate(zip(self.cells, self.halves, strict=True)):
            if halves:
                maps.append(outputs[-1])
            output = cell(
                outputs[self.older_of(index)],
                outputs[-1],
                drop_rate=self._drop_rate(index),
            )
            outputs.append(State(output))
            outputs = outputs[-3:]  # later cells read no older output
            auxiliary = self.auxiliary if index == self.auxiliary_index else None
            if auxiliary_logits is not None and auxiliary is not None:
                auxiliary_logits.append(auxiliary(outputs[-1].x))
        return [*maps, outputs[-1]]

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits.

        Returns:
            Logits ``(N, K)``. In training with an auxiliary head: logits and auxiliary logits.
        """
        auxiliary_logits: list[Tensor] | None = [] if self.training else None
        maps = self._run(
            images,
            auxiliary_logits=auxiliary_logits,
        )
        if auxiliary_logits:
            return self.classifier(maps[-1].relu), auxiliary_logits[0]
        return self.classifier(maps[-1].relu)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the last map of each resolution, largest first, after ReLU."""
        return [state.relu for state in self._run(images)]

    @property
    def stages(self) -> list[list[nn.Module]]:
        """Four stages: the stem with its reduction cells, then the cells of each stack."""
        first, second = self.reductions
        start = first - (second - first - 1)  # index of the first cell after the stem
        cells = list(self.cells)
        stacks = [cells[start:first], cells[first:second], cells[second:]]
        return [[self.stem, *cells[:start]], *stacks]


class NASNetCellNetwork(CellNetwork):
    """Network of a cell architecture by the rules of NASNet.

    The first cell reads the stem as both inputs; input 0 passes no layer. ``CellNetwork`` describes
    the arguments.
    """

    auxiliary_at = -1  # the last cell before the second reduction cell
    padded = False
    bias = True
    build_cell = staticmethod(nasnet_cell)
    initialize = staticmethod(initialize_fan_out)


class DARTSCellNetwork(CellNetwork):
    """Network of a cell architecture by the rules of DARTS.

    Many papers build the cells of NASNet by these rules. ``CellNetwork`` describes the arguments.
    """

    # Unlike in DARTS, the drop path rate grows with the depth of the cell; DARTS has one rate.
    auxiliary_at = 0  # the second reduction cell
    padded = False
    bias = True
    build_cell = staticmethod(darts_cell)

    @staticmethod
    def initialize(network: nn.Module) -> None:
        """Keep the initial weights of torch's layers, as DARTS does."""
