"""A macro architecture as the rows of a picture."""

from collections.abc import Iterator

from lightning_nas.architecture import MacroArchitecture, poolings
from lightning_nas.pictures.bus import Row, layout_bus
from lightning_nas.pictures.palette import short_name
from lightning_nas.pictures.picture import Picture

HINT = "dot: the layer's output is joined with this earlier output"


def layout_macro(architecture: MacroArchitecture) -> Picture:
    """Return the picture of a network.

    Names of shapes: ``stem``, ``layer0``, ..., ``pooling0``, ``pooling1``, ``classifier``;
    ``path0``, ... for the arrows from row to row; and for skips ``lane-2``, ``rail-5`` and their
    dot ``skip-2-5``: layer 5 reads output 2, numbered as in the file (0 is the stem, 2 is layer 1).
    """
    return layout_bus(list(macro_rows(architecture)), HINT)


def stages(architecture: MacroArchitecture) -> dict[int, tuple[str, str]]:
    """Return the heading of each stage, by its first layer."""
    pools = poolings(len(architecture.layers))
    firsts = (0, *(index + 1 for index in pools))
    return {
        first: (f"stage {number + 1}", f"{architecture.filters * 2**number} filters")
        for number, first in enumerate(firsts)
    }


def macro_rows(architecture: MacroArchitecture) -> Iterator[Row]:
    """Yield the rows of a network, the first on top."""
    yield Row("stem", "end", "stem", source=0)
    pools, headings = poolings(len(architecture.layers)), stages(architecture)
    for index, layer in enumerate(architecture.layers):
        name, text, stage = f"layer{index}", short_name(layer.operation), headings.get(index)
        yield Row(name, layer.operation, text, str(index), index + 1, layer.skips, stage=stage)
        if index in pools:
            yield Row(f"pooling{pools.index(index)}", "pooling", "pooling")
    yield Row("classifier", "end", "classifier")
