"""What architectures are made of, in shares: how a controller's taste shows. No torch here."""

from collections import Counter
from collections.abc import Iterable, Sequence

from lightning_nas.architecture import (
    Architecture,
    CellArchitecture,
    ChainArchitecture,
    MacroArchitecture,
)


def list_choices(architecture: Architecture) -> dict[str, list[str]]:
    """Return what was decided in an architecture, by kind of decision."""
    if isinstance(architecture, CellArchitecture):
        blocks = [
            (place, block)
            for cell in (architecture.normal, architecture.reduction)
            for place, block in enumerate(cell.blocks)
        ]
        read = {0: "older input", 1: "newer input"}
        return {
            "operations": [name for _, block in blocks for name in block.operations],
            "inputs": [
                read.get(state, "earlier block") for _, block in blocks for state in block.inputs
            ],
        }
    if isinstance(architecture, MacroArchitecture):
        layers = architecture.layers
        return {
            "operations": [layer.operation for layer in layers],
            "skips": _skips([(len(layer.skips), i) for i, layer in enumerate(layers)]),
        }
    if isinstance(architecture, ChainArchitecture):
        return {
            "windows": ["x".join(map(str, layer.kernel)) for layer in architecture.layers],
            "filters": [f"{layer.filters}" for layer in architecture.layers],
            "skips": _skips([(len(x.inputs), i) for i, x in enumerate(architecture.layers)]),
        }
    return {"operations": list(architecture.operations)}


def _skips(layers: Sequence[tuple[int, int]]) -> list[str]:
    taken = sum(count for count, _ in layers)
    possible = sum(candidates for _, candidates in layers)
    return ["taken"] * taken + ["not taken"] * (possible - taken)


def count_shares(architectures: Iterable[Architecture]) -> dict[str, float]:
    """Return the share of each operation in all, which sum to 1, and of the possible skips.

    A chain's operations are its windows, ``3x5`` high and wide. All are of one space.

    >>> from lightning_nas.published import load_architecture
    >>> round(shares([load_architecture("enas_macro")])["skips"], 3)
    0.355
    """
    counts: dict[str, Counter[str]] = {}
    for one in architectures:
        for kind, options in list_choices(one).items():
            counts.setdefault(kind, Counter()).update(options)
    taken = counts.pop("skips", Counter())
    made = counts["windows" if "windows" in counts else "operations"]
    found = {f"operations/{name}": n / made.total() for name, n in made.items()}
    return {**found, "skips": taken["taken"] / taken.total()} if taken else found
