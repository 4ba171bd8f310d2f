"""The network of a cell architecture: built for one architecture, to be trained from scratch.

How cells are joined is ENAS's here; ``nasnet.py`` has the rules of NASNet.
Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Pham et al., 2018, and the final network of the authors' code, which differs from the shared
weights of the search: state 1 goes through one more 1x1 convolution, outputs are concatenated.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import CELL_INPUTS, Cell, CellArchitecture
from lightning_nas.layers.convolutions import FactorizedReduction, Norm, ReluConvNorm
from lightning_nas.layers.drop_path import drop_path, layer_rate
from lightning_nas.layers.operations import CELL
from lightning_nas.networks.heads import (
    Classifier,
    Stem,
    auxiliary_head,
    check_image_size,
)
from lightning_nas.networks.initialization import initialize
from lightning_nas.networks.states import States, calibrate


class CellLayer(nn.Module):
    """One cell of a network.

    Args:
        cell: What it computes.
        older: What state 0 goes through as it comes in.
        newer: What state 1 goes through as it comes in.
        base: What state 1 goes through next.
        operation: Makes an operation from its name and the state that it reads.
        fit_outputs: What outputs go through, by state, where they do not fit the others.
        out_channels: Channels of the concatenated outputs.
    """

    def __init__(
        self,
        cell: Cell,
        older: nn.Module,
        newer: nn.Module,
        base: nn.Module,
        operation: Callable[[str, int], nn.Module],
        fit_outputs: Mapping[int, nn.Module],
        out_channels: int,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.older = older
        self.newer = newer
        self.base = base
        self.operations = nn.ModuleList(
            nn.ModuleList(map(operation, block.operations, block.inputs)) for block in cell.blocks
        )
        self.fit_outputs = nn.ModuleDict({str(s): layer for s, layer in fit_outputs.items()})
        self.out_channels = out_channels

    def forward(self, older: Tensor, newer: Tensor, drop_rate: Tensor | None) -> Tensor:
        """Return the concatenated outputs for the two inputs; drop paths where a rate is given."""
        states = States(self.older(older), self.base(self.newer(newer)))
        for operations, block in zip(self.operations, self.cell.blocks, strict=True):
            left, right = map(  # type: ignore[call-overload]
                partial(self._operate, states, drop_rate),
                operations,
                block.inputs,
                block.operations,
            )
            concat = block.combination == "concat"
            states.append(torch.cat([left, right], dim=1) if concat else left + right)
        return torch.cat([self._output(states, state) for state in self.cell.outputs], dim=1)

    @staticmethod
    def _operate(
        states: States, drop_rate: Tensor | None, operation: nn.Module, state: int, name: str
    ) -> Tensor:
        x = operation(states.relu(state) if operation.reads_relu else states[state])
        return x if drop_rate is None or name == "identity" else drop_path(x, drop_rate)

    def _output(self, states: States, state: int) -> Tensor:
        fits = str(state) not in self.fit_outputs
        return states[state] if fits else self.fit_outputs[str(state)](states[state])


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
    halved = [state for state in cell.outputs if stride > 1 and state < CELL_INPUTS]
    return CellLayer(
        cell,
        calibrate(older, channels, halve_older, norm),
        calibrate(newer, channels, False, norm),
        ReluConvNorm(channels, channels, norm),
        lambda name, state: CELL[name](channels, stride if state < CELL_INPUTS else 1, norm),
        {state: FactorizedReduction(channels, channels, norm) for state in halved},
        channels * len(cell.outputs),
    )


class CellNetwork(nn.Module):
    """Three stacks of normal cells with a reduction cell between them, by the rules of ENAS.

    Args:
        architecture: The pair of cells.
        num_classes: Classes.
        channels: Channels of the images.
        image_size: Side of the images in pixels: decides whether the auxiliary head fits.
        cells: Normal cells in a stack, the paper's N, at least 1.
        filters: Filters of the first stack, even, the paper's F.
        auxiliary: Add the auxiliary head.
        dropout: Before the classifier.
        drop_path: Rate of the last cell at the end of training; see ``progress``.

    Attributes:
        progress: Share of the training that is done, a tensor in [0, 1] that training sets; drop
            path grows with it.
    """

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
        auxiliary: bool = False,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        check_image_size(image_size)
        self.drop_path = drop_path
        self.reductions = (cells, 2 * cells + 1)
        self.register_buffer("progress", torch.zeros(()))
        self.stem = Stem(channels, 3 * filters, nn.BatchNorm2d)
        self.cells = nn.ModuleList()
        older = newer = 3 * filters
        halve_older = False
        for index in range(3 * cells + len(self.reductions)):
            reduces = index in self.reductions
            filters *= 2 if reduces else 1
            layer = self._make_cell(
                cell=architecture.reduction if reduces else architecture.normal,
                older=older,
                newer=newer,
                channels=filters,
                stride=2 if reduces else 1,
                halve_older=halve_older,
                norm=nn.BatchNorm2d,
            )
            self.cells.append(layer)
            older, newer, halve_older = newer, layer.out_channels, reduces
        self.auxiliary: nn.Module | None = None
        self._make_heads(newer, num_classes, image_size, auxiliary, dropout)

    def _make_cell(self, **settings: Any) -> CellLayer:
        return enas_cell(**settings)

    def _make_heads(
        self, channels: int, num_classes: int, image_size: int, auxiliary: bool, dropout: float
    ) -> None:
        """Add the heads, which read cells of ``channels`` channels, and set all weights."""
        self.classifier = Classifier(channels, num_classes, dropout)
        self.auxiliary_index = self.reductions[-1] + 1
        if auxiliary:
            self.auxiliary = auxiliary_head(channels, image_size, num_classes, nn.BatchNorm2d)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits; in training, where there is an auxiliary head, its logits too."""
        older = newer = self.stem(images)
        auxiliary_logits = None
        drops = self.training and self.drop_path > 0
        for index, cell in enumerate(self.cells):
            rate = None
            if drops:
                rate = layer_rate(self.progress, index, len(self.cells), self.drop_path)
            older, newer = newer, cell(older, newer, rate)
            if index == self.auxiliary_index and self.training and self.auxiliary is not None:
                auxiliary_logits = self.auxiliary(newer)
        logits = self.classifier(F.relu(newer))
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)
