"""What architectures are made of, in shares: how a controller's taste shows. No torch here."""

from collections import Counter
from collections.abc import Iterable, Sequence

from lightning_nas.architecture import (
    Architecture,
    CellArchitecture,
    ChainArchitecture,
    EdgeCellArchitecture,
)


def operations(architecture: Architecture) -> list[str]:
    """Return the operations in their order; a chain's are its windows, ``3x5`` high and wide."""
    if isinstance(architecture, CellArchitecture):
        cells = (architecture.normal, architecture.reduction)
        return [name for cell in cells for block in cell.blocks for name in block.operations]
    if isinstance(architecture, EdgeCellArchitecture):
        return list(architecture.operations)
    if isinstance(architecture, ChainArchitecture):
        return ["x".join(map(str, layer.kernel)) for layer in architecture.layers]
    return [layer.operation for layer in architecture.layers]


def skips(architecture: Architecture) -> tuple[int, int]:
    """Return how many skip connections there are, and how many there could be; cells have none."""
    if isinstance(architecture, CellArchitecture | EdgeCellArchitecture):
        return 0, 0
    if isinstance(architecture, ChainArchitecture):
        taken = sum(len(layer.inputs) for layer in architecture.layers)
    else:
        taken = sum(len(layer.skips) for layer in architecture.layers)
    layers = len(architecture.layers)
    return taken, layers * (layers - 1) // 2


def shares(architectures: Iterable[Architecture]) -> dict[str, float]:
    """Return the share of each operation in all, which sum to 1, and of the possible skips.

    >>> from lightning_nas.published import load_architecture
    >>> shares([load_architecture("enas_macro")])["skips"]
    0.5
    """
    given: Sequence[Architecture] = list(architectures)
    counted = Counter(name for one in given for name in operations(one))
    found = {f"operations/{name}": n / counted.total() for name, n in counted.items()}
    taken, possible = map(sum, zip(*map(skips, given), strict=True))
    return {**found, "skips": taken / possible} if possible else found
