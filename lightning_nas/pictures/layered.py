"""Pictures of macro and chain architectures and of their search spaces, as rows of a bus.

Names of shapes: ``stem`` or ``image``, ``layer0``, ..., ``pooling0``, ..., ``classifier``;
``path0``, ... for the arrows from row to row; ``lane-2`` and ``rail-5`` for the lines of the bus,
and ``skip-2-5`` for their dot: layer 5 reads output 2. Output 0 is the stem or the image, output 2
is layer 1. In a search space, ``lane-2-chosen`` and ``rail-5-chosen`` are the red parts of lines,
``layer3-conv_5x5`` is an operation, and ``layer3-height-7``, ``-width-7``, ``-down-2``,
``-across-2`` (strides) and ``-filters-36`` are numbers to choose.
"""

from collections.abc import Iterator
from dataclasses import replace

from lightning_nas.architecture import (
    MACRO_OPERATIONS,
    ChainArchitecture,
    ChainLayer,
    MacroArchitecture,
    find_loose_layers,
    find_poolings,
)
from lightning_nas.pictures.bus import Bus, Row
from lightning_nas.pictures.menu import Menu, Option, list_options
from lightning_nas.pictures.palette import short_name
from lightning_nas.pictures.picture import Picture
from lightning_nas.spaces.chain import ChainSpace

MACRO_DOT = "dot: the layer's output is joined with this earlier output"
CHAIN_DOT = "dot: this earlier output is one of the inputs, which are concatenated"
IMAGE = 0  # number of the image as an output; the output of layer i is i + 1
FIELDS = ("height", "width", "down", "across", "filters")
PAPER = ChainSpace(strides=(1, 2, 3))
HEADINGS = {"down": "stride down", "across": "stride across"}
NUMBER = (20.0, 13.0)  # size of the box of a number


def layout_macro(architecture: MacroArchitecture, is_space: bool = False) -> Picture:
    """Return the picture of a macro architecture, or of its space: all networks of as many layers.

    Names of shapes are in the docstring of this module.
    """
    rows = list(_macro_rows(architecture))
    if not is_space:
        return Bus(rows, (), MACRO_DOT).layout()
    options = list_options(MACRO_OPERATIONS)
    for i, row in enumerate(rows):
        if row.key:
            index = int(row.key)
            chosen = architecture.layers[index].operation
            menu = Menu(row.name, options, chosen, columns=len(options))
            rows[i] = _as_choice(row, (menu,), range(index))
    return Bus(rows, (), f"red {MACRO_DOT}", is_space=True).layout()


def _as_choice(row: Row, menus: tuple[Menu, ...], may_read: range) -> Row:
    return replace(row, kind="frame", text="", menus=menus, may_read=tuple(may_read))


def _macro_rows(architecture: MacroArchitecture) -> Iterator[Row]:
    pools = find_poolings(len(architecture.layers))
    firsts = (0, *(index + 1 for index in pools))  # first layer of each stage
    yield Row("stem", "end", "stem", source=0)
    for index, layer in enumerate(architecture.layers):
        stage = None
        if index in firsts:
            number = firsts.index(index)
            stage = f"stage {number + 1}", f"{architecture.filters * 2**number} filters"
        name, text = f"layer{index}", short_name(layer.operation)
        yield Row(name, layer.operation, text, str(index), index + 1, layer.skips, stage=stage)
        if index in pools:
            yield Row(f"pooling{pools.index(index)}", "pooling", "pooling")
    yield Row("classifier", "end", "classifier")


# ---- chains -------------------------------------------------------------------------------------


def layout_chain(architecture: ChainArchitecture, is_space: bool = False) -> Picture:
    """Return the picture of a chain, or of its space: all networks of as many layers.

    The colour of a layer tells the longer side of its window. An architecture does not contain the
    options of its space: the options shown are the numbers of the paper and of the architecture.
    Strides are shown if a stride is not 1. Names of shapes are in the docstring of this module.
    """
    rows = list(_chain_rows(architecture))
    has_strides = any(layer.stride != (1, 1) for layer in architecture.layers)
    times = architecture.repeats
    hints = [f"a box stands for {times} layers in a row, densely connected"] * (times > 1)
    if not is_space:
        meaning = f"height x width of the window, filters{' / strides' * has_strides}"
        return Bus(rows, [meaning, *hints], CHAIN_DOT).layout()
    numbers = _list_numbers(architecture, has_strides)
    for i, row in enumerate(rows):
        if row.key == "classifier":
            rows[i] = replace(row, may_read=tuple(range(1, len(architecture.layers))))
        elif row.key:
            index = int(row.key)
            menus = tuple(_menus(row.name, architecture.layers[index], numbers))
            rows[i] = _as_choice(row, menus, range(index))
    headings = [HEADINGS.get(name, name) for name in numbers]
    return Bus(rows, hints, f"red {CHAIN_DOT}", is_space=True, headings=headings).layout()


def window_kind(side: int) -> str:
    """Return the kind of a box for a window whose longer side has ``side`` pixels.

    >>> window_kind(1), window_kind(4), window_kind(11)
    ('window_1', 'window_5', 'window_7')
    """
    return f"window_{next((size for size in (1, 3, 5) if side <= size), 7)}"


def _chain_rows(architecture: ChainArchitecture) -> Iterator[Row]:
    yield Row("image", "end", "image", source=IMAGE)
    before = IMAGE  # output of the row above
    for index, layer in enumerate(architecture.layers):
        follows, reads = _split([source + 1 for source in layer.inputs] or [IMAGE], before)
        kind, text = window_kind(max(layer.kernel)), _text(layer)
        yield Row(f"layer{index}", kind, text, str(index), index + 1, reads, follows)
        before = index + 1
        if index in architecture.pools:
            yield Row(f"pooling{architecture.pools.index(index)}", "pooling", "pooling")
    follows, reads = _split([i + 1 for i in find_loose_layers(architecture.layers)], before)
    yield Row("classifier", "end", "classifier", "classifier", reads=reads, follows=follows)


def _split(inputs: list[int], before: int) -> tuple[bool, tuple[int, ...]]:
    return before in inputs, tuple(source for source in inputs if source != before)


def _text(layer: ChainLayer) -> str:
    stride = "" if layer.stride == (1, 1) else f" / {layer.stride[0]}x{layer.stride[1]}"
    return f"{layer.kernel[0]}x{layer.kernel[1]}, {layer.filters}{stride}"


def _fields(layer: ChainLayer) -> dict[str, int]:
    return dict(zip(FIELDS, (*layer.kernel, *layer.stride, layer.filters), strict=True))


def _list_numbers(architecture: ChainArchitecture, has_strides: bool) -> dict[str, list[int]]:
    kernels, strides = PAPER.kernels, PAPER.strides
    paper = zip(FIELDS, (kernels, kernels, strides, strides, PAPER.filters), strict=True)
    return {
        name: sorted({*numbers, *(_fields(layer)[name] for layer in architecture.layers)})
        for name, numbers in paper
        if has_strides or name not in HEADINGS
    }


def _menus(name: str, layer: ChainLayer, numbers: dict[str, list[int]]) -> Iterator[Menu]:
    chosen = _fields(layer)
    for field, values in numbers.items():
        options = [Option(str(value), "number", str(value)) for value in values]
        yield Menu(f"{name}-{field}", options, str(chosen[field]), NUMBER, len(options))
