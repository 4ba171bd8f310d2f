"""The network of a cell architecture as Python code: its cells are in ``python_cell_class``."""

from collections.abc import Iterator

from lightning_nas.architecture import CELL_INPUTS, CellArchitecture
from lightning_nas.export.python_cell_class import CellClass
from lightning_nas.export.python_code import (
    classifier_line,
    module_list,
    network_class,
    stem_line,
)
from lightning_nas.networks.cell import CellNetwork


def cell_network_code(architecture: CellArchitecture, network: CellNetwork) -> list[str]:
    """Return the classes of the cells and of the network."""
    cells = list(_cells(architecture, network))
    made = [
        stem_line(network.stem),
        *module_list("cells", [f"{kind.name}({sizes})" for kind, sizes in cells]),
        classifier_line(network.classifier),
    ]
    classes = [kind.code() for kind in dict.fromkeys(kind for kind, _ in cells)]
    says = "Three stacks of cells, each of which reads the two before it."
    num_classes = network.classifier.linear.out_features
    return [*classes, network_class(says, num_classes, made, _run(network))]


def _cells(architecture: CellArchitecture, network: CellNetwork) -> Iterator[tuple[CellClass, str]]:
    """Yield the class of each cell and the arguments that make it."""
    outputs = [(network.stem[0].out_channels, 0)] * CELL_INPUTS  # channels, how often halved
    for index, (layer, reduces) in enumerate(zip(network.cells, network.halves, strict=True)):
        (older, older_scale), (newer, scale) = outputs[network.older_of(index)], outputs[-1]
        channels = layer.base.conv.out_channels  # type: ignore[union-attr]
        raw = architecture.rules == "nasnet" and index == 0 and older != channels
        cell = architecture.reduction if reduces else architecture.normal
        halve = ", halve_older=True" if older_scale != scale else ""
        yield (
            CellClass(cell, architecture.rules, reduces, raw),
            f"{older}, {newer}, {channels}{halve}",
        )
        outputs.append((layer.out_channels, scale + reduces))


def _run(network: CellNetwork) -> list[str]:
    """Return the lines that run the network."""
    if not network.skip_reduction_input:
        lines = [
            "older = newer = self.stem(images)",
            "for cell in self.cells:",
            "    older, newer = newer, cell(older, newer)",
        ]
    else:
        after = ", ".join(str(index + 1) for index in network.reductions)
        lines = [
            "oldest = older = newer = self.stem(images)",
            "for index, cell in enumerate(self.cells):",
            f"    skips = index in ({after})  # behind a reduction: does not read what that halved",
            "    out = cell(oldest if skips else older, newer)",
            "    oldest, older, newer = older, newer, out",
        ]
    lines.append("return self.classifier(F.relu(newer))")
    return [" " * 8 + line for line in lines]
