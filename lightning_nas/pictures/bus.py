"""Where the boxes and lines of a network go that is told layer by layer: a column, and a bus.

Nothing is painted here. Every output that somebody reads from afar has a lane of its own to the
right of the column; every row that reads has a rail that runs to the farthest lane it needs, and a
dot joins the two for each. Where lane and rail cross without a dot, they do not touch.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from lightning_nas.pictures.legend import hints_width, legend
from lightning_nas.pictures.palette import DARK, FAINT, QUIET
from lightning_nas.pictures.picture import Box, Dot, Label, Line, Picture, text_width

BOX = (62.0, 19.0)  # at least: a box is as wide as its text needs
PITCH = 30.0  # from one row to the next
LANE = 13.0  # from one lane to the next
FIRST_LANE = 30.0  # from the column to the nearest lane
NUMBERS, STAGES = 24.0, 72.0  # room to the left of the column
PORT = 4.0  # rails enter a box above its middle, lanes leave it below
PLAIN = {"end", "pooling", "frame"}  # kinds of rows that need no legend
# Neighbouring lanes are told apart, by the colour-blind too. After Paul Tol's "bright" and "muted".
LANE_COLOURS = ("#4477AA", "#CC6677", "#117733", "#AA7700", "#882255", "#008B99")


@dataclass(frozen=True)
class Row:
    """One box of the column.

    Args:
        name: Of its shape.
        kind: What colours it: an operation's name, or one of ``PLAIN``.
        text: In the box.
        key: Names it in the names of its rail and dots; shown beside the box if it is a number.
        source: Its number as an output that others read; None = nobody can.
        reads: Numbers of the outputs that it reads from the bus.
        follows: Whether it reads the row before directly.
        stage: A heading and a line below it, to the left of the box.
    """

    name: str
    kind: str
    text: str
    key: str = ""
    source: int | None = None
    reads: tuple[int, ...] = ()
    follows: bool = True
    stage: tuple[str, str] | None = None


def layout_bus(rows: Sequence[Row], dot: str, hints: Sequence[str] = ()) -> Picture:
    """Return the picture of a column of rows, the first on top.

    Args:
        rows: From the image to the classifier.
        dot: What a dot means, told where there is one.
        hints: Lines below the column that tell what is written in a box.
    """
    return Bus(rows, dot, hints).picture()


class Bus:
    """The positions of rows and lanes, and the shapes that follow from them."""

    least = 0.0  # width of the column

    def __init__(self, rows: Sequence[Row], dot: str, hints: Sequence[str] = ()) -> None:
        self.rows = rows
        self.operations: Set[str] = {row.kind for row in rows} - PLAIN
        self.sources = sorted(
            {source for row in rows for source in self._readable(row)}, reverse=True
        )
        self.hints = (*hints, dot) if self.sources else tuple(hints)
        texts = max(text_width(row.text, 9) for row in rows)
        self.column_width = max(BOX[0], texts + 12, self.least)
        self.margin = NUMBERS + (STAGES if any(row.stage for row in rows) else 0)
        lanes = FIRST_LANE + LANE * (len(self.sources) - 1) + 10 if self.sources else NUMBERS
        drawn = self.margin + self.column_width + lanes
        self.top = 2.0  # room above the column
        self.width = max(drawn, hints_width(self.hints))
        self.left = self.margin + (self.width - drawn) / 2

    def picture(self) -> Picture:
        """Return all shapes."""
        network = Picture(
            self.width,
            self.column[0].extent[3] + self.top,
            (*self.column, *self._inner_boxes()),
            tuple(self._lines()),
            tuple(self._dots()),
            tuple(self._labels()),
        )
        return network.above(legend(self.operations, self.width, self.hints))

    def _lines(self) -> Iterator[Line]:
        yield from (*self._path(), *self._separators(), *self._rails(), *self._lanes())

    def _labels(self) -> Iterator[Label]:
        yield from (*self._numbers(), *self._stages())

    # -- rows

    @cached_property
    def column(self) -> list[Box]:
        """The boxes of the rows, from top to bottom."""
        x, last = self.left + self.column_width / 2, len(self.rows) - 1
        heights = (BOX[1] / 2 + PITCH * (last - i) for i in range(last + 1))
        return [
            Box(row.name, row.kind, row.text, x, y, self._box_width(row), BOX[1])
            for row, y in zip(self.rows, heights, strict=True)
        ]

    @cached_property
    def box(self) -> dict[str, Box]:
        """The same by name."""
        return {box.name: box for box in self.column}

    @cached_property
    def lane(self) -> dict[int, float]:
        """Where the lane of each output that is read lies.

        The first output's is outermost: none crosses that of an earlier one on its way out.
        """
        first = self.left + self.column_width + FIRST_LANE
        return {source: first + LANE * i for i, source in enumerate(self.sources)}

    def _box_width(self, row: Row) -> float:
        return self.column_width

    def _inner_boxes(self) -> Iterator[Box]:
        yield from ()

    def _path(self) -> Iterator[Line]:
        for index, (above, below) in enumerate(zip(self.column, self.column[1:], strict=False)):
            if self.rows[index + 1].follows:
                points = (above.x, above.extent[1]), (below.x, below.extent[3])
                yield Line(f"path{index}", points, DARK, arrow=True)

    def _numbers(self) -> Iterator[Label]:
        for row in self.rows:
            if row.key.isdigit():
                x, y = self.left - 6, self.box[row.name].y
                yield Label(row.key, x, y, 7.5, "right", QUIET)

    # -- stages

    def _separators(self) -> Iterator[Line]:
        for box in self.column:
            if box.kind == "pooling":
                left, _, right, _ = box.extent
                for name, start, end in (("left", 0.0, left), ("right", right, self.width)):
                    line = f"{box.name}-{name}"
                    yield Line(line, ((start, box.y), (end, box.y)), FAINT, dash=(1, 2))

    def _stages(self) -> Iterator[Label]:
        for row in self.rows:
            if row.stage is not None:
                x, y = self.left - self.margin, self.box[row.name].y
                yield Label(row.stage[0], x, y + 1, 8.5, bold=True)
                yield Label(row.stage[1], x, y - 11, 7.5, colour=QUIET)

    # -- the bus

    def _rail_y(self, row: Row) -> float:
        return self.box[row.name].y + PORT

    def _readable(self, row: Row) -> tuple[int, ...]:
        return row.reads

    def _lane_points(self, source: int, last: Row) -> tuple[tuple[float, float], ...]:
        """Return the way of an output to the rail of its last reader."""
        row = next(row for row in self.rows if row.source == source)
        box, x = self.box[row.name], self.lane[source]
        y = box.y - PORT
        return (box.extent[2], y), (x, y), (x, self._rail_y(last))

    def _rails(self) -> Iterator[Line]:
        for row in self.rows:
            if row.reads:
                y, end = self._rail_y(row), max(self.lane[source] for source in row.reads)
                points = (end, y), (self.box[row.name].extent[2], y)
                yield Line(f"rail-{row.key}", points, "#8A8A8A", arrow=True)

    def _lanes(self) -> Iterator[Line]:
        for source in self.lane:
            last = [row for row in self.rows if source in row.reads][-1]
            points = self._lane_points(source, last)
            yield Line(f"lane-{source}", points, _colour(source), width=1.2, bridge=True)

    def _dots(self) -> Iterator[Dot]:
        for row in self.rows:
            for source in row.reads:
                name = f"skip-{source}-{row.key}"
                yield Dot(name, self.lane[source], self._rail_y(row), _colour(source))


def _colour(source: int) -> str:
    return LANE_COLOURS[source % len(LANE_COLOURS)]
