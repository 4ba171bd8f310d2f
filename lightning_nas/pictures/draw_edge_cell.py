"""Where the boxes and arrows of an edge cell go: nodes down the middle, operations between them.

Edges between neighbours lie in the nodes' column, the longer ones beside it. Nothing is painted
here.
"""

from collections.abc import Iterator, Mapping, Sequence

from lightning_nas.architecture import EDGES, EdgeCellArchitecture
from lightning_nas.pictures.curves import spread
from lightning_nas.pictures.legend import legend
from lightning_nas.pictures.palette import DARK, short_name
from lightning_nas.pictures.picture import Box, Line, Picture, Point

WIDTH = 340.0
NODE, OPERATION = (76.0, 28.0), (60.0, 20.0)
MIDDLE, COLUMN = 122.0, 82.0  # of the nodes' column, and from there to the next
PITCH = 92.0  # from one node to the next
FLAT, TURN = 9.0, 38.0  # from a node to the flat part of an arrow's bend, and to its end
HINT = "a node adds what enters it"
NOTES = ("last cell", "", "", "this cell")
COLUMNS = (0, -1, 0, 2, 1, 0)  # where the operation on each edge stands, from the nodes' column


def layout_edge_cell(architecture: EdgeCellArchitecture) -> Picture:
    """Return the picture of a cell. An edge without an operation is left out.

    Names of shapes: ``node0`` to ``node3``, ``edge-0-1`` for the operation from node 0 to node 1,
    and ``node0-edge-0-1`` and ``edge-0-1-node1`` for its two arrows.
    """
    boxes = {box.name: box for box in _boxes(architecture)}
    lines = tuple(
        Line(f"{start}-{end}", points, DARK, curved=True, arrow=True)
        for (start, end), points in edge_arrows(boxes).items()
    )
    cell = Picture(WIDTH, boxes["node0"].extent[3], tuple(boxes.values()), lines)
    return cell.above(legend(set(architecture.operations) - {"none"}, WIDTH, (HINT,)))


def _boxes(architecture: EdgeCellArchitecture) -> Iterator[Box]:
    heights = node_heights(PITCH)
    yield from node_boxes(MIDDLE, heights)
    for (source, target), column, operation in zip(
        EDGES, COLUMNS, architecture.operations, strict=True
    ):
        if operation != "none":
            x, y = MIDDLE + column * COLUMN, (heights[source] + heights[target]) / 2
            name = f"edge-{source}-{target}"
            yield Box(name, operation, short_name(operation), x, y, *OPERATION)


def node_heights(pitch: float) -> list[float]:
    """Return where the centres of the nodes are, ``pitch`` apart, the last on the ground."""
    last = len(NOTES) - 1
    return [NODE[1] / 2 + (last - number) * pitch for number in range(len(NOTES))]


def node_boxes(x: float, heights: Sequence[float]) -> Iterator[Box]:
    """Yield the boxes of the nodes, one below the other."""
    for number, (note, y) in enumerate(zip(NOTES, heights, strict=True)):
        kind = "end" if note else "join"
        yield Box(f"node{number}", kind, f"node {number}", x, y, *NODE, note)


def edge_arrows(boxes: Mapping[str, Box]) -> dict[tuple[str, str], tuple[Point, ...]]:
    """Return the curves into and out of the operation on every edge that has one among ``boxes``.

    Keys are the names of the boxes at both ends.
    """
    names = [f"edge-{source}-{target}" for source, target in EDGES]
    pairs = [
        (boxes[start], boxes[end])
        for name, (source, target) in zip(names, EDGES, strict=True)
        for start, end in ((f"node{source}", name), (name, f"node{target}"))
        if name in boxes
    ]
    starts = spread(pairs, top=False)
    ends = spread([(end, start) for start, end in pairs], top=True)
    return {
        (a.name, b.name): _way(starts[a.name, b.name], ends[b.name, a.name], a.name not in names)
        for a, b in pairs
    }


def _way(start: Point, end: Point, from_node: bool) -> tuple[Point, ...]:
    """Return a curve between a node and an operation: a bend near the node, then straight.

    All bends have the same heights, so none crosses another.
    """
    if abs(start[0] - end[0]) < OPERATION[0] / 2:
        middle = (start[1] + end[1]) / 2
        return start, (start[0], middle), (end[0], middle), end
    if from_node:
        flat, corner = start[1] - FLAT, (end[0], start[1] - TURN)
        return start, (start[0], flat), (end[0], flat), corner, corner, end, end
    flat, corner = end[1] + FLAT, (start[0], end[1] + TURN)
    return start, start, corner, corner, (start[0], flat), (end[0], flat), end
