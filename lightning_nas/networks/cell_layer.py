"""The parts of a cell: its states, the layers that fit its inputs, and the cell itself.

Shapes: ``(N, C, H, W)`` maps in, ``(N, channels of all outputs, H', W')`` out.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import Cell
from lightning_nas.layers.convolutions import ConvNorm, FactorizedReduction, Norm
from lightning_nas.layers.drop_path import drop_path


class State:
    """A map and its ReLU, which is computed at most once for all layers that read it.

    Args:
        x: The map, ``(N, C, H, W)``.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._relu: Tensor | None = None

    @property
    def relu(self) -> Tensor:
        """The map after its ReLU."""
        if self._relu is None:
            self._relu = F.relu(self.x)
        return self._relu

    def apply(self, layer: nn.Module) -> Tensor:
        """Return the result of a layer, which reads the ReLU if its ``reads_relu`` is true."""
        return layer(self.relu if getattr(layer, "reads_relu", False) else self.x)

    def fit(self, layer: nn.Module) -> "State":
        """Return the state after a layer; the same state after an identity keeps its ReLU."""
        return self if isinstance(layer, nn.Identity) else State(self.apply(layer))


class Halving(nn.Sequential):
    """Factorized reduction of a map after its ReLU.

    The identity at index 0 keeps the parameter names of earlier checkpoints.
    """

    reads_relu = True

    def __init__(self, in_channels: int, channels: int, norm: Norm) -> None:
        super().__init__(nn.Identity(), FactorizedReduction(in_channels, channels, norm))


def fit_input(in_channels: int, channels: int, halve: bool, norm: Norm) -> nn.Module:
    """Return the layer that gives an input of a cell the channels and resolution of the cell."""
    if halve:
        return Halving(in_channels, channels, norm)
    return nn.Identity() if in_channels == channels else ConvNorm(in_channels, channels, 1, norm)


class CellLayer(nn.Module):
    """One cell of a network.

    Args:
        cell: Blocks and outputs of the cell.
        older: Layer that fits input 0.
        newer: Layer that fits input 1.
        base: Layer that follows ``newer``.
        make_operation: Factory of an operation from its name and the state that it reads.
        fit_outputs: Layers that fit outputs to the other outputs, by the number of the state.
        out_channels: Channels of the concatenated outputs.
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
