"""Shared weights of a search, taken over by the network of one of its architectures.

Stem and operations are the same in both. What lies between cells is not: the network concatenates
outputs and has one more convolution, where the search adds them up; that begins anew.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_nas.errors import InputError
from lightning_nas.networks.cell import CellNetwork
from lightning_nas.networks.heads import REDUCTIONS
from lightning_nas.networks.macro import MacroNetwork

# How the names of shared operations begin.
OPERATION = re.compile(r"(cells|layers)\.\d+\.(blocks|branches)\.")


@dataclass(frozen=True)
class Inherited:
    """How much was taken over.

    Args:
        operations: Operations with weights that were.
        of: Operations with weights that the network has.
        tensors: Tensors that were, the stem's included.
        of_tensors: Tensors that the network has.
    """

    operations: int
    of: int
    tensors: int
    of_tensors: int

    def __str__(self) -> str:
        return (
            f"{self.operations} of {self.of} operations with weights, "
            f"{self.tensors} of {self.of_tensors} tensors"
        )


def are_shared(names: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of shared weights."""
    return any(OPERATION.match(name) for name in names)


@torch.no_grad()
def inherit(network: nn.Module, shared: Mapping[str, Tensor]) -> Inherited:
    """Copy from shared weights whatever has the same place and the same shapes.

    Args:
        network: Of an architecture of the search's space, at the shared weights' cells and filters
            for all of it; in longer or shorter stacks, cells get what has their place in the stack.
        shared: Tensors by their names in ``SharedCellNetwork`` or ``SharedMacroNetwork``.

    Raises:
        InputError: If nothing fits, or the network is of a kind that has no shared weights.
    """
    own = network.state_dict()
    operations = taken = tensors = 0
    for is_operation, places in _parts(network, shared):
        sources = {
            name: source + name.removeprefix(place)
            for place, source in places.items()
            for name in own
            if name.startswith(place) and own[name].is_floating_point()
        }
        learned = [name for name in sources if ".running_" not in name]
        operations += bool(learned) and is_operation
        if not learned or any(_shape(shared, sources[n]) != own[n].shape for n in learned):
            continue
        taken += is_operation
        for name, source in sources.items():
            if source in shared:  # most shared weights have no running statistics
                own[name].copy_(shared[source])
                tensors += 1
    if not tensors:
        raise InputError(
            "nothing of the shared weights fits this network: build it at the search's size "
            "(network.filters and network.cells of its supernet) and of an architecture it found"
        )
    return Inherited(taken, operations, tensors, len(own))


def _shape(tensors: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return tensors[name].shape if name in tensors else None


def _parts(
    network: nn.Module, shared: Mapping[str, Tensor]
) -> Iterator[tuple[bool, dict[str, str]]]:
    """Yield the stem, then every operation.

    Each as whether it is an operation, and where its tensors are: how their names begin in the
    network, and how in shared weights.
    """
    if type(network) is not CellNetwork and not isinstance(network, MacroNetwork):
        raise InputError("shared weights are of a search by ENAS; this architecture is of another")
    yield False, {"stem.": "stem."}
    if isinstance(network, MacroNetwork):
        for i, layer in enumerate(network.architecture.layers):
            branch = f"layers.{i}.branches.{layer.operation}."
            yield (
                True,
                {
                    f"blocks.{i}.conv.conv.": f"{branch}conv.",
                    f"blocks.{i}.conv.norm.": f"{branch}norm.",
                    f"blocks.{i}.operation.1.": f"{branch}operation.",
                    f"blocks.{i}.operation.2.": f"{branch}norm_after.",
                },
            )
        return
    for i, place in _counterparts(network, shared).items():
        cell = network.architecture.reduction if network.halves[i] else network.architecture.normal
        for b, block in enumerate(cell.blocks):
            for side, read in enumerate(zip(block.inputs, block.operations, strict=True)):
                state, name = read
                source = f"cells.{place}.blocks.{b}.{side}.{state}.{name}."
                yield True, {f"cells.{i}.operations.{b}.{side}.": source}


def _counterparts(network: CellNetwork, shared: Mapping[str, Tensor]) -> dict[int, int]:
    """Return, for each cell, the number of the shared one at its place in its stack.

    It is one that does not exist where the stacks of the search are shorter, and for the cells of
    the stem for large images.
    """
    numbers = {int(name.split(".")[1]) for name in shared if name.startswith("cells.")}
    there = (len(numbers) - REDUCTIONS) // (REDUCTIONS + 1)  # normal cells in a stack
    first, second = network.reductions
    here = second - first - 1
    places = {}
    for i in range(len(network.cells)):
        stack, place = divmod(i - (first - here) + 1, here + 1)  # place 0 is the reduction
        exists = stack >= 0 and place <= there
        places[i] = stack * (there + 1) + place - 1 if exists else -1
    return places
