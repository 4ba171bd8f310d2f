"""Where the boxes and arrows of an edge cell go: nodes down the middle, operations between them.

Edges between neighbours lie in the nodes' column, the longer ones beside it. Nothing is painted
here.
"""

from collections.abc import Iterator, Mapping

from lightning_nas.architecture import EDGES, EdgeCellArchitecture
from lightning_nas.report.curves import free_curve, spread
from lightning_nas.report.picture import (
    DARK,
    QUIET,
    Box,
    Label,
    Line,
    Picture,
    legend,
    legend_height,
    short_name,
)

WIDTH = 340.0
NODE, OPERATION = (76.0, 28.0), (60.0, 20.0)
MIDDLE, COLUMN = 122.0, 82.0  # of the nodes' column, and from there to the next
PITCH = 92.0  # from one node to the next
HINT, BELOW = 22.0, 18.0  # the line under the cell, and the space around it
NOTES = ("last cell", "", "", "this cell")
COLUMNS = (0, -1, 0, 2, 1, 0)  # where the operation on each edge stands, from the nodes' column


def layout_edge_cell(architecture: EdgeCellArchitecture) -> Picture:
    """Return the picture of a cell. An edge without an operation is left out.

    Names of shapes: ``node0`` to ``node3``, ``edge-0-1`` for the operation from node 0 to node 1,
    and ``node0-edge-0-1`` and ``edge-0-1-node1`` for its two arrows.
    """
    operations = set(architecture.operations) - {"none"}
    foot = legend_height(operations, WIDTH) + HINT + BELOW
    boxes = {box.name: box for box in _boxes(architecture, foot)}
    entries, labels = legend(operations, WIDTH, foot - HINT - BELOW)
    hint = Label(
        "a node adds what enters it", WIDTH / 2, foot - BELOW - 4, align="center", colour=QUIET
    )
    return Picture(
        WIDTH,
        boxes["node0"].extent[3],
        (*boxes.values(), *entries),
        tuple(_arrows(boxes)),
        labels=(hint, *labels),
    )


def _boxes(architecture: EdgeCellArchitecture, foot: float) -> Iterator[Box]:
    last = len(NOTES) - 1
    heights = [foot + NODE[1] / 2 + (last - node) * PITCH for node in range(len(NOTES))]
    for node, note in enumerate(NOTES):
        kind = "end" if note else "join"
        yield Box(f"node{node}", kind, f"node {node}", MIDDLE, heights[node], *NODE, note)
    for (source, target), column, operation in zip(
        EDGES, COLUMNS, architecture.operations, strict=True
    ):
        if operation != "none":
            x, y = MIDDLE + column * COLUMN, (heights[source] + heights[target]) / 2
            name = f"edge-{source}-{target}"
            yield Box(name, operation, short_name(operation), x, y, *OPERATION)


def _arrows(boxes: Mapping[str, Box]) -> Iterator[Line]:
    """Yield the arrows into and out of every operation."""
    ends = []
    for source, target in EDGES:
        name = f"edge-{source}-{target}"
        if name in boxes:
            ends += [(boxes[f"node{source}"], boxes[name]), (boxes[name], boxes[f"node{target}"])]
    starts = spread(ends, top=False)
    tips = spread([(end, start) for start, end in ends], top=True)
    for start, end in ends:
        others = [box for box in boxes.values() if box not in (start, end)]
        a, b = starts[start.name, end.name], tips[end.name, start.name]
        points = free_curve(a, b, (a, a, b, b), others)
        yield Line(f"{start.name}-{end.name}", points, DARK, curved=True, arrow=True)
