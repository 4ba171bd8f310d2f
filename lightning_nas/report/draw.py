"""Pictures of architectures and search spaces as SVG, PNG or PDF, from Python and as a command.

``python -m lightning_nas.report.draw enas_micro -o cell.svg`` (``--space`` for its search space).
Layouts, shapes and colours are in ``pictures/``.
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
from lightning_nas.ctrl_c import end_at_ctrl_c
from lightning_nas.errors import InputError, describe_os_error
from lightning_nas.files import replace_file, replace_text
from lightning_nas.pictures.cell import layout_cells
from lightning_nas.pictures.cell_space import layout_cell_space
from lightning_nas.pictures.edge_cell import layout_edge_cell
from lightning_nas.pictures.layered import layout_chain, layout_macro
from lightning_nas.pictures.paint import save_picture
from lightning_nas.pictures.picture import Picture
from lightning_nas.pictures.svg import to_svg
from lightning_nas.published import PUBLISHED, load_architecture
from lightning_nas.storage.run_folder import RunFolder

FORMATS = (".svg", ".png", ".pdf")


def layout_architecture(
    architecture: Architecture, is_space: bool = False, is_narrow: bool = False
) -> Picture:
    """Return the picture of an architecture, or of its search space with the architecture in red.

    The layout functions tell the names of shapes. Only cells have a narrow picture, see
    ``layout_cells``; the pictures of other kinds have one layer in a row in any case.
    """
    if isinstance(architecture, CellArchitecture):
        if is_space:
            return layout_cell_space(architecture)
        return layout_cells(architecture, is_narrow)
    if isinstance(architecture, ChainArchitecture):
        return layout_chain(architecture, is_space)
    if isinstance(architecture, EdgeCellArchitecture):
        return layout_edge_cell(architecture, is_space)
    return layout_macro(architecture, is_space)


def architecture_svg(architecture: Architecture, prefix: str = "", is_narrow: bool = False) -> str:
    """Return the picture of ``architecture`` as an ``svg`` element for an HTML page.

    The element refers to no other file, and shrinks with the element around it.

    Args:
        architecture: Architecture of any kind and size.
        prefix: Start of all ids; different for each picture of a page.
        is_narrow: Whether to draw cells for a narrow screen.
    """
    picture = layout_architecture(architecture, is_narrow=is_narrow)
    return to_svg(picture, _title(architecture), prefix)


def draw(architecture: Architecture, path: Path, is_space: bool = False) -> None:
    """Write the picture of an architecture, or of its search space, to ``path`` in one step.

    The same architecture gives the same bytes. In an SVG the ids of nodes and connections are the
    names of shapes, see ``layout_architecture``.

    Args:
        architecture: Architecture of any kind and size.
        path: File that ends in ``.svg``, ``.png`` or ``.pdf``. A missing folder is created.
        is_space: Whether to draw all options that the kind and the rules of the architecture allow,
            with the architecture in red.

    Raises:
        InputError: If ``path`` has another suffix or cannot be written.
    """
    title = f"{_title(architecture)}{' in its search space' * is_space}"
    write_picture(layout_architecture(architecture, is_space), title, path)


def _title(architecture: Architecture) -> str:
    return f"{architecture.kind.replace('_', ' ')} architecture"


def write_picture(picture: Picture, title: str, path: Path) -> None:
    """Write a picture to ``path``, see ``draw``; ``title`` is for screen readers."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{path}: ends in {suffix or 'nothing'!r}; legal: {', '.join(FORMATS)}")
    try:
        if suffix == ".svg":
            replace_text(path, to_svg(picture, title))
        else:
            replace_file(path, lambda part: save_picture(picture, part, suffix[1:]))
    except OSError as error:
        reason = describe_os_error(error)
        raise InputError(f"{path}: cannot be written ({reason})") from None


def write_with_pictures(architecture: Architecture, folder: Path) -> None:
    """Write the ``architecture.json`` of a run folder, and its pictures as SVG and PNG."""
    path = RunFolder(folder).architecture
    write_architecture(architecture, path)
    for suffix in (".svg", ".png"):
        draw(architecture, path.with_suffix(suffix))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_nas.report.draw",
        description="Draw an architecture, or its search space.",
    )
    parser.add_argument(
        "architecture",
        help=f"name of a published one ({', '.join(sorted(PUBLISHED))}), run folder, or JSON file",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="file to write, which ends in .svg, .png or .pdf",
    )
    parser.add_argument(
        "--space",
        action="store_true",
        help="draw the search space, with the architecture in red",
    )
    options = parser.parse_args(arguments)
    try:
        draw(load_architecture(options.architecture), options.output, options.space)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(options.output)
    return 0


if __name__ == "__main__":
    with end_at_ctrl_c():
        sys.exit(main())
