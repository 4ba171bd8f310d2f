"""The shared weights of the cell space: a network whose forward takes an architecture.

Every edge (cell, block, side, input state) has weights for every operation, so two architectures
with the same edge share its weights. Only the operations that the architecture names are computed.
Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Pham et al., 2018, Section 2.4, and the authors' code; ``enas.md`` lists the differences.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import CELL_INPUTS, CELL_OPERATIONS, Cell, CellArchitecture
from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import Conv2d, FactorizedReduction, Norm
from lightning_nas.layers.operations import OPERATIONS, make_operation
from lightning_nas.layers.shared import BatchStatistics
from lightning_nas.networks.cell_layer import State, fit_input
from lightning_nas.networks.heads import (
    Classifier,
    Stem,
    auxiliary_head,
    check_image_size,
)
from lightning_nas.networks.initialization import initialize


class SharedCell(nn.Module):
    """One cell of the network, with the weights of every possible edge.

    Args:
        older: Number of channels of input 0.
        newer: Number of channels of input 1.
        channels: Number of channels of every state and of the output.
        blocks: Number of blocks of the cell.
        operations: Names of the operations.
        stride: Stride of the operations on the two inputs, 1 or 2.
        halve_older: Whether input 0 has twice the resolution of input 1.
        norm: Factory of batch norms.
    """

    def __init__(
        self,
        older: int,
        newer: int,
        channels: int,
        blocks: int,
        operations: Sequence[str],
        stride: int,
        halve_older: bool,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.older = fit_input(older, channels, halve_older, norm)
        self.newer = fit_input(newer, channels, False, norm)

        def edge(state: int) -> nn.ModuleDict:
            halves = stride if state < CELL_INPUTS else 1
            return nn.ModuleDict(
                {
                    name: make_operation("enas", name, channels, channels, halves, norm)
                    for name in operations
                }
            )

        def side(block: int) -> nn.ModuleList:
            return nn.ModuleList(edge(state) for state in range(CELL_INPUTS + block))

        self.blocks = nn.ModuleList(
            nn.ModuleList([side(block), side(block)]) for block in range(blocks)
        )
        self.halve_outputs = nn.ModuleList(
            FactorizedReduction(channels, channels, norm)
            for _ in range(CELL_INPUTS if stride > 1 else 0)
        )
        self.outputs = nn.ModuleList(
            Conv2d(channels, channels) for _ in range(CELL_INPUTS + blocks)
        )
        self.norm = norm(channels)

    def forward(self, older: State, newer: State, cell: Cell) -> Tensor:
        """Return the output ``(N, channels, H', W')`` of an architecture's cell for two inputs."""
        states = [older.fit(self.older), newer.fit(self.newer)]
        for edges, block in zip(self.blocks, cell.blocks, strict=True):
            left, right = map(  # type: ignore[call-overload]
                partial(self._operate, states),
                edges,
                block.inputs,
                block.operations,
            )
            states.append(State(left + right))
        first, *others = (self._output(states, state) for state in cell.outputs)
        for output in others:
            first += output  # in place, because no other layer reads it
        return self.norm(first)

    @staticmethod
    def _operate(states: list[State], edges: Any, state: int, operation: str) -> Tensor:
        return states[state].apply(edges[state][operation])

    def _output(self, states: list[State], state: int) -> Tensor:
        # The sum of 1x1 convolutions equals one 1x1 convolution of the concatenation and saves its
        # copy.
        if state < len(self.halve_outputs):
            return self.outputs[state](F.relu(self.halve_outputs[state](states[state].x)))
        return self.outputs[state](states[state].relu)


