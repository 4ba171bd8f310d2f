"""The network of a macro architecture as Python code: a line a layer."""

from collections.abc import Iterator
from typing import Any

from lightning_nas.architecture import MacroArchitecture, MacroLayer
from lightning_nas.export.python_code import (
    brackets,
    classifier_line,
    item,
    lines_of,
    module_list,
    network_class,
    stem_line,
)
from lightning_nas.networks.macro import MacroNetwork


def macro_network_code(architecture: MacroArchitecture, network: MacroNetwork) -> list[str]:
    """Return the class of the network."""
    widths: Any = [block.conv.conv.out_channels for block in network.blocks]  # type: ignore[union-attr]
    blocks = [
        _block(layer, width, index)
        for index, (layer, width) in enumerate(zip(architecture.layers, widths, strict=True))
    ]
    made = [stem_line(network.stem), *module_list("blocks", blocks)]
    if network.halvings:
        made += _halvings(network, widths)
    made.append(classifier_line(network.classifier))
    says = "Layers in a row with skip connections; s0 is the stem, s1 the first layer."
    run = list(_run(architecture, network))
    return [network_class(says, network.classifier.linear.out_features, made, run)]


def _block(layer: MacroLayer, channels: int, index: int) -> str:
    """Return the code of a layer."""
    kind, kernel = layer.operation.split("_")[0], layer.operation[-1]
    operation = {
        "avg": "AveragePool()",
        "max": f"MaxPool({kernel})",
        "sep": f"separable({channels}, {kernel})",
        "conv": f"plain({channels}, {kernel})",
    }[kind]
    skips = f"skips={len(layer.skips)}" if index else "skips=None"
    return f"Block({channels}, {operation}, {skips})"


def _halvings(network: MacroNetwork, widths: list[int]) -> list[str]:
    """Return the lines that make what the poolings do to each output that is read later."""
    items = []
    for index, sources in network.halvings.items():
        read = [str(widths[int(index)]), *sources]  # type: ignore[misc]
        items.append(item(f'"{index}": halvings(', read, ")", 16))
    inner = lines_of("{", items, "}", 12)
    return ["        self.halvings = nn.ModuleDict(", *inner, "        )"]


def _run(architecture: MacroArchitecture, network: MacroNetwork) -> Iterator[str]:
    """Yield the lines that run the network."""
    yield "        s0 = self.stem(images)"
    for index, layer in enumerate(architecture.layers):
        read = [f"s{state}" for state in (index, *layer.skips)]
        yield from brackets(f"s{index + 1} = self.blocks[{index}](", read, ")", 8)
        if str(index) in network.halvings:
            yield f'        halve = self.halvings["{index}"]'
            for source in network.halvings[str(index)]:  # type: ignore[attr-defined]
                yield f'        s{source} = halve["{source}"](s{source})'
    yield f"        return self.classifier(s{len(architecture.layers)})"
