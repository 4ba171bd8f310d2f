"""Layout of a layered network: a column with one row per layer, and a bus for the skips.

A lane is a vertical line to the right of the column, for an output that a later row reads as a
skip. A rail is a horizontal line from a row to the farthest lane that the row reads. A dot connects
a lane and a rail. A lane and a rail that cross without a dot are not connected.

In the picture of a search space, rows hold menus, and every output that a row could read has a
lane. A ring marks a possible connection; a red dot marks a chosen connection.
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
BOX = (62.0, 19.0)  # minimum width and height of a box; a long text makes the box wider
PITCH = 30.0  # distance between two rows
LANE = 13.0  # distance between two lanes
FIRST_LANE = 30.0  # distance between the column and the nearest lane
NUMBER_SPACE, STAGE_SPACE = 24.0, 72.0  # widths to the left of the column
PORT = 4.0  # vertical distance from the middle of a box: up to a rail, down to a lane
MENU_GAP = 8.0  # distance between two menus of a row
HEADING = 14.0  # height of the headings of menus
WITHOUT_LEGEND = {"end", "pooling", "frame", "number"}  # kinds of boxes without a legend
# Colour-blind readers can distinguish neighbouring lanes. Source: "bright" and "muted" by Paul Tol.
LANE_COLOURS = ("#4477AA", "#CC6677", "#117733", "#AA7700", "#882255", "#008B99")


@dataclass(frozen=True)
class Row:
    """One row of the column.

    Args:
        name: Name of the box.
        kind: Kind of the box: an operation, or one of ``WITHOUT_LEGEND``.
        text: Text in the box.
        key: Part of the names of the rail and of the dots. A key that is a number is also printed
            to the left of the box.
        source: Number of the output of the row; None if no row can read the output from the bus.
        reads: Numbers of the outputs that the row reads from the bus.
        follows: Whether the row reads the output of the row above.
        stage: Heading to the left of the box, and a second line below the heading.
        menus: Menus in the box, in place of the text. Only for a search space.
        may_read: Numbers of the outputs that the row could read from the bus. Only for a search
            space.
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
        """Numbers of the outputs that need a lane for this row."""
        return self.may_read or self.reads


class Bus:
    """Column of rows with a bus. The constructor places rows and lanes; ``layout`` adds the lines.

    Args:
        rows: Rows from top to bottom.
        hints: Lines of text below the column.
        dot_hint: Meaning of a dot, for the legend; omitted if there are no dots.
        is_space: Whether the picture shows a search space.
        headings: One heading for each menu of a row.
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
        menus = max(sum(menu.size[0] + MENU_GAP for menu in row.menus) for row in rows) - MENU_GAP
        self.column_width = max(BOX[0], texts + 12, menus)
        self.margin = NUMBER_SPACE + STAGE_SPACE * any(row.stage for row in rows)
        bus = FIRST_LANE + LANE * (len(sources) - 1) + 10 if sources else NUMBER_SPACE
        shapes = self.margin + self.column_width + bus
        self.width = max(shapes, hints_width(self.hints))
        self.left = self.margin + (self.width - shapes) / 2
        # The first output has the outermost lane, so that no lane crosses an earlier lane.
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
        return add_legend(network, kinds - WITHOUT_LEGEND, self.hints)

    def _place_menus(self, row: Row) -> Iterator[tuple[Menu, float]]:
        """Yield each menu of a row with the x coordinate of its middle."""
        x = self.left
        for menu in row.menus:
            yield menu, x + menu.size[0] / 2
            x += menu.size[0] + MENU_GAP

    def _options(self) -> Iterator[Box]:
        for row in self.rows:
            for menu, x in self._place_menus(row):
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
            for heading, (_, x) in zip(self.headings, self._place_menus(row), strict=True):
                yield Label(heading, x, self.top + HEADING / 2 + 2, 7.5, "center", QUIET)

    def _rail_y(self, row: Row) -> float:
        return self.boxes[row.name].y + PORT

    def _rails(self) -> Iterator[Line]:
        for row in self.rows:
            y, right = self._rail_y(row), self.boxes[row.name].extent.right
            for suffix, sources in self._list_line_parts(row.may_read, row.reads):
                points = (max(self.lanes[source] for source in sources), y), (right, y)
                name = f"rail-{row.key}{suffix}"
                yield self._line(name, points, bool(suffix), "#8A8A8A", has_arrow=True)

    def _lanes(self) -> Iterator[Line]:
        for source, x in self.lanes.items():
            row = next(row for row in self.rows if row.source == source)
            y, right = self.boxes[row.name].y - PORT, self.boxes[row.name].extent.right
            possible = [row for row in self.rows if source in row.may_read]
            chosen = [row for row in self.rows if source in row.reads]
            for suffix, readers in self._list_line_parts(possible, chosen):
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

    def _list_line_parts(
        self, possible: Sequence[T], chosen: Sequence[T]
    ) -> Iterator[tuple[str, Sequence[T]]]:
        """Yield a suffix for the name of a line, and the outputs or rows on this line."""
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
