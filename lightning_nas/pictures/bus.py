"""Layout of networks that are given layer by layer: a column of rows, and a bus for the skips.

Every output that a distant row reads has a vertical lane to the right of the column; every row that
reads has a horizontal rail to the farthest lane that it needs. A dot connects a lane and a rail;
without a dot they are not connected.

In the picture of a search space, rows hold menus, and there is a lane or rail for everything that
could be read: a ring marks a possible connection, a red dot a chosen one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from lightning_nas.pictures.menu import (
    CHOICE_HINT,
    POSSIBLE_WIDTH,
    Menu,
    add_legend,
    hints_width,
)
from lightning_nas.pictures.palette import DARK, FAINT, QUIET, RED
from lightning_nas.pictures.picture import Box, Dot, Label, Line, Picture, Point, text_width

T = TypeVar("T")
BOX = (62.0, 19.0)  # minimum size: a box is as wide as its text needs
PITCH = 30.0  # from one row to the next
LANE = 13.0  # from one lane to the next
FIRST_LANE = 30.0  # from the column to the nearest lane
NUMBERS, STAGES = 24.0, 72.0  # space to the left of the column
PORT = 4.0  # rails enter a box this far above its middle, lanes leave it below
BETWEEN = 8.0  # between the menus of a row
HEADING = 14.0  # height of the headings of menus
PLAIN = {"end", "pooling", "frame", "number"}  # kinds of boxes that need no legend
# Colour-blind readers can distinguish neighbouring lanes. After Paul Tol's "bright" and "muted".
LANE_COLOURS = ("#4477AA", "#CC6677", "#117733", "#AA7700", "#882255", "#008B99")


@dataclass(frozen=True)
class Row:
    """One row of the column.

    Args:
        name: Name of the box.
        kind: Kind of the box: an operation, or one of ``PLAIN``.
        text: Text in the box.
        key: Part of the names of the rail and of the dots. A number stands beside the box.
        source: Number of the row's output; None if no other row can read the output.
        reads: Numbers of the outputs that the row reads from the bus.
        follows: Whether the row reads the row above.
        stage: Heading to the left of the box, and a line below the heading.
        menus: Menus in the box instead of a text, for a search space.
        may_read: Numbers of the outputs that the row could read from the bus, for a search space.
    """

    name: str
    kind: str
    text: str
    key: str = ""
    source: int | None = None
    reads: tuple[int, ...] = ()
    follows: bool = True
    stage: tuple[str, str] | None = None
    menus: tuple[Menu, ...] = ()
    may_read: tuple[int, ...] = ()

    @property
    def readable(self) -> tuple[int, ...]:
        """Numbers of the outputs that need a lane."""
        return self.may_read or self.reads


class Bus:
    """Column of rows with a bus: positions of rows and lanes, and the shapes that follow from them.

    Args:
        rows: Rows from top to bottom.
        hints: Lines of text below the column.
        dot_hint: Meaning of a dot; shown if there are dots.
        is_space: Whether the picture is that of a search space.
        headings: Headings above the menus of a row.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        hints: Sequence[str],
        dot_hint: str,
        is_space: bool = False,
        headings: Sequence[str] = (),
    ) -> None:
        self.rows, self.is_space, self.headings = rows, is_space, headings
        sources = sorted({source for row in rows for source in row.readable}, reverse=True)
        self.hints = [CHOICE_HINT] * is_space + [*hints] + [dot_hint] * bool(sources)
        texts = max(text_width(row.text, 9) for row in rows)
        menus = max(sum(menu.size[0] + BETWEEN for menu in row.menus) for row in rows) - BETWEEN
        self.column_width = max(BOX[0], texts + 12, menus)
        self.margin = NUMBERS + STAGES * any(row.stage for row in rows)
        bus = FIRST_LANE + LANE * (len(sources) - 1) + 10 if sources else NUMBERS
        shapes = self.margin + self.column_width + bus
        self.width = max(shapes, hints_width(self.hints))
        self.left = self.margin + (self.width - shapes) / 2
        # The first output has the outermost lane: no lane crosses an earlier output on its way out.
        first = self.left + self.column_width + FIRST_LANE
        self.lanes = {source: first + LANE * i for i, source in enumerate(sources)}
        self.boxes: dict[str, Box] = {}
        for i, row in enumerate(rows):
            width = BOX[0] if is_space and not row.menus else self.column_width
            x, y = self.left + self.column_width / 2, BOX[1] / 2 + PITCH * (len(rows) - 1 - i)
            self.boxes[row.name] = Box(row.name, row.kind, row.text, x, y, width, BOX[1])
        self.top = self.boxes[rows[0].name].extent.top

    def layout(self) -> Picture:
        """Return the picture."""
        lines = (*self._paths(), *self._separators(), *self._rails(), *self._lanes())
        network = Picture(
            self.width,
            self.top + 2 + HEADING * bool(self.headings),
            (*self.boxes.values(), *self._options()),
            tuple(sorted(lines, key=lambda line: line.colour == RED)),  # red lines on top
            tuple(self._dots()),
            tuple(self._labels()),
        )
        kinds = {option.kind for row in self.rows for menu in row.menus for option in menu.options}
        kinds |= {row.kind for row in self.rows}
        return add_legend(network, kinds - PLAIN, self.hints)

    def _menu_centres(self, row: Row) -> Iterator[tuple[Menu, float]]:
        x = self.left
        for menu in row.menus:
            yield menu, x + menu.size[0] / 2
            x += menu.size[0] + BETWEEN

    def _options(self) -> Iterator[Box]:
        for row in self.rows:
            for menu, x in self._menu_centres(row):
                _, *options = menu.boxes(x, self.boxes[row.name].y)
                yield from options

    def _paths(self) -> Iterator[Line]:
        for index, (above, below) in enumerate(pairwise(self.boxes.values())):
            follows = self.rows[index + 1].follows
            if follows or self.is_space:
                points = (above.x, above.extent.bottom), (below.x, below.extent.top)
                yield self._line(f"path{index}", points, follows, DARK, has_arrow=True)

    def _separators(self) -> Iterator[Line]:
        for box in self.boxes.values():
            if box.kind == "pooling":
                left, _, right, _ = box.extent
                for name, start, end in (("left", 0.0, left), ("right", right, self.width)):
                    points = (start, box.y), (end, box.y)
                    yield Line(f"{box.name}-{name}", points, FAINT, dash=(1, 2))

    def _labels(self) -> Iterator[Label]:
        for row in self.rows:
            y = self.boxes[row.name].y
            if row.key.isdigit():
                yield Label(row.key, self.left - 6, y, 7.5, "right", QUIET)
        for row in self.rows:
            if row.stage is not None:
                x, y = self.left - self.margin, self.boxes[row.name].y
                yield Label(row.stage[0], x, y + 1, 8.5, is_bold=True)
                yield Label(row.stage[1], x, y - 11, 7.5, colour=QUIET)
        if self.headings:
            row = next(row for row in self.rows if row.menus)
            for heading, (_, x) in zip(self.headings, self._menu_centres(row), strict=True):
                yield Label(heading, x, self.top + HEADING / 2 + 2, 7.5, "center", QUIET)

    def _rail_y(self, row: Row) -> float:
        return self.boxes[row.name].y + PORT

    def _rails(self) -> Iterator[Line]:
        for row in self.rows:
            y, right = self._rail_y(row), self.boxes[row.name].extent.right
            for suffix, sources in self._variants(row.may_read, row.reads):
                points = (max(self.lanes[source] for source in sources), y), (right, y)
                name = f"rail-{row.key}{suffix}"
                yield self._line(name, points, bool(suffix), "#8A8A8A", has_arrow=True)

    def _lanes(self) -> Iterator[Line]:
        for source, x in self.lanes.items():
            row = next(row for row in self.rows if row.source == source)
            y, right = self.boxes[row.name].y - PORT, self.boxes[row.name].extent.right
            possible = [row for row in self.rows if source in row.may_read]
            chosen = [row for row in self.rows if source in row.reads]
            for suffix, readers in self._variants(possible, chosen):
                points = (right, y), (x, y), (x, self._rail_y(readers[-1]))
                line = self._line(
                    f"lane-{source}{suffix}", points, bool(suffix), _lane_colour(source)
                )
                yield line if self.is_space else replace(line, width=1.2, has_bridge=True)

    def _dots(self) -> Iterator[Dot]:
        for row in self.rows:
            for source in row.readable:
                is_chosen = source in row.reads
                colour = _lane_colour(source)
                if self.is_space:
                    colour = RED if is_chosen else "#999999"
                place = self.lanes[source], self._rail_y(row)
                yield Dot(f"skip-{source}-{row.key}", *place, colour, is_hollow=not is_chosen)

    def _variants(
        self, possible: Sequence[T], chosen: Sequence[T]
    ) -> Iterator[tuple[str, Sequence[T]]]:
        """Yield for each line to draw the end of its name, and the outputs or rows it connects."""
        if self.is_space and possible:
            yield "", possible
        if chosen:
            yield "-chosen" * self.is_space, chosen

    def _line(
        self,
        name: str,
        points: tuple[Point, ...],
        is_chosen: bool,
        colour: str,
        has_arrow: bool = False,
    ) -> Line:
        width = 1.0
        if self.is_space:
            colour, width = (RED, 1.0) if is_chosen else (FAINT, POSSIBLE_WIDTH)
        return Line(name, points, colour, width, has_arrow=has_arrow)


def _lane_colour(source: int) -> str:
    return LANE_COLOURS[source % len(LANE_COLOURS)]
