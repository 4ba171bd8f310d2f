"""The space of chains as the rows of a picture, with one network in red."""

from collections.abc import Iterator

from lightning_nas.architecture import ChainArchitecture, ChainLayer
from lightning_nas.pictures.bus import Row
from lightning_nas.pictures.draw_chain import chain_rows, repeat_hint
from lightning_nas.pictures.menu import Menu, Option
from lightning_nas.pictures.picture import Picture
from lightning_nas.pictures.space_bus import SpaceRow, layout_space_bus, space_row
from lightning_nas.spaces.chain import ChainSpace

DOT = "red dot: this earlier output is one of the inputs, which are concatenated"
PAPER = ChainSpace(strides=(1, 2, 3))
HEADINGS = {"down": "stride down", "across": "stride across"}
NUMBER = (20.0, 13.0)


def layout_chain_space(architecture: ChainArchitecture) -> Picture:
    """Return the picture of all networks of so many layers, with this one in red.

    An architecture does not say what could be chosen: these are the paper's numbers, and the
    architecture's own where it has others. Strides are there if one of them is not 1.

    Names of shapes are those of ``layout_chain``, with a dot ``skip-2-5`` for every input from afar
    that is possible, ``layer3-height-7``, ``-width-7``, ``-down-2``, ``-across-2`` (strides) and
    ``-filters-36`` for a number that is, and ``lane-2-chosen`` and ``rail-5-chosen`` for the red
    part of a line.
    """
    numbers = _numbers(architecture)
    rows = [_row(row, architecture, numbers) for row in chain_rows(architecture)]
    hints = [hint for hint in (repeat_hint(architecture), DOT) if hint]
    return layout_space_bus(rows, hints, set(), [HEADINGS.get(name, name) for name in numbers])


def _fields(layer: ChainLayer) -> dict[str, int]:
    names = ("height", "width", "down", "across", "filters")
    return dict(zip(names, (*layer.kernel, *layer.stride, layer.filters), strict=True))


def _numbers(architecture: ChainArchitecture) -> dict[str, list[int]]:
    """Return the numbers to choose from for every field that is decided."""
    kernels, strides, filters = PAPER.kernels, PAPER.strides, PAPER.filters
    paper = dict(
        zip(
            _fields(architecture.layers[0]),
            (kernels, kernels, strides, strides, filters),
            strict=True,
        )
    )
    strided = any(layer.stride != (1, 1) for layer in architecture.layers)
    return {
        name: sorted({*numbers, *(_fields(layer)[name] for layer in architecture.layers)})
        for name, numbers in paper.items()
        if strided or name not in {"down", "across"}
    }


def _row(row: Row, architecture: ChainArchitecture, numbers: dict[str, list[int]]) -> SpaceRow:
    if row.key == "classifier":
        return space_row(row, [], range(1, len(architecture.layers)))
    if not row.key:
        return space_row(row, [], [])
    chosen = _fields(architecture.layers[int(row.key)])
    return space_row(row, list(_menus(row.name, chosen, numbers)), range(int(row.key)))


def _menus(name: str, chosen: dict[str, int], numbers: dict[str, list[int]]) -> Iterator[Menu]:
    for field, values in numbers.items():
        options = [Option(str(value), "number", str(value)) for value in values]
        yield Menu(f"{name}-{field}", options, str(chosen[field]), NUMBER, len(options))
