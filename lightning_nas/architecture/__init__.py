"""Architectures as plain, immutable data, their files, and the names of operations.

An architecture says what a network computes. It holds no weights and imports no torch: networks
build it, spaces decode to it, reports draw it.
"""

from lightning_nas.architecture.file import (
    VERSION,
    from_json,
    read_architecture,
    to_json,
    write_architecture,
)
from lightning_nas.architecture.kinds import (
    CELL_INPUTS,
    EDGES,
    Architecture,
    Block,
    Cell,
    CellArchitecture,
    ChainArchitecture,
    ChainLayer,
    EdgeCellArchitecture,
    MacroArchitecture,
    MacroLayer,
    find_loose_layers,
    find_poolings,
    find_unused_states,
)
from lightning_nas.architecture.operation_names import (
    CELL_OPERATIONS,
    CELL_RULES,
    COMBINATIONS,
    EDGE_OPERATIONS,
    MACRO_OPERATIONS,
    NASNET_OPERATIONS,
    OPERATION_NAMES,
    CellRules,
    check_names,
    register_name,
)

__all__ = [
    "CELL_INPUTS",
    "CELL_OPERATIONS",
    "CELL_RULES",
    "COMBINATIONS",
    "EDGES",
    "EDGE_OPERATIONS",
    "MACRO_OPERATIONS",
    "NASNET_OPERATIONS",
    "OPERATION_NAMES",
    "VERSION",
    "Architecture",
    "Block",
    "Cell",
    "CellArchitecture",
    "CellRules",
    "ChainArchitecture",
    "ChainLayer",
    "EdgeCellArchitecture",
    "MacroArchitecture",
    "MacroLayer",
    "check_names",
    "find_loose_layers",
    "find_poolings",
    "find_unused_states",
    "from_json",
    "read_architecture",
    "register_name",
    "to_json",
    "write_architecture",
]