class SharedCellNetwork(nn.Module):
    """Network of the cell space whose weights all architectures share.

    It has three stacks of normal cells with a reduction cell between two stacks.

    Args:
        num_classes: Number of classes.
        channels: Number of channels of the images.
        image_size: Side of the images in pixels, at least 4.
        cells: Number of normal cells in a stack, the paper's N, at least 1.
        filters: Filters of the first stack, even; each reduction doubles them.
        blocks: Number of blocks of a cell.
        operations: Names of the operations of the space.
        batch_norm: Mode of ``BatchStatistics``.
        dropout: Dropout rate before the classifier, in [0, 1).
        initialization: Initial weights, ``he`` or ``identity``, see ``initialize``.
        auxiliary: Whether to add the auxiliary head; omitted with a warning if its map is too
            small.
        reduction: ``strided``: the operations on the inputs of a reduction cell have stride 2, as
            in the paper and in the networks trained from scratch. ``factorized``: a factorized
            reduction halves the newer input and the cell has stride 1, as in the search of the
            released code.

    Raises:
        InputError: If a number or a name is out of range, or the images are too small.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int = 3,
        image_size: int = 32,
        cells: int = 2,
        filters: int = 20,
        blocks: int = 5,
        operations: Sequence[str] = CELL_OPERATIONS,
        batch_norm: str = "batch",
        dropout: float = 0.1,
        initialization: str = "he",
        auxiliary: bool = True,
        reduction: str = "strided",
    ) -> None:
        super().__init__()
        check_image_size(image_size)
        if cells < 1 or filters < 2 or filters % 2:
            raise InputError(
                "supernet.cells must be at least 1 and supernet.filters even and at least 2, "
                f"got {cells} and {filters}"
            )
        if reduction not in ("strided", "factorized"):
            raise InputError(f"supernet.reduction must be strided or factorized, got {reduction!r}")
        if not set(operations) <= set(OPERATIONS["enas"]):
            legal = ", ".join(OPERATIONS["enas"])
            raise InputError(f"operations must be out of {legal}, got {list(operations)}")
        self.statistics = BatchStatistics(batch_norm)
        norm = self.statistics.norm
        self.factorized = reduction == "factorized"
        self.reductions = (cells, 2 * cells + 1)
        self.auxiliary_index = 2 * cells + 2
        self.stem = Stem(channels, 3 * filters, norm)
        make = partial(SharedCell, blocks=blocks, operations=tuple(operations), norm=norm)
        self.halvings = nn.ModuleDict()
        self.cells = nn.ModuleList()
        self._build(3 * cells + len(self.reductions), filters, make, norm)
        last = filters * 2 ** len(self.reductions)
        self.classifier = Classifier(last, num_classes, dropout)
        self.auxiliary = auxiliary_head(last, image_size, num_classes, norm) if auxiliary else None
        initialize(self, initialization)

    def _build(self, total: int, filters: int, make: partial[SharedCell], norm: Norm) -> None:
        older, newer = 3 * filters, 3 * filters
        halve_older = False  # true after a strided reduction, whose older input is twice as large
        for index in range(total):
            reduces = index in self.reductions
            if reduces and self.factorized:
                self.halvings[str(index)] = FactorizedReduction(newer, 2 * filters, norm)
                older, newer, halve_older = newer, 2 * filters, True
            filters *= 2 if reduces else 1
            stride = 2 if reduces and not self.factorized else 1
            self.cells.append(make(older, newer, filters, stride=stride, halve_older=halve_older))
            older, newer = newer, filters
            halve_older = stride == 2

    def forward(
        self, images: Tensor, architecture: CellArchitecture
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits of the given architecture.

        In training, a network with an auxiliary head returns logits and auxiliary logits.
        """
        older = newer = State(self.stem(images))
        auxiliary_logits = None
        for index, cell in enumerate(self.cells):
            kind = architecture.reduction if index in self.reductions else architecture.normal
            if str(index) in self.halvings:
                older, newer = newer, State(self.halvings[str(index)](newer.x))
            older, newer = newer, State(cell(older, newer, kind))
            if index == self.auxiliary_index and self.training and self.auxiliary is not None:
                auxiliary_logits = self.auxiliary(newer.x)
        logits = self.classifier(newer.relu)
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)
