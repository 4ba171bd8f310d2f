"""The space of NAS-Bench-201: one cell with an operation on each of its six edges.

Source: Dong and Yang, 2020, https://arxiv.org/abs/2001.00326, Section 2.1.
"""

from collections.abc import Sequence

from lightning_nas.architecture import (
    EDGE_OPERATIONS,
    EDGES,
    OPERATION_NAMES,
    Architecture,
    EdgeCellArchitecture,
    check_names,
)
from lightning_nas.errors import InputError
from lightning_nas.spaces.base import Choice, Space


class EdgeCellSpace(Space):
    """Cells of four nodes, with an edge from each node to every later one.

    A token is the operation on an edge. The edges have the order of ``EDGES``: those into node 1,
    then into node 2, then into node 3. Each edge is a decision with a name of its own, so that a
    controller learns a separate softmax for it.

    Args:
        filters: Filters of the first stage, written into decoded architectures.
        cells: Cells in each of the three stages, written into decoded architectures.
        operations: Names of operations to choose from, in the order of their tokens.

    Raises:
        InputError: If a number is below 1, or an operation is unknown or given twice.

    >>> EdgeCellSpace().length, EdgeCellSpace().size
    (6, 15625)
    """

    def __init__(
        self, filters: int = 16, cells: int = 5, operations: Sequence[str] = EDGE_OPERATIONS
    ) -> None:
        if min(filters, cells) < 1:
            raise InputError(f"filters and cells must be at least 1, got {filters} and {cells}")
        check_names("space.operations", operations, OPERATION_NAMES["edge"])
        self.operations = tuple(operations)
        self.filters = filters
        self.cells = cells
        self.decisions = tuple(
            Choice(f"operation {source} to {target}", len(self.operations))
            for source, target in EDGES
        )

    def __str__(self) -> str:
        return f"cells of {len(EDGES)} edges out of {', '.join(self.operations)}"

    def decode(self, tokens: Sequence[int]) -> EdgeCellArchitecture:
        """Return the cell that ``tokens`` describe."""
        operations = tuple(self.operations[token] for token in tokens)
        return EdgeCellArchitecture(operations, self.filters, self.cells)

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the tokens of a cell."""
        if not isinstance(architecture, EdgeCellArchitecture):
            raise InputError(f"a {architecture.kind} architecture is not in the edge cell space")
        for edge, operation in zip(EDGES, architecture.operations, strict=True):
            if operation not in self.operations:
                raise InputError(f"edge {edge} has {operation!r}, which is not in the space")
        return tuple(self.operations.index(operation) for operation in architecture.operations)
