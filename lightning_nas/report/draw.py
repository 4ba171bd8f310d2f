"""Draws an architecture, or the space that it comes from, as SVG, PNG or PDF.

From Python ``draw``, ``draw_space`` and ``svg_of``, from the command line
``python -m lightning_nas.report.draw enas_micro -o cell.svg`` (``--space``).
Layouts are in ``draw_cell`` and its neighbours, those of spaces in ``space_cell`` and its own,
colours in ``palette``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_nas.architecture import (
    Architecture,
    CellArchitecture,
    ChainArchitecture,
    EdgeCellArchitecture,
    write_architecture,
)
from lightning_nas.errors import InputError
from lightning_nas.files import replace_file, replace_text
from lightning_nas.pictures.draw_cell import layout_cells
from lightning_nas.pictures.draw_chain import layout_chain
from lightning_nas.pictures.draw_edge_cell import layout_edge_cell
from lightning_nas.pictures.draw_macro import layout_macro
from lightning_nas.pictures.paint import save
from lightning_nas.pictures.picture import Picture
from lightning_nas.pictures.space_cell import layout_cell_space
from lightning_nas.pictures.space_chain import layout_chain_space
from lightning_nas.pictures.space_edge_cell import layout_edge_cell_space
from lightning_nas.pictures.space_macro import layout_macro_space
from lightning_nas.pictures.svg import to_svg
from lightning_nas.published import PUBLISHED, load_architecture

FORMATS = (".svg", ".png", ".pdf")


def layout(architecture: Architecture) -> Picture:
    """Return the picture of an architecture as data."""
    if isinstance(architecture, CellArchitecture):
        return layout_cells(architecture)
    if isinstance(architecture, ChainArchitecture):
        return layout_chain(architecture)
    if isinstance(architecture, EdgeCellArchitecture):
        return layout_edge_cell(architecture)
    return layout_macro(architecture)


def layout_space(architecture: Architecture) -> Picture:
    """Return the picture of the space that an architecture comes from, with its choices in red."""
    if isinstance(architecture, CellArchitecture):
        return layout_cell_space(architecture)
    if isinstance(architecture, ChainArchitecture):
        return layout_chain_space(architecture)
    if isinstance(architecture, EdgeCellArchitecture):
        return layout_edge_cell_space(architecture)
    return layout_macro_space(architecture)


def svg_of(architecture: Architecture, prefix: str = "") -> str:
    """Return a picture of ``architecture`` as an ``svg`` element, to stand in an HTML page.

    It needs nothing from elsewhere, and shrinks with what it stands in.

    Args:
        architecture: Of any kind and size.
        prefix: Goes before the id of every node and connection. A page with several pictures gives
            each another.
    """
    return to_svg(layout(architecture), _title(architecture), prefix)


def draw(architecture: Architecture, path: Path) -> None:
    """Write a picture of ``architecture`` to ``path`` in one step.

    The same architecture gives the same bytes. In an SVG every node and connection is an element
    whose id is the name of its shape, see ``layout_cells``, ``layout_macro``, ``layout_chain`` and
    ``layout_edge_cell``.

    Args:
        architecture: Of any kind and size.
        path: Ends in ``.svg``, ``.png`` or ``.pdf``. Its folder is made if it is missing.

    Raises:
        InputError: If ``path`` ends otherwise, or cannot be written.
    """
    _write(layout(architecture), _title(architecture), path)


def draw_space(architecture: Architecture, path: Path) -> None:
    """Write a picture of the space that ``architecture`` comes from, with its own choices in red.

    Everything that could be chosen is there in grey, as far as the architecture's kind and rules
    say. The names of shapes are in ``layout_cell_space``, ``layout_macro_space``,
    ``layout_chain_space`` and ``layout_edge_cell_space``.

    Args:
        architecture: Of any kind and size.
        path: As for ``draw``.

    Raises:
        InputError: If ``path`` ends otherwise, or cannot be written.
    """
    _write(layout_space(architecture), f"the space of a {_title(architecture)}", path)


def _title(architecture: Architecture) -> str:
    return f"{architecture.kind.replace('_', ' ')} architecture"


def _write(picture: Picture, title: str, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{path}: ends in {suffix or 'nothing'!r}; legal: {', '.join(FORMATS)}")
    try:
        if suffix == ".svg":
            replace_text(path, to_svg(picture, title))
        else:
            replace_file(path, lambda part: save(picture, part, suffix[1:]))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be written ({reason})") from None


def write_with_pictures(architecture: Architecture, folder: Path) -> None:
    """Write ``architecture.json``, and its picture as SVG and PNG, as every run folder has them."""
    path = folder / "architecture.json"
    write_architecture(architecture, path)
    for suffix in (".svg", ".png"):
        draw(architecture, path.with_suffix(suffix))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_nas.report.draw", description="Draw an architecture."
    )
    parser.add_argument(
        "architecture",
        help=f"a published one ({', '.join(sorted(PUBLISHED))}), a run folder, or a file",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="FILE.svg, FILE.png or FILE.pdf"
    )
    parser.add_argument(
        "--space", action="store_true", help="draw its whole search space, its own choices in red"
    )
    options = parser.parse_args(arguments)
    paint = draw_space if options.space else draw
    try:
        paint(load_architecture(options.architecture), options.output)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
