"""The network of a cell architecture by the rules of DARTS, NASNet's cells as many have them.

Both inputs of a cell always go through ReLU, convolution and batch norm. Padding is SAME, as in
this project's other networks, and drop path is scheduled over the cells, where DARTS has one rate.

Source: Liu, Simonyan and Yang, 2019, https://arxiv.org/abs/1806.09055, and the authors' code.
"""

from typing import Any

from torch import nn

from lightning_nas.architecture import Cell
from lightning_nas.layers.convolutions import ConvNorm, Norm
from lightning_nas.layers.operations import DARTS
from lightning_nas.networks.cell import CellNetwork, even_cell
from lightning_nas.networks.cell_layer import CellLayer
from lightning_nas.networks.states import Halving


def darts_cell(
    cell: Cell,
    older: int,
    newer: int,
    channels: int,
    stride: int,
    halve_older: bool,
    norm: Norm,
) -> CellLayer:
    """Return a cell with the layers of DARTS. See ``enas_cell`` for the arguments."""
    bring_older = Halving if halve_older else ConvNorm
    inputs = (
        bring_older(older, channels, norm),
        nn.Identity(),
        ConvNorm(newer, channels, norm),
    )
    return even_cell(cell, inputs, DARTS, channels, stride, norm)


class DARTSCellNetwork(CellNetwork):
    """Three stacks of normal cells with a reduction cell between them, by the rules of DARTS.

    The auxiliary head reads the second reduction cell. Weights begin as torch's layers do. See
    ``CellNetwork`` for the arguments.
    """

    auxiliary_at = 0
    padded = False
    bias = True

    @staticmethod
    def initialize(network: nn.Module) -> None:
        """Leave the weights as they are."""

    def _make_cell(self, **settings: Any) -> CellLayer:
        return darts_cell(**settings)
