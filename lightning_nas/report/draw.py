"""Draws an architecture as SVG or PNG.

From Python ``draw``, from the command line
``python -m lightning_nas.report.draw enas_micro -o cell.svg``.
Layouts are in ``draw_cell``, ``draw_macro``, ``draw_chain`` and ``draw_edge_cell``, colours in
``paint``.
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
from lightning_nas.files import replace_file
from lightning_nas.published import PUBLISHED, load_architecture
from lightning_nas.report.draw_cell import layout_cells
from lightning_nas.report.draw_chain import layout_chain
from lightning_nas.report.draw_edge_cell import layout_edge_cell
from lightning_nas.report.draw_macro import layout_macro
from lightning_nas.report.paint import save
from lightning_nas.report.picture import Picture

FORMATS = (".svg", ".png")


def layout(architecture: Architecture) -> Picture:
    """Return the picture of an architecture as data."""
    if isinstance(architecture, CellArchitecture):
        return layout_cells(architecture)
    if isinstance(architecture, ChainArchitecture):
        return layout_chain(architecture)
    if isinstance(architecture, EdgeCellArchitecture):
        return layout_edge_cell(architecture)
    return layout_macro(architecture)


def draw(architecture: Architecture, path: Path) -> None:
    """Write a picture of ``architecture`` to ``path`` in one step.

    The same architecture gives the same bytes. In an SVG every node and connection is an element
    whose id is the name of its shape, see ``layout_cells``,
    ``layout_macro``, ``layout_chain`` and ``layout_edge_cell``.

    Args:
        architecture: Of any kind and size.
        path: Ends in ``.svg`` or ``.png``. Its folder is made if it is missing.

    Raises:
        InputError: If ``path`` ends otherwise, or cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{path}: ends in {suffix or 'nothing'!r}; legal: {', '.join(FORMATS)}")
    picture = layout(architecture)
    try:
        replace_file(path, lambda part: save(picture, part, suffix[1:]))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be written ({reason})") from None


def write_with_pictures(architecture: Architecture, folder: Path) -> None:
    """Write ``architecture.json`` and its two pictures, as every run folder holds them."""
    path = folder / "architecture.json"
    write_architecture(architecture, path)
    for suffix in FORMATS:
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
    parser.add_argument("-o", "--output", type=Path, required=True, help="FILE.svg or FILE.png")
    options = parser.parse_args(arguments)
    try:
        draw(load_architecture(options.architecture), options.output)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
