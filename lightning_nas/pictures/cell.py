"""Pictures of cell architectures: the two cells side by side, or one below the other for phones.

Graphviz (``dot``) places the blocks and routes the arrows around the blocks. This module computes
all other coordinates. In the graph a block is one node with two ports, one per operation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pygraphviz

from lightning_nas.architecture import CELL_INPUTS, Cell, CellArchitecture
from lightning_nas.pictures.curves import BEND, curves_around, x_at
from lightning_nas.pictures.menu import add_legend
from lightning_nas.pictures.palette import DARK, NEWER, OLDER, short_name
from lightning_nas.pictures.picture import Box, Label, Line, Picture, Point

BETWEEN = 44.0  # space between the two cells side by side
BELOW = 26.0  # space between the two cells of a narrow picture
NARROW = 238.0  # width of a narrow picture, if no cell is wider
NODE_SPACE, NARROW_NODE_SPACE = 0.17, 0.08  # inches between neighbours of a row
TITLE = 24.0  # space above a cell
END, CONCAT, OPERATION = (80.0, 28.0), (56.0, 19.0), (33.0, 27.0)
COMBINATIONS = {"add": (34.0, 17.0), "concat": (46.0, 17.0)}
BLOCK = (70.0, 66.0)  # two operations side by side, their combination below
PORTS = (
    '<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>'
    '<TD PORT="{}" WIDTH="{width:.0f}" HEIGHT="{height:.0f}"></TD>'
    '<TD PORT="{}" WIDTH="{width:.0f}" HEIGHT="{height:.0f}"></TD></TR></TABLE>>'
)
LIFT = 14.0  # distance that inputs move up from Graphviz's position, for their many arrows
SIDES = ("left", "right")
INPUTS = (("h[i-1]", "cell before last"), ("h[i]", "last cell"))
COLOURS = {"input0": OLDER, "input1": NEWER}
DASHES = {"input0": (4.0, 1.8)}  # distinguishes the two inputs without colours


def layout_cells(architecture: CellArchitecture, is_narrow: bool = False) -> Picture:
    """Return the picture of the two cells of an architecture.

    A narrow picture has one block in a row and the reduction cell below the normal cell. With five
    blocks it is about 240 points (320 CSS pixels) wide, and fits a phone at its own size.

    Names of shapes: ``normal-input0`` (the older input), ``normal-input1``, ``normal-block3-left``,
    ``-right``, ``-add`` (or ``-concat``), ``normal-concat``, ``normal-output``, and for arrows
    ``normal-edge-input0-block3-left``; names of the reduction cell
    begin with ``reduction-``.
    """
    cells = {"normal": architecture.normal, "reduction": architecture.reduction}
    operations = {o for cell in cells.values() for block in cell.blocks for o in block.operations}
    normal, reduction = (_layout_cell(cell, name, is_narrow) for name, cell in cells.items())
    if not is_narrow:
        return add_legend(normal.put_beside(reduction, BETWEEN), operations)
    width = max(NARROW, normal.width, reduction.width)
    upper = normal.centre_on(width, normal.height + BELOW)
    return add_legend(upper.stack_on(reduction.centre_on(width)), operations)


def _layout_cell(cell: Cell, prefix: str, is_narrow: bool) -> Picture:
    """Return the picture of one cell.

    The first layout shows from which side the arrow of each operation arrives. The second layout
    sorts the two operations of a block by these sides, to avoid crossings.
    """
    sides = [SIDES] * len(cell.blocks)
    graph = _layout_graph(cell, sides, is_narrow)
    for index, block in enumerate(cell.blocks):
        left, right = (
            _find_arrival(graph, state_name(state), f"block{index}", side)
            for side, state in zip(SIDES, block.inputs, strict=True)
        )
        sides[index] = SIDES if left <= right else ("right", "left")
    graph = _layout_graph(cell, sides, is_narrow)
    centres = {str(node): _parse_points(node.attr["pos"])[0] for node in graph.nodes()}
    boxes = {box.name: box for box in _place_boxes(cell, sides, centres)}
    width, height = _parse_points(graph.graph_attr["bb"])[-1][0], boxes["input0"].extent.top
    lines = (*_draw_arrows(cell, graph, boxes), *_draw_inner_arrows(cell, boxes))
    return Picture(
        width,
        height + TITLE,
        tuple(replace(box, name=f"{prefix}-{box.name}") for box in boxes.values()),
        tuple(replace(line, name=f"{prefix}-edge-{line.name}") for line in lines),
        labels=(title_label(f"{prefix} cell", width / 2, height),),
    )


def title_label(text: str, x: float, height: float) -> Label:
    """Return the title of a cell of the given height."""
    return Label(text, x, height + 18, 11, "center", is_bold=True)


def _find_arrival(graph: pygraphviz.AGraph, source: str, target: str, port: str) -> float:
    """Return the horizontal position of an arrow just above the target block."""
    spline = _parse_points(graph.get_edge(source, target, port).attr["pos"])
    return x_at(spline, spline[-1][1] + BEND)


def state_name(state: int) -> str:
    """Return the name of a state of a cell: an input or a block."""
    return f"input{state}" if state < CELL_INPUTS else f"block{state - CELL_INPUTS}"


def _list_edges(cell: Cell) -> Iterator[tuple[str, str, str]]:
    """Yield the source node, the target node and the target port of each arrow."""
    for index, block in enumerate(cell.blocks):
        for side, state in zip(SIDES, block.inputs, strict=True):
            yield state_name(state), f"block{index}", side
    for state in cell.outputs:
        yield state_name(state), "concat", ""
    yield "concat", "output", ""


def _place_boxes(
    cell: Cell, sides: Sequence[Sequence[str]], centres: dict[str, Point]
) -> Iterator[Box]:
    for state, (text, note) in enumerate(INPUTS):
        x, y = centres[f"input{state}"]
        yield Box(f"input{state}", f"input{state}", text, x, y + LIFT, *END, note)
    for index, block in enumerate(cell.blocks):
        x, y = centres[f"block{index}"]
        size = COMBINATIONS[block.combination]
        top, bottom = y + (BLOCK[1] - OPERATION[1]) / 2, y - (BLOCK[1] - size[1]) / 2
        for side, operation in zip(SIDES, block.operations, strict=True):
            place = x + (sides[index].index(side) - 0.5) * BLOCK[0] / 2
            text = short_name(operation).replace(" ", "\n", 1)
            yield Box(f"block{index}-{side}", operation, text, place, top, *OPERATION)
        name = f"block{index}-{block.combination}"
        yield Box(name, "join", block.combination, x, bottom, *size)
    yield Box("concat", "join", "concat", *centres["concat"], *CONCAT)
    yield Box("output", "end", "h[i+1]", *centres["output"], *END, "this cell")


def _draw_arrows(cell: Cell, graph: pygraphviz.AGraph, boxes: dict[str, Box]) -> Iterator[Line]:
    """Yield the arrows between inputs, blocks and output."""
    combination_names = {
        f"block{i}": f"block{i}-{b.combination}" for i, b in enumerate(cell.blocks)
    }
    splines = {}
    for source, target, port in _list_edges(cell):
        end = f"{target}-{port}" if port else target
        pos = graph.get_edge(source, target, port).attr["pos"]
        splines[combination_names.get(source, source), end] = _parse_points(pos)
    for (start, end), points in curves_around(boxes, splines).items():
        colour, dash = COLOURS.get(start, DARK), DASHES.get(start)
        yield Line(f"{start}-{end}", points, colour, is_curved=True, has_arrow=True, dash=dash)


def _draw_inner_arrows(cell: Cell, boxes: dict[str, Box]) -> Iterator[Line]:
    """Yield the arrows from operations to the combination of their block."""
    for index, block in enumerate(cell.blocks):
        join = boxes[f"block{index}-{block.combination}"]
        for side in SIDES:
            box = boxes[f"block{index}-{side}"]
            tip = join.x + (box.x - join.x) * 0.35, join.extent.top
            points = (box.x, box.extent.bottom), tip
            yield Line(f"{box.name}-{join.name}", points, DARK, has_arrow=True)


# ---- Graphviz -----------------------------------------------------------------------------------


def _layout_graph(cell: Cell, sides: Sequence[Sequence[str]], is_narrow: bool) -> pygraphviz.AGraph:
    """Return the graph of a cell after layout; ``sides`` is the order of ports in each block."""
    space = NARROW_NODE_SPACE if is_narrow else NODE_SPACE
    graph = pygraphviz.AGraph(directed=True, strict=False, nodesep=space, ranksep=0.5)
    # No labels: for a text Graphviz looks for a font, and fontconfig may write warnings to stderr.
    graph.node_attr.update(shape="box", fixedsize="true", label="")
    graph.edge_attr.update(dir="none", tailport="s", headport="n")
    for name, size in (("input0", END), ("input1", END), ("concat", CONCAT), ("output", END)):
        graph.add_node(name, width=size[0] / 72, height=size[1] / 72)  # inches
    for index, (left, right) in enumerate(sides):
        label = PORTS.format(left, right, width=BLOCK[0] / 2, height=BLOCK[1])
        graph.add_node(f"block{index}", shape="plain", fixedsize="false", label=label)
    graph.add_subgraph(["input0", "input1"], rank="source")
    graph.add_edge("input0", "input1", style="invis")  # keeps the older input on the left
    for source, target, port in _list_edges(cell):
        graph.add_edge(source, target, key=port, headport=f"{port}:n" if port else "n")
    if is_narrow:
        for index in range(1, len(cell.blocks)):  # an arrow that nobody sees makes a row for each
            graph.add_edge(f"block{index - 1}", f"block{index}", key="row", style="invis")
    graph.layout("dot")
    return graph


def _parse_points(text: str) -> tuple[Point, ...]:
    numbers = [float(number) for number in text.replace("\\\n", "").replace(",", " ").split()]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
