"""A chain architecture as the rows of a picture."""

from collections.abc import Iterator

from lightning_nas.architecture import ChainArchitecture, ChainLayer, loose_layers
from lightning_nas.pictures.bus import Row, layout_bus
from lightning_nas.pictures.picture import Picture

HINT = "dot: this earlier output is one of the inputs, which are concatenated"
IMAGE = 0  # its number as an output; layer i is i + 1


def layout_chain(architecture: ChainArchitecture) -> Picture:
    """Return the picture of a network. Layers are coloured by the longer side of their window.

    Names of shapes: ``image``, ``layer0``, ..., ``pooling0``, ..., ``classifier``; ``path0``, ...
    for the arrows from row to row; and for inputs from afar ``lane-2``, ``rail-5`` and their dot
    ``skip-2-5``: layer 5 reads output 2 (0 is the image, 2 is layer 1). The classifier's are
    ``rail-classifier`` and ``skip-2-classifier``.
    """
    return layout_bus(list(chain_rows(architecture)), HINT, list(_hints(architecture)))


def window_kind(side: int) -> str:
    """Return the kind of a box for a window, by the longer of its sides in pixels.

    >>> window_kind(1), window_kind(4), window_kind(11)
    ('window_1', 'window_5', 'window_7')
    """
    return f"window_{next((size for size in (1, 3, 5) if side <= size), 7)}"


def repeat_hint(architecture: ChainArchitecture) -> str:
    """Return what a box stands for where it is not one layer, or nothing."""
    times = architecture.repeats
    return f"a box stands for {times} layers in a row, densely connected" if times > 1 else ""


def _hints(architecture: ChainArchitecture) -> Iterator[str]:
    strided = any(layer.stride != (1, 1) for layer in architecture.layers)
    yield f"height x width of the window, filters{' / strides' if strided else ''}"
    if repeats := repeat_hint(architecture):
        yield repeats


def chain_rows(architecture: ChainArchitecture) -> Iterator[Row]:
    """Yield the rows of a network, the first on top."""
    yield Row("image", "end", "image", source=IMAGE)
    before = IMAGE  # the output of the row above
    for index, layer in enumerate(architecture.layers):
        inputs = [source + 1 for source in layer.inputs] or [IMAGE]
        follows, reads = _split(inputs, before)
        kind = window_kind(max(layer.kernel))
        yield Row(f"layer{index}", kind, _text(layer), str(index), index + 1, reads, follows)
        before = index + 1
        if index in architecture.pools:
            yield Row(f"pooling{architecture.pools.index(index)}", "pooling", "pooling")
    follows, reads = _split([i + 1 for i in loose_layers(architecture.layers)], before)
    yield Row("classifier", "end", "classifier", "classifier", reads=reads, follows=follows)


def _split(inputs: list[int], before: int) -> tuple[bool, tuple[int, ...]]:
    return before in inputs, tuple(source for source in inputs if source != before)


def _text(layer: ChainLayer) -> str:
    stride = "" if layer.stride == (1, 1) else f" / {layer.stride[0]}x{layer.stride[1]}"
    return f"{layer.kernel[0]}x{layer.kernel[1]}, {layer.filters}{stride}"
