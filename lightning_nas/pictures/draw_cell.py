"""Where the boxes and arrows of a cell architecture go: normal and reduction cell side by side.

Graphviz's ``dot`` places the blocks and finds ways around them; the rest is geometry. Nothing is
painted here. In a Graphviz graph a block is one node, with a port for each of its two operations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pygraphviz

from lightning_nas.architecture import CELL_INPUTS, Cell, CellArchitecture
from lightning_nas.pictures.curves import BEND, curves_around, x_at
from lightning_nas.pictures.legend import legend
from lightning_nas.pictures.palette import DARK, NEWER, OLDER, short_name
from lightning_nas.pictures.picture import Box, Label, Line, Picture, Point

BETWEEN = 44.0  # the two cells
TITLE = 24.0  # space above a cell
END, CONCAT, OPERATION = (80.0, 28.0), (56.0, 19.0), (33.0, 27.0)
COMBINATIONS = {"add": (34.0, 17.0), "concat": (46.0, 17.0)}
BLOCK = (70.0, 66.0)  # two operations side by side, their combination below
PORTS = (
    '<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>'
    '<TD PORT="{}" WIDTH="{width:.0f}" HEIGHT="{height:.0f}"></TD>'
    '<TD PORT="{}" WIDTH="{width:.0f}" HEIGHT="{height:.0f}"></TD></TR></TABLE>>'
)
LIFT = 14.0  # inputs have many readers, and their arrows need more room than others
LEFT_RIGHT = ("left", "right")
INPUTS = (("h[i-1]", "cell before last"), ("h[i]", "last cell"))
COLOURS = {"input0": OLDER, "input1": NEWER}
DASHES = {"input0": (4.0, 1.8)}  # the two inputs are told apart without colours, too


def layout_cells(architecture: CellArchitecture) -> Picture:
    """Return the picture of an architecture's two cells.

    Names of shapes: ``normal-input0`` (the older), ``normal-input1``, ``normal-block3-left``,
    ``-right``, ``-add`` (or ``-concat``), ``normal-concat``, ``normal-output``, and for arrows
    ``normal-edge-input0-block3-left``; likewise ``reduction-``.
    """
    cells = {"normal": architecture.normal, "reduction": architecture.reduction}
    operations = {o for cell in cells.values() for block in cell.blocks for o in block.operations}
    both = beside(*(_layout(cell, name) for name, cell in cells.items()))
    return both.above(legend(operations, both.width))


def beside(left: Picture, right: Picture) -> Picture:
    """Return the pictures of two cells side by side, their upper edges in line."""
    height = max(left.height, right.height)
    a = left.moved(0, height - left.height)
    b = right.moved(left.width + BETWEEN, height - right.height)
    width = left.width + BETWEEN + right.width
    return Picture(width, height, a.boxes + b.boxes, a.lines + b.lines, labels=a.labels + b.labels)


# ---- one cell -----------------------------------------------------------------------------------


def _layout(cell: Cell, prefix: str) -> Picture:
    """Return the picture of one cell, its lower left corner at the origin.

    The first pass says from which side each operation's input comes, the second puts the operations
    of a block in that order, which saves crossings.
    """
    sides = [LEFT_RIGHT] * len(cell.blocks)
    graph = _graph(cell, sides)
    for index, block in enumerate(cell.blocks):
        left, right = (
            _arrival(graph, node(state), f"block{index}", side)
            for side, state in zip(LEFT_RIGHT, block.inputs, strict=True)
        )
        sides[index] = LEFT_RIGHT if left <= right else ("right", "left")
    graph = _graph(cell, sides)
    boxes = {box.name: box for box in _boxes(cell, sides, _centres(graph))}
    width, height = _points(graph.graph_attr["bb"])[-1][0], boxes["input0"].extent[3]
    lines = (*_arrows(cell, graph, boxes), *_inner_arrows(cell, boxes))
    return Picture(
        width,
        height + TITLE,
        tuple(replace(box, name=f"{prefix}-{box.name}") for box in boxes.values()),
        tuple(replace(line, name=f"{prefix}-edge-{line.name}") for line in lines),
        labels=(Label(f"{prefix} cell", width / 2, height + 18, 11, "center", bold=True),),
    )


def _arrival(graph: pygraphviz.AGraph, source: str, target: str, port: str) -> float:
    """Return where an arrow comes from, a little above the block that it enters."""
    spline = _points(graph.get_edge(source, target, port).attr["pos"])
    return x_at(spline, spline[-1][1] + BEND)


def node(state: int) -> str:
    """Return what is drawn for a state, an input or a block."""
    return f"input{state}" if state < CELL_INPUTS else f"block{state - CELL_INPUTS}"


def _edges(cell: Cell) -> Iterator[tuple[str, str, str]]:
    """Yield the node that each arrow leaves, the node that it enters, and the operation there."""
    for index, block in enumerate(cell.blocks):
        for side, state in zip(LEFT_RIGHT, block.inputs, strict=True):
            yield node(state), f"block{index}", side
    for state in cell.outputs:
        yield node(state), "concat", ""
    yield "concat", "output", ""


def _boxes(cell: Cell, sides: Sequence[Sequence[str]], centres: dict[str, Point]) -> Iterator[Box]:
    for state, (text, note) in enumerate(INPUTS):
        x, y = centres[f"input{state}"]
        yield Box(f"input{state}", f"input{state}", text, x, y + LIFT, *END, note)
    for index, block in enumerate(cell.blocks):
        x, y = centres[f"block{index}"]
        size = COMBINATIONS[block.combination]
        top, bottom = y + (BLOCK[1] - OPERATION[1]) / 2, y - (BLOCK[1] - size[1]) / 2
        for side, operation in zip(LEFT_RIGHT, block.operations, strict=True):
            place = x + (sides[index].index(side) - 0.5) * BLOCK[0] / 2
            name = f"block{index}-{side}"
            text = short_name(operation).replace(" ", "\n")
            yield Box(name, operation, text, place, top, *OPERATION)
        name = f"block{index}-{block.combination}"
        yield Box(name, "join", block.combination, x, bottom, *size)
    yield Box("concat", "join", "concat", *centres["concat"], *CONCAT)
    yield Box("output", "end", "h[i+1]", *centres["output"], *END, "this cell")


def _arrows(cell: Cell, graph: pygraphviz.AGraph, boxes: dict[str, Box]) -> Iterator[Line]:
    """Yield the arrows between inputs, blocks and output, those of one source side by side."""
    feet = {f"block{i}": f"block{i}-{b.combination}" for i, b in enumerate(cell.blocks)}
    edges = {}
    for source, target, port in _edges(cell):
        start = feet.get(source, source)
        end = f"{target}-{port}" if port else target
        edges[start, end] = _points(graph.get_edge(source, target, port).attr["pos"])
    for (start, end), points in curves_around(boxes, edges).items():
        colour, dash = COLOURS.get(start, DARK), DASHES.get(start)
        yield Line(f"{start}-{end}", points, colour, curved=True, arrow=True, dash=dash)


def _inner_arrows(cell: Cell, boxes: dict[str, Box]) -> Iterator[Line]:
    """Yield the arrows from operations to the combination of their block."""
    for index, block in enumerate(cell.blocks):
        join = boxes[f"block{index}-{block.combination}"]
        for side in LEFT_RIGHT:
            box = boxes[f"block{index}-{side}"]
            tip = join.x + (box.x - join.x) * 0.35, join.extent[3]
            yield Line(f"{box.name}-{join.name}", ((box.x, box.extent[1]), tip), DARK, arrow=True)


# ---- Graphviz -----------------------------------------------------------------------------------


def _graph(cell: Cell, sides: Sequence[Sequence[str]]) -> pygraphviz.AGraph:
    """Return the cell with coordinates, the operations of its blocks in the order of ``sides``."""
    graph = pygraphviz.AGraph(directed=True, strict=False, nodesep=0.17, ranksep=0.5)
    # without text Graphviz never looks for a font, on which fontconfig may comment on stderr
    graph.node_attr.update(shape="box", fixedsize="true", label="")
    graph.edge_attr.update(dir="none", tailport="s", headport="n")
    for name, size in (("input0", END), ("input1", END), ("concat", CONCAT), ("output", END)):
        graph.add_node(name, **_inches(size))
    for index, (left, right) in enumerate(sides):
        label = PORTS.format(left, right, width=BLOCK[0] / 2, height=BLOCK[1])
        graph.add_node(f"block{index}", shape="plain", fixedsize="false", label=label)
    graph.add_subgraph(["input0", "input1"], rank="source")
    graph.add_edge("input0", "input1", style="invis")  # the older to the left
    for source, target, port in _edges(cell):
        graph.add_edge(source, target, key=port, headport=f"{port}:n" if port else "n")
    graph.layout("dot")
    return graph


def _inches(size: Point) -> dict[str, float]:
    return {"width": size[0] / 72, "height": size[1] / 72}


def _centres(graph: pygraphviz.AGraph) -> dict[str, Point]:
    return {str(node): _points(node.attr["pos"])[0] for node in graph.nodes()}


def _points(text: str) -> tuple[Point, ...]:
    numbers = [float(number) for number in text.replace("\\\n", "").replace(",", " ").split()]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
