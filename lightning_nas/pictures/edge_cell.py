"""Pictures of edge cells and of their search space: nodes in a column, operations between them.

Operations on edges between neighbours lie in the column of the nodes, those on longer edges beside
the column.
"""

from collections.abc import Mapping

from lightning_nas.architecture import EDGE_OPERATIONS, EDGES, EdgeCellArchitecture
from lightning_nas.pictures.curves import attach
from lightning_nas.pictures.menu import (
    CHOICE_HINT,
    Menu,
    add_legend,
    choice_line,
    list_options,
)
from lightning_nas.pictures.palette import DARK, short_name
from lightning_nas.pictures.picture import Box, Line, Picture, Point

WIDTH = 234.0  # fits a phone
NODE, OPERATION = (60.0, 28.0), (48.0, 20.0)
MIDDLE, COLUMN = 86.0, 60.0  # of the column of nodes, and from one column to the next
PITCH = 92.0  # from one node to the next
SPACE_COLUMN, BETWEEN = 70.0, 22.0  # in a search space: between columns; between node and menu
FLAT, TURN = 9.0, 38.0  # from a node to the flat part of an arrow's bend, and to the bend's end
HINT = "a node adds its inputs"
NOTES = ("last cell", "", "", "this cell")  # below the names of nodes
COLUMNS = (0, -1, 0, 2, 1, 0)  # column of the operation on each edge; 0 is the column of the nodes


def layout_edge_cell(architecture: EdgeCellArchitecture, is_space: bool = False) -> Picture:
    """Return the picture of a cell, or of the space of all cells with the given cell in red.

    Names of shapes: ``node0`` to ``node3``, ``edge-0-1`` for the operation from node 0 to node 1,
    and ``node0-edge-0-1`` and ``edge-0-1-node1`` for its two arrows. In a search space,
    ``edge-0-1`` is the frame of a menu and ``edge-0-1-conv_3x3`` an operation in it. An edge
    without an operation is left out; in a search space its arrows are grey.
    """
    width, column, middle, pitch = WIDTH, COLUMN, MIDDLE, PITCH
    menus = {
        edge: Menu(_name(edge), list_options(EDGE_OPERATIONS), operation)
        for edge, operation in zip(EDGES, architecture.operations, strict=True)
    }
    if is_space:
        menu_width, menu_height = menus[EDGES[0]].size
        column, pitch = SPACE_COLUMN, NODE[1] + menu_height + 2 * BETWEEN
        middle = menu_width / 2 - min(COLUMNS) * column
        width = middle + max(COLUMNS) * column + menu_width / 2
    heights = [NODE[1] / 2 + (len(NOTES) - 1 - node) * pitch for node in range(len(NOTES))]
    boxes = {
        f"node{i}": Box(f"node{i}", "end" if note else "join", f"node {i}", middle, y, *NODE, note)
        for i, (note, y) in enumerate(zip(NOTES, heights, strict=True))
    }
    options: list[Box] = []
    chosen = {menu.name for menu in menus.values() if menu.chosen != "none"}
    for (edge, menu), position in zip(menus.items(), COLUMNS, strict=True):
        x, y = middle + position * column, (heights[edge[0]] + heights[edge[1]]) / 2
        if is_space:
            boxes[menu.name], *more = menu.boxes(x, y)
            options += more
        elif menu.name in chosen:
            text = short_name(menu.chosen)
            boxes[menu.name] = Box(menu.name, menu.chosen, text, x, y, *OPERATION)
    lines = (
        choice_line(f"{start}-{end}", points, bool({start, end} & chosen))
        if is_space
        else Line(f"{start}-{end}", points, DARK, is_curved=True, has_arrow=True)
        for (start, end), points in _arrows(boxes).items()
    )
    cell = Picture(width, boxes["node0"].extent.top, (*boxes.values(), *options), tuple(lines))
    operations = EDGE_OPERATIONS if is_space else architecture.operations
    return add_legend(cell, {*operations} - {"none"}, [CHOICE_HINT] * is_space + [HINT])


def _name(edge: tuple[int, int]) -> str:
    return f"edge-{edge[0]}-{edge[1]}"


def _arrows(boxes: Mapping[str, Box]) -> dict[tuple[str, str], tuple[Point, ...]]:
    """Return the curves into and out of each operation, by the names of the boxes at both ends."""
    names = [_name(edge) for edge in EDGES]
    pairs = [
        (boxes[start], boxes[end])
        for name, (source, target) in zip(names, EDGES, strict=True)
        for start, end in ((f"node{source}", name), (name, f"node{target}"))
        if name in boxes
    ]
    starts, ends = attach(pairs)
    return {
        (a.name, b.name): _curve(starts[a.name, b.name], ends[b.name, a.name], a.name not in names)
        for a, b in pairs
    }


def _curve(start: Point, end: Point, leaves_node: bool) -> tuple[Point, ...]:
    """Return a curve between a node and an operation: a bend near the node, then a straight line.

    All bends have the same heights, so no two cross.
    """
    if abs(start[0] - end[0]) < OPERATION[0] / 2:
        middle = (start[1] + end[1]) / 2
        return start, (start[0], middle), (end[0], middle), end
    if leaves_node:
        flat, corner = start[1] - FLAT, (end[0], start[1] - TURN)
        return start, (start[0], flat), (end[0], flat), corner, corner, end, end
    flat, corner = end[1] + FLAT, (start[0], end[1] + TURN)
    return start, start, corner, corner, (start[0], flat), (end[0], flat), end
