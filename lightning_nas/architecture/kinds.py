"""The four kinds of architectures: pairs of cells, macro networks, chains, and edge cells.

The states of a cell are numbered from its inputs: state 0 is the output of the cell before the
last one, state 1 the output of the last cell, and block ``b`` makes state ``b + 2``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

CELL_INPUTS = 2
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # of an edge cell: from node, to node


@dataclass(frozen=True)
class Block:
    """Two operations on two earlier states of a cell; their combination is a new state.

    Args:
        inputs: The two input states, which may be the same.
        operations: Operation on each input, names that ``CELL_RULES`` allow.
        combination: ``add`` adds element by element, ``concat`` concatenates the channels.
    """

    inputs: tuple[int, int]
    operations: tuple[str, str]
    combination: str = "add"


@dataclass(frozen=True)
class Cell:
    """A cell of blocks.

    Args:
        blocks: Blocks in the order of computation.
        outputs: States that are concatenated to the cell's output, ascending. A search lists the
            states that no block reads; published cells may list others.
    """

    blocks: tuple[Block, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class CellArchitecture:
    """A normal cell, a reduction cell and the size of the network that is built from them.

    Args:
        normal: Cell that keeps the resolution.
        reduction: Cell that halves the resolution.
        cells: Normal cells in each of the three stacks, the papers' N.
        filters: Filters of the first stack, the papers' F.
        rules: Rules that join the cells into a network: ``enas``, ``nasnet`` or ``darts``.
    """

    kind: ClassVar[str] = "cell"

    normal: Cell
    reduction: Cell
    cells: int = 5
    filters: int = 36
    rules: str = "enas"


@dataclass(frozen=True)
class MacroLayer:
    """A layer of a macro network: an operation on the layer before, joined with earlier outputs.

    Args:
        operation: Name of the operation.
        skips: Earlier outputs that are joined, ascending: 0 is the stem, ``j`` is layer ``j - 1``.
            The layer directly before is the operation's input and is never listed.
    """

    operation: str
    skips: tuple[int, ...] = ()


@dataclass(frozen=True)
class MacroArchitecture:
    """A whole network, layer by layer.

    Args:
        layers: Layers from the stem to the classifier.
        filters: Filters of the first stage. Each of the two poolings doubles them.
    """

    kind: ClassVar[str] = "macro"

    layers: tuple[MacroLayer, ...]
    filters: int = 96


@dataclass(frozen=True)
class ChainLayer:
    """A convolution of a chain.

    Args:
        kernel: Height and width of the kernel in pixels.
        stride: Vertical and horizontal stride in pixels.
        filters: Number of filters.
        inputs: Earlier layers whose outputs are concatenated, ascending; none = the image.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    filters: int
    inputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class ChainArchitecture:
    """A network of convolutions whose outputs are joined by concatenation.

    Args:
        layers: Layers from the image to the classifier.
        repeats: Number of copies of each layer in a row, all of them densely connected.
        pools: Layers after which the resolution is halved, ascending.
    """

    kind: ClassVar[str] = "chain"

    layers: tuple[ChainLayer, ...]
    repeats: int = 1
    pools: tuple[int, ...] = ()


@dataclass(frozen=True)
class EdgeCellArchitecture:
    """A cell of four nodes with an operation on each edge. A node is the sum of its edges.

    Node 0 is the output of the cell before, node 3 the output of this cell.

    Args:
        operations: Operation on each of the ``EDGES``.
        filters: Filters of the first stage. Each of the two reductions doubles them.
        cells: Cells in each of the three stages.
    """

    kind: ClassVar[str] = "edge_cell"

    operations: tuple[str, ...]
    filters: int = 16
    cells: int = 5


Architecture = CellArchitecture | MacroArchitecture | ChainArchitecture | EdgeCellArchitecture


def find_unused_states(blocks: Sequence[Block]) -> tuple[int, ...]:
    """Return the states of a cell that no block reads, ascending: a search concatenates them.

    >>> find_unused_states([Block((0, 1), ("identity", "identity"))])
    (2,)
    """
    read = {state for block in blocks for state in block.inputs}
    return tuple(state for state in range(CELL_INPUTS + len(blocks)) if state not in read)


def find_loose_layers(layers: Sequence[ChainLayer]) -> tuple[int, ...]:
    """Return the layers of a chain that no other layer reads, ascending: the classifier reads them.

    >>> find_loose_layers([ChainLayer((3, 3), (1, 1), 24), ChainLayer((1, 1), (1, 1), 36)])
    (0, 1)
    """
    read = {source for layer in layers for source in layer.inputs}
    return tuple(index for index in range(len(layers)) if index not in read)


def find_poolings(layers: int) -> tuple[int, ...]:
    """Return the two layers, from 0, after which a macro network halves the resolution.

    A network of fewer than three layers has no poolings.

    >>> find_poolings(12), find_poolings(1)
    ((3, 7), ())
    """
    third = layers // 3
    return (third - 1, 2 * third - 1) if third else ()
