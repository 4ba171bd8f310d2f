"""The space of edge cells as a picture: every operation on every edge, and one cell in red."""

from collections.abc import Iterator, Mapping

from lightning_nas.architecture import EDGE_OPERATIONS, EDGES, EdgeCellArchitecture
from lightning_nas.pictures.draw_edge_cell import (
    COLUMNS,
    HINT,
    NODE,
    edge_arrows,
    node_boxes,
    node_heights,
)
from lightning_nas.pictures.legend import legend
from lightning_nas.pictures.menu import CHOSEN_WIDTH, POSSIBLE_WIDTH, Menu, operation_options
from lightning_nas.pictures.palette import FAINT, RED
from lightning_nas.pictures.picture import Box, Line, Picture

BETWEEN = 22.0  # a node and a menu
COLUMN = 70.0  # from one column to the next
HINTS = ("red: chosen; grey: also possible", HINT)


def layout_edge_cell_space(architecture: EdgeCellArchitecture) -> Picture:
    """Return the picture of all cells, with this one in red.

    Names of shapes are those of ``layout_edge_cell``, for all six edges: ``edge-0-1`` is the frame
    of a menu, ``edge-0-1-conv_3x3`` an operation in it. The arrows of an edge without an operation
    stay grey.
    """
    chosen = dict(zip(EDGES, architecture.operations, strict=True))
    menus = {
        edge: Menu(f"edge-{edge[0]}-{edge[1]}", operation_options(EDGE_OPERATIONS), operation)
        for edge, operation in chosen.items()
    }
    width, height = menus[EDGES[0]].size
    middle = width / 2 - min(COLUMNS) * COLUMN
    heights = node_heights(NODE[1] + height + 2 * BETWEEN)
    frames, options = [], []
    for (edge, menu), column in zip(menus.items(), COLUMNS, strict=True):
        y = (heights[edge[0]] + heights[edge[1]]) / 2
        frame, *rest = menu.boxes(middle + column * COLUMN, y)
        frames.append(frame)
        options += rest
    boxes = {box.name: box for box in (*node_boxes(middle, heights), *frames)}
    red = {menus[edge].name for edge, operation in chosen.items() if operation != "none"}
    cell = Picture(
        middle + max(COLUMNS) * COLUMN + width / 2,
        boxes["node0"].extent[3],
        (*boxes.values(), *options),
        tuple(_lines(boxes, red)),
    )
    return cell.above(legend(set(EDGE_OPERATIONS) - {"none"}, cell.width, HINTS))


def _lines(boxes: Mapping[str, Box], red: set[str]) -> Iterator[Line]:
    for (start, end), points in edge_arrows(boxes).items():
        colour, width = (RED, CHOSEN_WIDTH) if {start, end} & red else (FAINT, POSSIBLE_WIDTH)
        yield Line(f"{start}-{end}", points, colour, width, curved=True, arrow=True)
