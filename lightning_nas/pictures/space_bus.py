"""A space of networks told layer by layer as a picture: menus for boxes, and every possible skip.

Nothing is painted here. Lanes and rails are those of ``bus``, one of each for all that could be
read: they meet in a small ring where an output could be read and is not, and in a red dot where it
is. Red lines lead from the outputs that are read to their readers.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from lightning_nas.pictures.bus import BOX, Bus, Row
from lightning_nas.pictures.menu import POSSIBLE_WIDTH, Menu
from lightning_nas.pictures.palette import FAINT, QUIET, RED
from lightning_nas.pictures.picture import Box, Dot, Label, Line, Picture

HINT = "red: chosen; grey: also possible"
BETWEEN = 8.0  # menus of a row
HEADING = 14.0  # height of the line above the column


@dataclass(frozen=True)
class SpaceRow(Row):
    """One row of a space: ``reads`` and ``follows`` say what is chosen.

    Args:
        menus: In the row instead of a text.
        may_read: Numbers of the outputs that it could read from the bus.
    """

    menus: tuple[Menu, ...] = ()
    may_read: tuple[int, ...] = ()


def space_row(row: Row, menus: Sequence[Menu], may_read: Sequence[int]) -> SpaceRow:
    """Return a row of a network with all that it could have been."""
    kind, text = ("frame", "") if menus else (row.kind, row.text)
    chosen = row.key, row.source, row.reads, row.follows, row.stage
    return SpaceRow(row.name, kind, text, *chosen, tuple(menus), tuple(may_read))


def layout_space_bus(
    rows: Sequence[SpaceRow],
    hints: Sequence[str],
    operations: Set[str],
    headings: Sequence[str] = (),
) -> Picture:
    """Return the picture of a column of rows, the first on top.

    Args:
        rows: From the image to the classifier.
        hints: Lines below the column, beside what red means; the last one tells of dots.
        operations: What the legend explains.
        headings: Of the menus of a row, above the column.
    """
    return _SpaceBus(rows, hints, operations, headings).picture()


class _SpaceBus(Bus):
    """The same positions as in a network's picture, for wider rows and all lanes."""

    def __init__(
        self,
        rows: Sequence[SpaceRow],
        hints: Sequence[str],
        operations: Set[str],
        headings: Sequence[str],
    ) -> None:
        self.rows: Sequence[SpaceRow] = rows
        self.headings = headings
        self.least = max(sum(m.size[0] + BETWEEN for m in row.menus) - BETWEEN for row in rows)
        super().__init__(rows, hints[-1], (HINT, *hints[:-1]))
        self.operations = operations
        self.top += HEADING if headings else 0

    def _readable(self, row: Row) -> tuple[int, ...]:
        return row.may_read if isinstance(row, SpaceRow) else ()

    def _box_width(self, row: Row) -> float:
        return self.column_width if row.kind == "frame" else BOX[0]

    def _inner_boxes(self) -> Iterator[Box]:
        for row in self.rows:
            for menu, x in zip(row.menus, self._menu_centres(row), strict=True):
                _, *options = menu.boxes(x, self.box[row.name].y)
                yield from options

    def _menu_centres(self, row: SpaceRow) -> Iterator[float]:
        x = self.left
        for menu in row.menus:
            yield x + menu.size[0] / 2
            x += menu.size[0] + BETWEEN

    def _labels(self) -> Iterator[Label]:
        yield from super()._labels()
        row = next(row for row in self.rows if row.menus)
        y = self.column[0].extent[3] + HEADING / 2 + 2
        for heading, x in zip(self.headings, self._menu_centres(row), strict=False):
            yield Label(heading, x, y, 7.5, "center", QUIET)

    def _lines(self) -> Iterator[Line]:
        """Yield all lines, the chosen ones on top."""
        yield from sorted(super()._lines(), key=lambda line: line.colour == RED)

    def _path(self) -> Iterator[Line]:
        for index, (above, below) in enumerate(zip(self.column, self.column[1:], strict=False)):
            points = (above.x, above.extent[1]), (below.x, below.extent[3])
            yield _line(f"path{index}", points, self.rows[index + 1].follows, arrow=True)

    def _rails(self) -> Iterator[Line]:
        for row in self.rows:
            y, right = self._rail_y(row), self.box[row.name].extent[2]
            for name, sources in (("", row.may_read), ("-chosen", row.reads)):
                if sources:
                    points = (max(self.lane[source] for source in sources), y), (right, y)
                    yield _line(f"rail-{row.key}{name}", points, bool(name), arrow=True)

    def _lanes(self) -> Iterator[Line]:
        for source in self.lane:
            possible = [row for row in self.rows if source in row.may_read]
            chosen = [row for row in possible if source in row.reads]
            for name, readers in (("", possible), ("-chosen", chosen)):
                if readers:
                    points = self._lane_points(source, readers[-1])
                    yield _line(f"lane-{source}{name}", points, bool(name))

    def _dots(self) -> Iterator[Dot]:
        for row in self.rows:
            for source in row.may_read:
                chosen = source in row.reads
                place = self.lane[source], self._rail_y(row)
                name = f"skip-{source}-{row.key}"
                yield Dot(name, *place, RED if chosen else "#999999", hollow=not chosen)


def _line(
    name: str, points: tuple[tuple[float, float], ...], chosen: bool, arrow: bool = False
) -> Line:
    colour, width = (RED, 1.0) if chosen else (FAINT, POSSIBLE_WIDTH)  # thin: there are many
    return Line(name, points, colour, width, arrow=arrow)
