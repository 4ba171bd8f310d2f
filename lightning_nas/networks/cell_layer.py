"""One cell of a network: it computes its blocks and joins its outputs, whoever's rules made it.

Shapes: ``(N, C, H, W)`` maps in, ``(N, channels of all outputs, H', W')`` out.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from lightning_nas.architecture import Cell
from lightning_nas.layers.drop_path import drop_path
from lightning_nas.networks.states import State


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

    def forward(self, older: State, newer: State, drop_rate: Tensor | None) -> Tensor:
        """Return the concatenated outputs for the two inputs; drop paths where a rate is given."""
        states = [older.brought_in(self.older), newer.brought_in(self.newer).brought_in(self.base)]
        for operations, block in zip(self.operations, self.cell.blocks, strict=True):
            left, right = map(  # type: ignore[call-overload]
                partial(self._operate, states, drop_rate),
                operations,
                block.inputs,
                block.operations,
            )
            concat = block.combination == "concat"
            states.append(State(torch.cat([left, right], dim=1) if concat else left + right))
        return torch.cat([self._output(states, state) for state in self.cell.outputs], dim=1)

    @staticmethod
    def _operate(
        states: list[State], drop_rate: Tensor | None, operation: nn.Module, state: int, name: str
    ) -> Tensor:
        x = states[state].through(operation)
        return x if drop_rate is None or name == "identity" else drop_path(x, drop_rate)

    def _output(self, states: list[State], state: int) -> Tensor:
        x = states[state].x
        return self.fit_outputs[str(state)](x) if str(state) in self.fit_outputs else x
