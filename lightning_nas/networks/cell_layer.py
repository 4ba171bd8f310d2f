"""Layers of a cell: the states, the layers that adapt the inputs, and the whole cell.

Shapes: input ``(N, C, H, W)``, output ``(N, channels of all cell outputs, H', W')``.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import Cell
from lightning_nas.layers.convolutions import ConvNorm, FactorizedReduction, Norm
from lightning_nas.layers.drop_path import drop_path


class State:
    """Feature map with its ReLU. The ReLU is computed at most once, and all layers share it.

    Args:
        x: Feature map, ``(N, C, H, W)``.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._relu: Tensor | None = None

    @property
    def relu(self) -> Tensor:
        """Feature map after the ReLU."""
        if self._relu is None:
            self._relu = F.relu(self.x)
        return self._relu

    def apply(self, layer: nn.Module) -> Tensor:
        """Return the output of a layer for the ReLU (if ``layer.reads_relu``) or for the map."""
        return layer(self.relu if getattr(layer, "reads_relu", False) else self.x)

    def fit(self, layer: nn.Module) -> "State":
        """Return the state after a layer; an identity returns this state with the computed ReLU."""
        return self if isinstance(layer, nn.Identity) else State(self.apply(layer))


class Halving(nn.Sequential):
    """Factorized reduction of a feature map after the ReLU.

    With the identity at index 0, the parameter names agree with earlier checkpoints.
    """

    reads_relu = True

    def __init__(self, in_channels: int, channels: int, norm: Norm) -> None:
        super().__init__(nn.Identity(), FactorizedReduction(in_channels, channels, norm))


def fit_input(in_channels: int, channels: int, halve: bool, norm: Norm) -> nn.Module:
    """Return the layer that adapts an input to the channels and the resolution of the cell."""
    if halve:
        return Halving(in_channels, channels, norm)
    return nn.Identity() if in_channels == channels else ConvNorm(in_channels, channels, 1, norm)


class CellLayer(nn.Module):
    """One cell of a network.

    Args:
        cell: Blocks and outputs of the cell.
        older: Layer that adapts input 0 to the cell.
        newer: Layer that adapts input 1 to the cell.
        base: Layer for input 1 after ``newer``.
        make_operation: Function from operation name and number of the input state to the operation.
        fit_outputs: Layers that adapt outputs to the shape of the others, by number of the state.
        out_channels: Number of channels of the concatenated outputs.
    """

    def __init__(
        self,
        cell: Cell,
        older: nn.Module,
        newer: nn.Module,
        base: nn.Module,
        make_operation: Callable[[str, int], nn.Module],
        fit_outputs: Mapping[int, nn.Module],
        out_channels: int,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.older = older
        self.newer = newer
        self.base = base
        self.operations = nn.ModuleList(
            nn.ModuleList(map(make_operation, block.operations, block.inputs))
            for block in cell.blocks
        )
        self.fit_outputs = nn.ModuleDict({str(s): layer for s, layer in fit_outputs.items()})
        self.out_channels = out_channels

    def forward(
        self,
        older: State,
        newer: State,
        drop_rate: Tensor | None = None,
    ) -> Tensor:
        """Return the concatenated outputs.

        Args:
            older: Output of the cell before the previous one.
            newer: Output of the previous cell.
            drop_rate: Rate of drop path, a scalar tensor in [0, 1); None = no drop path.
        """
        states = [older.fit(self.older), newer.fit(self.newer).fit(self.base)]
        for operations, block in zip(self.operations, self.cell.blocks, strict=True):
            left, right = (
                self._operate(
                    states[state],
                    operation,
                    name,
                    drop_rate=drop_rate,
                )
                for operation, state, name in zip(
                    operations,  # type: ignore[call-overload]
                    block.inputs,
                    block.operations,
                    strict=True,
                )
            )
            concat = block.combination == "concat"
            states.append(State(torch.cat([left, right], dim=1) if concat else left + right))
        return torch.cat([self._output(states, state) for state in self.cell.outputs], dim=1)

    @staticmethod
    def _operate(
        state: State,
        operation: nn.Module,
        name: str,
        drop_rate: Tensor | None = None,
    ) -> Tensor:
        if drop_rate is not None and name != "identity":
            return drop_path(state.apply(operation), drop_rate)
        return state.apply(operation)

    def _output(self, states: list[State], state: int) -> Tensor:
        x = states[state].x
        return self.fit_outputs[str(state)](x) if str(state) in self.fit_outputs else x
