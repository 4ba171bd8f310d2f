"""The cell space of NASNet and of ENAS ("micro"): a normal and a reduction cell of a few blocks.

Source: Zoph et al., 2018, https://arxiv.org/abs/1707.07012, Section 3. Pham et al., 2018,
https://arxiv.org/abs/1802.03268, Section 2.4, and the authors' code.
"""

from collections.abc import Iterator, Sequence

from lightning_nas.architecture import (
    CELL_INPUTS,
    CELL_OPERATIONS,
    Architecture,
    Block,
    Cell,
    CellArchitecture,
    unused_states,
)
from lightning_nas.errors import InputError
from lightning_nas.spaces.base import CellStart, Choice, Decision, NodeEnd, Pick, Space


class CellSpace(Space):
    """Cells of ``blocks`` blocks; a block picks two earlier states and an operation for each.

    The tokens of a block are, in order: first input, second input, first operation, second
    operation; the normal cell's blocks come first, then the reduction cell's. Outputs are the
    states that no block reads.

    Args:
        blocks: Blocks in a cell, at least 1 (the paper's nodes less the two inputs).
        operations: Names from ``CELL_OPERATIONS``, in the order of their numbers.
        cells: Size written into decoded architectures: normal cells in a stack, the paper's N.
        filters: Likewise: filters of the first stack, the paper's F.

    Raises:
        InputError: If a number is below 1 or an operation is unknown.

    >>> CellSpace(blocks=5).length
    40
    """

    def __init__(
        self,
        blocks: int = 5,
        operations: Sequence[str] = CELL_OPERATIONS,
        cells: int = 5,
        filters: int = 36,
    ) -> None:
        if min(blocks, cells, filters) < 1:
            raise InputError(
                f"blocks, cells and filters must be at least 1, got {blocks}, {cells}, {filters}"
            )
        for operation in operations:
            if operation not in CELL_OPERATIONS:
                raise InputError(
                    f"space.operations has {operation!r}; legal: {', '.join(CELL_OPERATIONS)}"
                )
        self.blocks = blocks
        self.operations = tuple(operations)
        self.cells = cells
        self.filters = filters
        self.decisions = (*self._cell_decisions(), *self._cell_decisions())

    def __str__(self) -> str:
        return f"cells of {self.blocks} blocks out of {', '.join(self.operations)}"

    def _cell_decisions(self) -> Iterator[Decision]:
        yield CellStart(CELL_INPUTS)
        for block in range(self.blocks):
            yield Pick(CELL_INPUTS + block)
            yield Pick(CELL_INPUTS + block)
            yield Choice("operation", len(self.operations))
            yield Choice("operation", len(self.operations))
            yield NodeEnd()

    def decode(self, tokens: Sequence[int]) -> CellArchitecture:
        """Return the pair of cells that ``tokens`` describe."""
        half = len(tokens) // 2
        return CellArchitecture(
            self._decode_cell(tokens[:half]),
            self._decode_cell(tokens[half:]),
            self.cells,
            self.filters,
        )

    def _decode_cell(self, tokens: Sequence[int]) -> Cell:
        blocks = tuple(
            Block(
                (tokens[i], tokens[i + 1]),
                (self.operations[tokens[i + 2]], self.operations[tokens[i + 3]]),
            )
            for i in range(0, len(tokens), 4)
        )
        return Cell(blocks, unused_states(blocks))

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the tokens of a pair of cells."""
        if not isinstance(architecture, CellArchitecture):
            raise InputError(f"a {architecture.kind} architecture does not lie in the cell space")
        normal, reduction = architecture.normal, architecture.reduction
        return (*self._encode_cell(normal, "normal"), *self._encode_cell(reduction, "reduction"))

    def _encode_cell(self, cell: Cell, name: str) -> Iterator[int]:
        if len(cell.blocks) != self.blocks:
            raise InputError(f"the {name} cell has {len(cell.blocks)} blocks; legal: {self.blocks}")
        if cell.outputs != unused_states(cell.blocks):
            raise InputError(f"the {name} cell's outputs are not the states that no block reads")
        for index, block in enumerate(cell.blocks):
            yield from block.inputs
            for operation in block.operations:
                if operation not in self.operations:
                    raise InputError(
                        f"{name}.blocks[{index}] has {operation!r}, which is not in the space"
                    )
                yield self.operations.index(operation)
