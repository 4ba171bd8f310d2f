"""The cell space of NASNet and of ENAS ("micro"): a normal and a reduction cell of a few blocks.

Source: Zoph et al., 2018, https://arxiv.org/abs/1707.07012, Section 3. Pham et al., 2018,
https://arxiv.org/abs/1802.03268, Section 2.4, and the authors' code.
"""

from collections.abc import Iterator, Sequence

from lightning_nas.architecture import (
    CELL_INPUTS,
    CELL_OPERATIONS,
    CELL_RULES,
    Architecture,
    Block,
    Cell,
    CellArchitecture,
    check_names,
    find_unused_states,
)
from lightning_nas.errors import InputError
from lightning_nas.spaces.base import CellStart, Choice, Decision, NodeEnd, Pick, Space


class CellSpace(Space):
    """Pairs of cells. Each block picks two earlier states and an operation for each of them.

    The tokens of a block are, in order: first input, second input, first operation, second
    operation and, if there is more than one, the combination. The blocks of the normal cell come
    first, then those of the reduction cell. The outputs of a cell are the states that no block
    reads.

    Args:
        blocks: Blocks in a cell, at least 1 (the paper's nodes without the two inputs).
        operations: Names of operations that the rules allow, in the order of their tokens.
        cells: Normal cells in a stack (the paper's N), written into decoded architectures.
        filters: Filters of the first stack (the paper's F), written into decoded architectures.
        combinations: Combinations that the rules allow, in the order of their tokens.
        rules: Rule set of the cells: ``enas``, ``nasnet`` or ``darts``.

    Raises:
        InputError: If a number is below 1, or a name is unknown or given twice.

    >>> CellSpace(blocks=5).length
    40
    >>> from lightning_nas.architecture import COMBINATIONS, NASNET_OPERATIONS
    >>> CellSpace(5, NASNET_OPERATIONS, combinations=COMBINATIONS, rules="nasnet").length
    50
    """

    def __init__(
        self,
        blocks: int = 5,
        operations: Sequence[str] = CELL_OPERATIONS,
        cells: int = 5,
        filters: int = 36,
        combinations: Sequence[str] = ("add",),
        rules: str = "enas",
    ) -> None:
        if min(blocks, cells, filters) < 1:
            raise InputError(
                f"blocks, cells and filters must be at least 1, got {blocks}, {cells}, {filters}"
            )
        if rules not in CELL_RULES:
            raise InputError(f"space.rules must be {' or '.join(CELL_RULES)}, got {rules!r}")
        check_names("space.operations", operations, CELL_RULES[rules].operations)
        check_names("space.combinations", combinations, CELL_RULES[rules].combinations)
        self.blocks = blocks
        self.operations = tuple(operations)
        self.combinations = tuple(combinations)
        self.rules = rules
        self.cells = cells
        self.filters = filters
        self.decisions = (*self._cell_decisions(), *self._cell_decisions())

    def __str__(self) -> str:
        text = f"cells of {self.blocks} blocks out of {', '.join(self.operations)}"
        return text if self.rules == "enas" else f"{text}; {', '.join(self.combinations)}"

    def _cell_decisions(self) -> Iterator[Decision]:
        yield CellStart(CELL_INPUTS)
        for block in range(self.blocks):
            yield Pick(CELL_INPUTS + block)
            yield Pick(CELL_INPUTS + block)
            yield Choice("operation", len(self.operations))
            yield Choice("operation", len(self.operations))
            if len(self.combinations) > 1:
                yield Choice("combination", len(self.combinations))
            yield NodeEnd()

    def decode(self, tokens: Sequence[int]) -> CellArchitecture:
        """Return the pair of cells that ``tokens`` describe."""
        half = len(tokens) // 2
        return CellArchitecture(
            self._decode_cell(tokens[:half]),
            self._decode_cell(tokens[half:]),
            self.cells,
            self.filters,
            self.rules,
        )

    def _decode_cell(self, tokens: Sequence[int]) -> Cell:
        step = len(tokens) // self.blocks
        blocks = tuple(
            self._decode_block(*tokens[i : i + step]) for i in range(0, len(tokens), step)
        )
        return Cell(blocks, find_unused_states(blocks))

    def _decode_block(
        self, first: int, second: int, left: int, right: int, combination: int = 0
    ) -> Block:
        return Block(
            (first, second),
            (self.operations[left], self.operations[right]),
            self.combinations[combination],
        )

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the tokens of a pair of cells."""
        if not isinstance(architecture, CellArchitecture):
            raise InputError(f"a {architecture.kind} architecture is not in the cell space")
        if architecture.rules != self.rules:
            raise InputError(f"the architecture's rules are {architecture.rules}, not {self.rules}")
        normal, reduction = architecture.normal, architecture.reduction
        return (*self._encode_cell(normal, "normal"), *self._encode_cell(reduction, "reduction"))

    def _encode_cell(self, cell: Cell, name: str) -> Iterator[int]:
        if len(cell.blocks) != self.blocks:
            raise InputError(f"the {name} cell has {len(cell.blocks)} blocks; legal: {self.blocks}")
        if cell.outputs != find_unused_states(cell.blocks):
            raise InputError(f"the {name} cell's outputs are not the states that no block reads")
        for index, block in enumerate(cell.blocks):
            yield from block.inputs
            for operation in block.operations:
                if operation not in self.operations:
                    raise _name_error(name, index, operation)
                yield self.operations.index(operation)
            if block.combination not in self.combinations:
                raise _name_error(name, index, block.combination)
            if len(self.combinations) > 1:
                yield self.combinations.index(block.combination)


def _name_error(cell: str, block: int, name: str) -> InputError:
    return InputError(f"{cell}.blocks[{block}] has {name!r}, which is not in the space")
