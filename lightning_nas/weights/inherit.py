"""Copying shared weights of an ENAS search into the network of one architecture.

Stem and operations are the same in both. The connections between cells differ: the network
concatenates outputs and has an additional convolution, while the supernet adds outputs. These parts
keep their fresh weights.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_nas.errors import InputError
from lightning_nas.networks.cell import CellNetwork
from lightning_nas.networks.edge_cell import EdgeCellNetwork, ResidualReduction
from lightning_nas.networks.heads import REDUCTIONS
from lightning_nas.networks.macro import MacroNetwork

# prefix of the names of shared operations; networks of one edge cell also have ``edges``
OPERATION = re.compile(r"(cells|layers)\.\d+\.(blocks\.|branches\.|edges\.\d+\.conv_\dx\d\.)")


@dataclass(frozen=True)
class Inherited:
    """How many weights were copied.

    Args:
        operations: Copied operations that have weights.
        of: All operations of the network that have weights.
        tensors: Copied tensors, including those of the stem.
        of_tensors: All tensors of the network.
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
    """Whether the tensors are shared weights."""
    return any(OPERATION.match(name) for name in names)


@torch.no_grad()
def inherit(network: nn.Module, shared: Mapping[str, Tensor]) -> Inherited:
    """Copy all shared weights that have the same place and the same shape in the network.

    Args:
        network: Network of an architecture from the space of the search. With the cells and filters
            of the supernet, all operations are copied. If stacks are longer or shorter, a cell gets
            the weights of the shared cell at the same place in its stack.
        shared: Tensors by their names in ``SharedCellNetwork``, ``SharedMacroNetwork`` or
            ``SharedEdgeCellNetwork``.

    Raises:
        InputError: If no tensor fits, or the network has no supernet of its kind.
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
            if source in shared:  # shared weights usually have no running statistics
                own[name].copy_(shared[source])
                tensors += 1
    if not tensors:
        raise InputError(
            "none of the shared weights fits this network: build it with the size of the supernet "
            "(network.filters and network.cells) and an architecture from that search"
        )
    return Inherited(taken, operations, tensors, len(own))


def _shape(tensors: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return tensors[name].shape if name in tensors else None


def _parts(
    network: nn.Module, shared: Mapping[str, Tensor]
) -> Iterator[tuple[bool, dict[str, str]]]:
    """Yield the stem, then every operation: whether it is an operation, and the prefixes of names.

    The prefixes map the beginning of names in the network to the beginning in the shared weights.
    """
    if type(network) is not CellNetwork and not isinstance(network, MacroNetwork | EdgeCellNetwork):
        raise InputError("only architectures from an ENAS search have shared weights")
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
    if isinstance(network, EdgeCellNetwork):
        yield False, {"norm.": "norm."}
        normal = (len(network.cells) - REDUCTIONS) // (REDUCTIONS + 1)
        for i, place in _match_places(len(network.cells), normal, normal, shared).items():
            if isinstance(network.cells[i], ResidualReduction):
                yield False, {f"cells.{i}.": f"cells.{place}."}
                continue
            for edge, name in enumerate(network.operations):
                yield True, {f"cells.{i}.edges.{edge}.": f"cells.{place}.edges.{edge}.{name}."}
        return
    first, second = network.reductions
    counterparts = _match_places(len(network.cells), first, second - first - 1, shared)
    for i, place in counterparts.items():
        cell = network.architecture.reduction if network.halves[i] else network.architecture.normal
        for b, block in enumerate(cell.blocks):
            for side, read in enumerate(zip(block.inputs, block.operations, strict=True)):
                state, name = read
                source = f"cells.{place}.blocks.{b}.{side}.{state}.{name}."
                yield True, {f"cells.{i}.operations.{b}.{side}.": source}


def _match_places(
    cells: int, first: int, stack_length: int, shared: Mapping[str, Tensor]
) -> dict[int, int]:
    """Return, for each cell, the index of the shared cell at the same place in its stack.

    The index is -1 for cells without a counterpart: in longer stacks, and in the ImageNet stem.

    Args:
        cells: Number of cells of the network, reductions included.
        first: Index of the first reduction.
        stack_length: Number of normal cells between two reductions.
        shared: Shared weights by name.
    """
    numbers = {int(name.split(".")[1]) for name in shared if name.startswith("cells.")}
    shared_stack = (len(numbers) - REDUCTIONS) // (REDUCTIONS + 1)  # normal cells per stack
    places = {}
    for i in range(cells):
        stack, place = divmod(i - (first - stack_length) + 1, stack_length + 1)  # 0: reduction
        exists = stack >= 0 and place <= shared_stack
        places[i] = stack * (shared_stack + 1) + place - 1 if exists else -1
    return places
