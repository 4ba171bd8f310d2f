"""The network of a cell architecture by the rules of NASNet.

Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Zoph et al., 2018, https://arxiv.org/abs/1707.07012, Section 3 and Appendix A.4, and the
authors' code of NASNet-A. That has no block that concatenates, so it is chosen here: whatever reads
a state of more or fewer channels than the cell's brings it to them, and so does the cell's output.
"""

from typing import Any

from torch import nn

from lightning_nas.architecture import CELL_INPUTS, Cell
from lightning_nas.layers.convolutions import ConvNorm, FactorizedReduction, Norm
from lightning_nas.layers.operations import NASNET
from lightning_nas.networks.cell import CellNetwork
from lightning_nas.networks.cell_layer import CellLayer
from lightning_nas.networks.initialization import initialize_fan_out
from lightning_nas.networks.states import calibrate


def nasnet_cell(
    cell: Cell,
    older: int,
    newer: int,
    channels: int,
    stride: int,
    halve_older: bool,
    raw_older: bool,
    norm: Norm,
) -> CellLayer:
    """Return a cell with the layers of NASNet.

    Args:
        cell: What it computes.
        older: Channels of state 0 as it comes in.
        newer: Channels of state 1 as it comes in.
        channels: Channels of every result of an operation, and of every output.
        stride: 2 for a reduction cell.
        halve_older: State 0 comes in at twice the resolution of state 1.
        raw_older: State 0 is taken as it comes in.
        norm: Makes batch norms.
    """
    widths = [older if raw_older else channels, channels]
    widths += [(2 if block.combination == "concat" else 1) * channels for block in cell.blocks]

    def strides(state: int) -> int:
        return stride if state < CELL_INPUTS else 1

    def operation(name: str, state: int) -> nn.Module:
        return NASNET[name](widths[state], channels, stride=strides(state), norm=norm)

    fit_outputs: dict[int, nn.Module] = {}
    for state in cell.outputs:
        if strides(state) > 1:
            fit_outputs[state] = FactorizedReduction(widths[state], channels, norm)
        elif widths[state] != channels:
            fit_outputs[state] = ConvNorm(widths[state], channels, norm)
    return CellLayer(
        cell,
        nn.Identity() if raw_older else calibrate(older, channels, halve_older, norm),
        nn.Identity(),
        ConvNorm(newer, channels, norm),
        operation,
        fit_outputs,
        channels * len(cell.outputs),
    )


class NASNetCellNetwork(CellNetwork):
    """Three stacks of normal cells with a reduction cell between them, by the rules of NASNet.

    The first cell reads the stem twice: as state 0 it is raw. The auxiliary head reads the last
    cell before the second reduction. See ``CellNetwork`` for the arguments.
    """

    auxiliary_at = -1
    padded = False
    bias = True
    initialize = staticmethod(initialize_fan_out)

    def _make_cell(self, **settings: Any) -> CellLayer:
        return nasnet_cell(**settings, raw_older=not self.cells)
