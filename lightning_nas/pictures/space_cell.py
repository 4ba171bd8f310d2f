"""The space of cells as a picture: all that a cell could be, and in red what one of them is.

States stand one below the other. To the left of them are all the ways to a block's first input, to
the right all those to its second, and to the output; the block's menus of operations lie between.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lightning_nas.architecture import CELL_INPUTS, CELL_RULES, Cell, CellArchitecture, CellRules
from lightning_nas.pictures.draw_cell import INPUTS, TITLE, beside, node
from lightning_nas.pictures.legend import legend
from lightning_nas.pictures.menu import (
    CHOSEN_WIDTH,
    GAP,
    POSSIBLE_WIDTH,
    SIZE,
    Menu,
    Option,
    operation_options,
)
from lightning_nas.pictures.palette import FAINT, RED
from lightning_nas.pictures.picture import Box, Label, Line, Picture, Point

JOIN = (34.0, 13.0)  # of a way to combine
BAR = 18.0  # height of what a block makes
BETWEEN = 20.0  # from one state to the next
BOW = (22.0, 0.2)  # how far to the side an arrow's control points lie: always, and of its fall
SIDES = {"left": -1, "right": 1}
HINT = "red: chosen; grey: also possible. Arrows on a side choose what the operation there reads"


def layout_cell_space(architecture: CellArchitecture) -> Picture:
    """Return the picture of all cells by an architecture's rules, with its own two in red.

    Names of shapes: ``normal-input0``, ``normal-input1``, ``normal-block3`` (what the block makes),
    ``normal-output``; ``normal-block3-left-sep_conv_3x3`` for an operation of a menu and
    ``normal-block3-add`` for a combination; ``normal-edge-input0-block3-left`` and
    ``normal-edge-block3-output`` for an arrow; likewise ``reduction-``.
    """
    rules = CELL_RULES[architecture.rules]
    normal = _CellSpace(architecture.normal, rules).picture("normal")
    reduction = _CellSpace(architecture.reduction, rules).picture("reduction")
    both = beside(normal, reduction)
    return both.above(legend(set(rules.operations), both.width, (HINT,)))


class _CellSpace:
    """The shapes of one cell, without the cell's name."""

    def __init__(self, cell: Cell, rules: CellRules) -> None:
        self.cell = cell
        options = operation_options(rules.operations)
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
        self.height = states * (BAR + BETWEEN) + len(cell.blocks) * self.menu_size[1] + BAR
        self.middle = self.width / 2 + 0.75 * self._reach(self.height) + 2
        self.nodes = [*(node(state) for state in range(states)), "output"]

    def picture(self, prefix: str) -> Picture:
        """Return the shapes, their names begun with that of the cell."""
        boxes = {box.name: box for box in self._boxes()}
        lines = self._lines(boxes, f"{prefix}-edge-")
        title = Label(f"{prefix} cell", self.middle, self.height + 18, 11, "center", bold=True)
        return Picture(
            2 * self.middle,
            self.height + TITLE,
            tuple(replace(box, name=f"{prefix}-{name}") for name, box in boxes.items()),
            tuple(lines),
            labels=(title,),
        )

    def _boxes(self) -> Iterator[Box]:
        x, y = self.middle, self.height
        for state, (text, note) in enumerate(INPUTS):
            name = node(state)
            yield Box(name, name, f"{text} {note}", x, y - BAR / 2, self.width, BAR, size=SIZE)
            y -= BAR + BETWEEN
        for index, join in enumerate(self.joins):
            middle = y - self.menu_size[1] / 2
            for side, sign in SIDES.items():
                menu = self.menus[f"block{index}-{side}"]
                yield from menu.boxes(x + sign * self.width / 4, middle)
            y -= self.menu_size[1]
            yield from self._bar(join, index, x, y - BAR / 2)
            y -= BAR + BETWEEN
        yield Box("output", "end", "h[i+1] concat", x, y - BAR / 2, self.width, BAR, size=SIZE)

    def _bar(self, join: Menu, index: int, x: float, y: float) -> Iterator[Box]:
        frame, *options = join.boxes(x, y)
        yield replace(frame, width=self.width, height=BAR)
        yield from options

    def _edges(self) -> dict[tuple[str, str], bool]:
        """Return every possible arrow, and whether it is chosen."""
        edges = {}
        for index, block in enumerate(self.cell.blocks):
            for side, source in zip(SIDES, block.inputs, strict=True):
                for state in range(CELL_INPUTS + index):
                    edges[node(state), f"block{index}-{side}"] = state == source
        for state in range(CELL_INPUTS + len(self.cell.blocks)):
            edges[node(state), "output"] = state in self.cell.outputs
        return edges

    def _lines(self, boxes: Mapping[str, Box], prefix: str) -> Iterator[Line]:
        """Yield the arrows, the chosen ones on top."""
        for (start, end), chosen in sorted(self._edges().items(), key=lambda edge: edge[1]):
            points = self._bow(boxes[start], boxes[end])
            yield Line(
                f"{prefix}{start}-{end}",
                points,
                RED if chosen else FAINT,
                CHOSEN_WIDTH if chosen else POSSIBLE_WIDTH,
                curved=True,
                arrow=True,
            )

    def _bow(self, start: Box, end: Box) -> tuple[Point, ...]:
        """Return an arrow's curve, nested in those from earlier states and to later ones."""
        block, _, side = end.name.partition("-")
        source, target = self.nodes.index(start.name), self.nodes.index(block)
        _, bottom, _, top = start.extent
        a = bottom + (top - bottom) * (target - source) / (len(self.nodes) - source)
        _, bottom, _, top = end.extent
        b = top - (top - bottom) * (target - source) / (target + 1)
        sign = SIDES[side or "right"]
        edge = self.middle + sign * self.width / 2
        far = edge + sign * self._reach(a - b)
        return (edge, a), (far, a), (far, b), (edge, b)

    def _reach(self, fall: float) -> float:
        """Return how far the control points of a curve lie to the side; it goes 3/4 as far."""
        return BOW[0] + BOW[1] * fall
