"""The layers of one cell by the rules of ENAS, DARTS and NASNet.

Every function takes the same arguments:

- cell: Blocks and outputs of the cell.
- older: Channels of input 0.
- newer: Channels of input 1.
- channels: Channels of every result of an operation.
- stride: Stride of the operations that read an input: 2 in a reduction cell, else 1.
- halve_older: Whether input 0 has twice the resolution of input 1.
- is_first: Whether the cell is the first of its network.
- norm: Factory of batch norms.
"""

from torch import nn

from lightning_nas.architecture import CELL_INPUTS, Cell
from lightning_nas.layers.convolutions import ConvNorm, FactorizedReduction, Norm
from lightning_nas.layers.operations import make_operation
from lightning_nas.networks.cell_layer import CellLayer, fit_input


def enas_cell(
    cell: Cell,
    older: int,
    newer: int,
    channels: int,
    stride: int,
    halve_older: bool,
    is_first: bool,
    norm: Norm,
) -> CellLayer:
    """Return a cell as in the final network of ENAS's released code.

    Input 1 passes one more 1x1 convolution than in the shared weights of the search.
    """
    inputs = (
        fit_input(older, channels, halve_older, norm),
        fit_input(newer, channels, False, norm),
        ConvNorm(channels, channels, 1, norm),
    )
    return _cell_of_one_width("enas", cell, inputs, channels, stride, norm)


def darts_cell(
    cell: Cell,
    older: int,
    newer: int,
    channels: int,
    stride: int,
    halve_older: bool,
    is_first: bool,
    norm: Norm,
) -> CellLayer:
    """Return a cell as in DARTS: both inputs always pass ReLU, 1x1 convolution and batch norm.

    Padding is SAME, as in the other networks of this project. Source: Liu, Simonyan and Yang, 2019,
    https://arxiv.org/abs/1806.09055, and the authors' code.
    """
    inputs = (
        fit_input(older, channels, True, norm)
        if halve_older
        else ConvNorm(older, channels, 1, norm),
        nn.Identity(),
        ConvNorm(newer, channels, 1, norm),
    )
    return _cell_of_one_width("darts", cell, inputs, channels, stride, norm)


def _cell_of_one_width(
    rules: str,
    cell: Cell,
    inputs: tuple[nn.Module, nn.Module, nn.Module],
    channels: int,
    stride: int,
    norm: Norm,
) -> CellLayer:
    """Return a cell whose states all have the same number of channels.

    Args:
        rules: Rule set of the operations.
        cell: Blocks and outputs of the cell.
        inputs: The layers ``older``, ``newer`` and ``base`` of ``CellLayer``.
        channels: Channels of every state.
        stride: Stride of the operations that read an input.
        norm: Factory of batch norms.
    """

    def operation(name: str, state: int) -> nn.Module:
        state_stride = stride if state < CELL_INPUTS else 1
        return make_operation(rules, name, channels, channels, state_stride, norm)

    halved = [state for state in cell.outputs if stride > 1 and state < CELL_INPUTS]
    fit_outputs = {state: FactorizedReduction(channels, channels, norm) for state in halved}
    return CellLayer(cell, *inputs, operation, fit_outputs, channels * len(cell.outputs))


def nasnet_cell(
    cell: Cell,
    older: int,
    newer: int,
    channels: int,
    stride: int,
    halve_older: bool,
    is_first: bool,
    norm: Norm,
) -> CellLayer:
    """Return a cell as in NASNet; the first cell of a network reads input 0 without a layer.

    NASNet-A has no block that concatenates, so its code has no rule for one. Here every operation
    that reads a state with more or fewer channels than the cell's converts the channels itself, and
    a 1x1 convolution does so for outputs. Source: Zoph et al., 2018,
    https://arxiv.org/abs/1707.07012, Section 3 and Appendix A.4, and the authors' code of NASNet-A.
    """
    widths = [older if is_first else channels, channels]  # channels of each state
    widths += [(2 if block.combination == "concat" else 1) * channels for block in cell.blocks]
    strides = [stride] * CELL_INPUTS + [1] * len(cell.blocks)  # of the operations on each state

    def operation(name: str, state: int) -> nn.Module:
        return make_operation("nasnet", name, widths[state], channels, strides[state], norm)

    fit_outputs: dict[int, nn.Module] = {}
    for state in cell.outputs:
        if strides[state] > 1:
            fit_outputs[state] = FactorizedReduction(widths[state], channels, norm)
        elif widths[state] != channels:
            fit_outputs[state] = ConvNorm(widths[state], channels, 1, norm)
    return CellLayer(
        cell,
        nn.Identity() if is_first else fit_input(older, channels, halve_older, norm),
        nn.Identity(),
        ConvNorm(newer, channels, 1, norm),
        operation,
        fit_outputs,
        channels * len(cell.outputs),
    )
