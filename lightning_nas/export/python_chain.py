"""The network of a chain architecture as Python code: a line a layer."""

from collections.abc import Iterator
from typing import Any

from lightning_nas.architecture import ChainArchitecture
from lightning_nas.export.python_code import brackets, module_list, network_class
from lightning_nas.networks.chain import ChainNetwork


def chain_network_code(architecture: ChainArchitecture, network: ChainNetwork) -> list[str]:
    """Return the class of the network."""
    blocks = []
    for layer, block in zip(architecture.layers, network.blocks, strict=True):
        conv: Any = block.layers[0].conv  # type: ignore[index, union-attr]
        options = "" if layer.stride == (1, 1) else f", stride={layer.stride}"
        options += "" if architecture.repeats == 1 else f", repeats={architecture.repeats}"
        sizes = f"{conv.in_channels}, {layer.filters}, {layer.kernel}"
        blocks.append(f"Convolutions({sizes}{options})")
    made = [
        *module_list("blocks", blocks),
        f"        self.dropout = nn.Dropout({network.dropout.p})",
        f"        self.classifier = nn.Linear({network.classifier.in_features}, num_classes)",
    ]
    says = "Convolutions, each of which reads the image or any earlier ones."
    run = list(_run(architecture, network.loose))
    return [network_class(says, network.classifier.out_features, made, run)]


def _run(architecture: ChainArchitecture, loose: tuple[int, ...]) -> Iterator[str]:
    """Yield the lines that run the network."""
    reads = [_names(layer.inputs) or ["images"] for layer in architecture.layers]
    for index, names in enumerate(reads):
        yield from brackets(f"x{index} = self.blocks[{index}](", names, ")", 8)
        if index in architecture.pools:
            later = {name for names in reads[index + 1 :] for name in names} | set(_names(loose))
            made = ["images", *_names(range(index + 1))]
            for name in (name for name in made if name in later):
                yield f"        {name} = pool({name})"
    if len(loose) > 1:
        yield from brackets("x = join(", _names(loose), ")", 8)
    last = "x" if len(loose) > 1 else f"x{loose[0]}"
    yield f"        return self.classifier(self.dropout({last}.mean(dim=(2, 3))))"


def _names(layers: tuple[int, ...] | range) -> list[str]:
    return [f"x{layer}" for layer in layers]
