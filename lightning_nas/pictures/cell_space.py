"""Pictures of search spaces of cells: all options, with one architecture in red.

States are stacked. Arrows to the left of the column are the options for the first input of a block;
arrows to the right are those for the second input and for the output.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lightning_nas.architecture import CELL_INPUTS, CELL_RULES, Cell, CellArchitecture, CellRules
from lightning_nas.pictures.cell import BETWEEN as BETWEEN_CELLS
from lightning_nas.pictures.cell import INPUTS, TITLE, state_name, title_label
from lightning_nas.pictures.menu import (
    CHOICE_HINT,
    GAP,
    SIZE,
    Menu,
    Option,
    add_legend,
    choice_line,
    list_options,
)
from lightning_nas.pictures.picture import Box, Line, Picture, Point

JOIN = (34.0, 13.0)  # size of the box of a combination
BAR = 18.0  # height of the box of a state
PORT = 22.0  # height of the box where the arrows of an input end, above the menu of its operation
BETWEEN = 20.0  # from one state to the next
BOW = (22.0, 0.2)  # distance of an arrow's control points to the side: constant, share of height
SIDES = {"left": -1, "right": 1}
HINT = "arrows on the left lead to the left input, arrows on the right to the right input"


def layout_cell_space(architecture: CellArchitecture) -> Picture:
    """Return the picture of all cells that an architecture's rules allow, with its cells in red.

    Names of shapes: ``normal-input0``, ``normal-input1``, ``normal-block3`` (the output of the
    block), ``normal-output``; ``normal-block3-left-input`` for the box where the arrows of an input
    end, ``normal-block3-left-sep_conv_3x3`` for an operation of a menu and
    ``normal-block3-add`` for a combination; ``normal-edge-input0-block3-left`` and
    ``normal-edge-block3-output`` for an arrow; likewise ``reduction-``.
    """
    rules = CELL_RULES[architecture.rules]
    normal = _CellSpace(architecture.normal, rules).layout("normal")
    reduction = _CellSpace(architecture.reduction, rules).layout("reduction")
    return add_legend(
        normal.put_beside(reduction, BETWEEN_CELLS), set(rules.operations), (CHOICE_HINT, HINT)
    )


class _CellSpace:
    """Shapes of one cell."""

    def __init__(self, cell: Cell, rules: CellRules) -> None:
        self.cell = cell
        options = list_options(rules.operations)
        self.menus = {
            f"block{index}-{side}": Menu(f"block{index}-{side}", options, operation)
            for index, block in enumerate(cell.blocks)
            for side, operation in zip(SIDES, block.operations, strict=True)
        }
        joins = [Option(name, "join", name) for name in rules.combinations]
        self.joins = [
            Menu(f"block{i}", joins, block.combination, JOIN, len(joins))
            for i, block in enumerate(cell.blocks)
        ]
        self.menu_size = next(iter(self.menus.values())).size
        self.width = 2 * self.menu_size[0] + GAP
        states = CELL_INPUTS + len(cell.blocks)
        block = PORT + self.menu_size[1]  # above the bar of its output
        self.height = states * (BAR + BETWEEN) + len(cell.blocks) * block + BAR
        self.middle = self.width / 2 + 0.75 * _reach(self.height) + 2
        self.nodes = [*(state_name(state) for state in range(states)), "output"]

    def layout(self, prefix: str) -> Picture:
        boxes = {box.name: box for box in self._boxes()}
        return Picture(
            2 * self.middle,
            self.height + TITLE,
            tuple(replace(box, name=f"{prefix}-{name}") for name, box in boxes.items()),
            tuple(self._lines(boxes, f"{prefix}-edge-")),
            labels=(title_label(f"{prefix} cell", self.middle, self.height),),
        )

    def _boxes(self) -> Iterator[Box]:
        x, y = self.middle, self.height
        for state, (text, note) in enumerate(INPUTS):
            name = state_name(state)
            yield Box(name, name, f"{text} {note}", x, y - BAR / 2, self.width, BAR, size=SIZE)
            y -= BAR + BETWEEN
        for index, join in enumerate(self.joins):
            for side, sign in SIDES.items():
                menu = self.menus[f"block{index}-{side}"]
                width, text = self.menu_size[0], f"{side} input"
                place = x + sign * self.width / 4, y - PORT / 2
                yield Box(f"{menu.name}-input", "frame", text, *place, width, PORT, size=SIZE)
            y -= PORT
            for side, sign in SIDES.items():
                menu = self.menus[f"block{index}-{side}"]
                yield from menu.boxes(x + sign * self.width / 4, y - self.menu_size[1] / 2)
            y -= self.menu_size[1]
            frame, *options = join.boxes(x, y - BAR / 2)
            yield replace(frame, width=self.width, height=BAR)
            yield from options
            y -= BAR + BETWEEN
        yield Box("output", "end", "h[i+1] concat", x, y - BAR / 2, self.width, BAR, size=SIZE)

    def _edges(self) -> dict[tuple[str, str], bool]:
        """Return for every possible arrow whether it is chosen."""
        edges = {}
        for index, block in enumerate(self.cell.blocks):
            for side, source in zip(SIDES, block.inputs, strict=True):
                for state in range(CELL_INPUTS + index):
                    edges[state_name(state), f"block{index}-{side}"] = state == source
        for state in range(CELL_INPUTS + len(self.cell.blocks)):
            edges[state_name(state), "output"] = state in self.cell.outputs
        return edges

    def _lines(self, boxes: Mapping[str, Box], prefix: str) -> Iterator[Line]:
        """Yield the arrows, the chosen ones last, on top of the others."""
        for (start, end), is_chosen in sorted(self._edges().items(), key=lambda edge: edge[1]):
            points = self._bow(boxes[start], boxes[end if end == "output" else f"{end}-input"])
            yield choice_line(f"{prefix}{start}-{end}", points, is_chosen)

    def _bow(self, start: Box, end: Box) -> tuple[Point, ...]:
        """Return the curve of an arrow. Arrows at one box are nested, so they do not cross."""
        block, *side = end.name.removesuffix("-input").split("-")
        source, target = self.nodes.index(start.name), self.nodes.index(block)
        _, bottom, _, top = start.extent
        a = bottom + (top - bottom) * (target - source) / (len(self.nodes) - source)
        _, bottom, _, top = end.extent
        b = top - (top - bottom) * (target - source) / (target + 1)
        sign = SIDES[side[0] if side else "right"]
        edge = self.middle + sign * self.width / 2
        far = edge + sign * _reach(a - b)
        return (edge, a), (far, a), (far, b), (edge, b)


def _reach(height: float) -> float:
    """Return the distance of a curve's control points to the side; the curve reaches 3/4 of it."""
    return BOW[0] + BOW[1] * height
