"""The space of macro networks as the rows of a picture, with one network in red."""

from collections.abc import Iterator

from lightning_nas.architecture import MACRO_OPERATIONS, MacroArchitecture
from lightning_nas.pictures.draw_macro import macro_rows
from lightning_nas.pictures.menu import Menu, operation_options
from lightning_nas.pictures.picture import Picture
from lightning_nas.pictures.space_bus import SpaceRow, layout_space_bus, space_row

DOT = "red dot: the layer's output is joined with this earlier output"


def layout_macro_space(architecture: MacroArchitecture) -> Picture:
    """Return the picture of all networks of so many layers, with this one in red.

    Names of shapes are those of ``layout_macro``, with a dot ``skip-2-5`` for every skip that is
    possible, ``layer3-conv_5x5`` for an operation that is, and ``lane-2-chosen`` and
    ``rail-5-chosen`` for the red part of a line.
    """
    return layout_space_bus(list(_rows(architecture)), (DOT,), set(MACRO_OPERATIONS))


def _rows(architecture: MacroArchitecture) -> Iterator[SpaceRow]:
    options = operation_options(MACRO_OPERATIONS)
    for row in macro_rows(architecture):
        if row.key:
            chosen = architecture.layers[int(row.key)].operation
            menu = Menu(row.name, options, chosen, columns=len(options))
            yield space_row(row, [menu], range(int(row.key)))
        else:
            yield space_row(row, [], [])
