"""A chain architecture as the rows of a picture."""

from collections.abc import Iterator

from lightning_nas.architecture import ChainArchitecture, ChainLayer, loose_layers
from lightning_nas.report.bus import Row, layout_bus
from lightning_nas.report.picture import Picture

HINT = "dot: this earlier output is one of the inputs, which are concatenated"
IMAGE = 0  # its number as an output; layer i is i + 1


def layout_chain(architecture: ChainArchitecture) -> Picture:
    """Return the picture of a network.

    Names of shapes: ``image``, ``layer0``, ..., ``pooling0``, ..., ``classifier``; ``path0``, ...
    for the arrows from row to row; and for inputs from afar ``lane-2``, ``rail-5`` and their dot
    ``skip-2-5``: layer 5 reads output 2 (0 is the image, 2 is layer 1). The classifier's are
    ``rail-classifier`` and ``skip-2-classifier``.
    """
    return layout_bus(list(_rows(architecture)), HINT)


def _rows(architecture: ChainArchitecture) -> Iterator[Row]:
    yield Row("image", "end", "image", source=IMAGE)
    before = IMAGE  # the output of the row above
    for index, layer in enumerate(architecture.layers):
        inputs = [source + 1 for source in layer.inputs] or [IMAGE]
        follows, reads = _split(inputs, before)
        text = _text(layer, architecture.repeats)
        yield Row(f"layer{index}", "convolution", text, str(index), index + 1, reads, follows)
        before = index + 1
        if index in architecture.pools:
            yield Row(f"pooling{architecture.pools.index(index)}", "pooling", "pooling")
    follows, reads = _split([i + 1 for i in loose_layers(architecture.layers)], before)
    yield Row("classifier", "end", "classifier", "classifier", reads=reads, follows=follows)


def _split(inputs: list[int], before: int) -> tuple[bool, tuple[int, ...]]:
    return before in inputs, tuple(source for source in inputs if source != before)


def _text(layer: ChainLayer, repeats: int) -> str:
    stride = "" if layer.stride == (1, 1) else f" /{layer.stride[0]}x{layer.stride[1]}"
    times = "" if repeats == 1 else f"{repeats} × "  # noqa: RUF001 - a multiplication sign
    return f"{times}{layer.kernel[0]}x{layer.kernel[1]}, {layer.filters}{stride}"
