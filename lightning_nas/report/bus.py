"""Where the boxes and lines of a network go that is told layer by layer: a column, and a bus.

Nothing is painted here. Every output that somebody reads from afar has a lane of its own to the
right of the column; every row that reads has a rail that runs to the farthest lane it needs, and a
dot joins the two for each. Where lane and rail cross without a dot, they do not touch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lightning_nas.report.picture import (
    DARK,
    FAINT,
    QUIET,
    Box,
    Dot,
    Label,
    Line,
    Picture,
    legend,
    legend_height,
)

BOX = (66.0, 19.0)
PITCH = 30.0  # from one row to the next
LANE = 13.0  # from one lane to the next
FIRST_LANE = 34.0  # from the column to the nearest lane
LEFT = 96.0  # of the column: what is to the left are the numbers and the stages
WIDTH = 344.0  # at least, for the legend
PORT = 4.0  # rails enter a box above its middle, lanes leave it below
PLAIN = {"end", "pooling", "convolution"}  # kinds of rows that need no legend
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


def layout_bus(rows: Sequence[Row], hint: str) -> Picture:
    """Return the picture of a column of rows, the first on top.

    Args:
        rows: From the image to the classifier.
        hint: What a dot means.
    """
    return _Layout(rows, hint).picture()


class _Layout:
    """The positions of rows and lanes, and the shapes that follow from them."""

    def __init__(self, rows: Sequence[Row], hint: str) -> None:
        self.rows = rows
        self.hint = hint
        self.operations = {row.kind for row in rows} - PLAIN
        read = {source for row in rows for source in row.reads}
        # the first output's lane is outermost: none crosses that of an earlier one on its way out
        first = LEFT + BOX[0] + FIRST_LANE
        self.lane = {s: first + LANE * i for i, s in enumerate(sorted(read, reverse=True))}
        self.width = max(WIDTH, 14 + max(self.lane.values(), default=0.0))
        self.foot = legend_height(self.operations, self.width) + 36
        self.column = list(self._column())
        self.box = {box.name: box for box in self.column}

    def picture(self) -> Picture:
        boxes, labels = legend(self.operations, self.width, self.foot - 36)
        return Picture(
            self.width,
            self.column[0].extent[3] + 4,
            (*self.column, *boxes),
            (*self._path(), *self._separators(), *self._rails(), *self._lanes()),
            tuple(self._dots()),
            (*self._numbers(), *self._stages(), *labels, *self._hint()),
        )

    # -- rows

    def _column(self) -> Iterator[Box]:
        for position, row in enumerate(self.rows):
            y = self.foot + BOX[1] / 2 + PITCH * (len(self.rows) - 1 - position)
            yield Box(row.name, row.kind, row.text, LEFT + BOX[0] / 2, y, *BOX)

    def _path(self) -> Iterator[Line]:
        for index, (above, below) in enumerate(zip(self.column, self.column[1:], strict=False)):
            if self.rows[index + 1].follows:
                points = (above.x, above.extent[1]), (below.x, below.extent[3])
                yield Line(f"path{index}", points, DARK, arrow=True)

    def _numbers(self) -> Iterator[Label]:
        for row in self.rows:
            if row.key.isdigit():
                yield Label(row.key, LEFT - 6, self.box[row.name].y, 7.5, "right", QUIET)

    # -- stages

    def _separators(self) -> Iterator[Line]:
        for box in self.column:
            if box.kind == "pooling":
                left, _, right, _ = box.extent
                for name, start, end in (("left", 0.0, left), ("right", right, self.width)):
                    line = f"{box.name}-{name}"
                    yield Line(line, ((start, box.y), (end, box.y)), FAINT, dotted=True)

    def _stages(self) -> Iterator[Label]:
        for row in self.rows:
            if row.stage is not None:
                y = self.box[row.name].y
                yield Label(row.stage[0], 0, y + 1, 8.5, bold=True)
                yield Label(row.stage[1], 0, y - 11, 7.5, colour=QUIET)

    # -- the bus

    def _rail_y(self, row: Row) -> float:
        return self.box[row.name].y + PORT

    def _rails(self) -> Iterator[Line]:
        right = LEFT + BOX[0]
        for row in self.rows:
            if row.reads:
                y, end = self._rail_y(row), max(self.lane[source] for source in row.reads)
                yield Line(f"rail-{row.key}", ((end, y), (right, y)), "#8A8A8A", arrow=True)

    def _lanes(self) -> Iterator[Line]:
        origin = {row.source: row for row in self.rows}
        for source, x in self.lane.items():
            last = [row for row in self.rows if source in row.reads][-1]
            y, end = self.box[origin[source].name].y - PORT, self._rail_y(last)
            points = (LEFT + BOX[0], y), (x, y), (x, end)
            yield Line(f"lane-{source}", points, _colour(source), width=1.2, bridge=True)

    def _dots(self) -> Iterator[Dot]:
        for row in self.rows:
            for source in row.reads:
                name = f"skip-{source}-{row.key}"
                yield Dot(name, self.lane[source], self._rail_y(row), _colour(source))

    def _hint(self) -> Iterator[Label]:
        if self.lane:
            yield Label(self.hint, self.width / 2, self.foot - 22, 7.5, "center", QUIET)


def _colour(source: int) -> str:
    return LANE_COLOURS[source % len(LANE_COLOURS)]
