"""Small boxes with names: the legend below a picture, and the menus of a search space.

A menu shows all options of one decision; the chosen option has colours and a red outline.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from math import ceil

from lightning_nas.pictures.palette import (
    FAINT,
    OPERATION_NAMES,
    QUIET,
    RED,
    full_name,
    short_name,
)
from lightning_nas.pictures.picture import Box, Label, Line, Picture, Point, text_width

ROW, SPACE = 16.0, 16.0  # height of a row of a legend, and space between its entries
HINT, HINT_SIZE = 12.0, 7.5  # height of a line of text below a picture, and its font size
ABOVE = 18.0  # between a picture and its legend
GAP = 2.0  # between the boxes of a menu, and around them
SIZE = 7.5  # font size in a menu
CHOSEN_WIDTH, POSSIBLE_WIDTH = 1.6, 0.7  # of lines
LONGEST = 7  # maximum number of boxes in a column
CHOICE_HINT = "red: chosen; grey: also possible"


@dataclass(frozen=True)
class Option:
    """One box of a menu: the last part of its name, the kind of box if chosen, and its text."""

    name: str
    kind: str
    text: str


@dataclass(frozen=True)
class Menu:
    """Options of one decision in columns of equal length.

    Args:
        name: Name of the frame. Names of options are this name, a hyphen and ``Option.name``.
        options: All options.
        chosen: Name of the chosen option.
        box: Width and height of the box of an option.
        columns: Number of columns; 0 for as few as ``LONGEST`` allows.
    """

    name: str
    options: Sequence[Option]
    chosen: str
    box: tuple[float, float] = (45.0, 13.0)
    columns: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of columns and rows."""
        columns = self.columns or ceil(len(self.options) / LONGEST)
        return columns, ceil(len(self.options) / columns)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the frame."""
        (columns, rows), (width, height) = self.shape, self.box
        return columns * (width + GAP) + GAP, rows * (height + GAP) + GAP

    def boxes(self, x: float, y: float) -> Iterator[Box]:
        """Yield the frame with its centre at ``x``, ``y``, then the options."""
        width, height = self.size
        yield Box(self.name, "frame", "", x, y, width, height)
        for number, option in enumerate(self.options):
            column, row = divmod(number, self.shape[1])
            is_chosen = option.name == self.chosen
            yield Box(
                f"{self.name}-{option.name}",
                option.kind if is_chosen else "option",
                option.text,
                x - width / 2 + GAP + self.box[0] / 2 + column * (self.box[0] + GAP),
                y + height / 2 - GAP - self.box[1] / 2 - row * (self.box[1] + GAP),
                *self.box,
                size=SIZE,
                is_chosen=is_chosen,
            )


def list_options(operations: Sequence[str]) -> list[Option]:
    """Return one option for each operation.

    >>> list_options(["sep_conv_3x3"])
    [Option(name='sep_conv_3x3', kind='sep_conv_3x3', text='sep 3x3')]
    """
    return [Option(name, name, short_name(name)) for name in operations]


def choice_line(name: str, points: tuple[Point, ...], is_chosen: bool) -> Line:
    """Return a curved arrow of a search space: thick and red if chosen, else thin and grey."""
    colour, width = (RED, CHOSEN_WIDTH) if is_chosen else (FAINT, POSSIBLE_WIDTH)
    return Line(name, points, colour, width, is_curved=True, has_arrow=True)


# ---- the legend ---------------------------------------------------------------------------------


def add_legend(picture: Picture, operations: Set[str], hints: Sequence[str] = ()) -> Picture:
    """Return a picture with a legend below it.

    Args:
        picture: Picture to explain.
        operations: Operations to explain with a coloured box and the full name.
        hints: Lines of text above the legend.
    """
    rows = _fill_evenly(operations, picture.width)
    height = ROW * len(rows) + HINT * len(hints) + ABOVE
    labels = [
        Label(hint, picture.width / 2, height - 16 - HINT * number, HINT_SIZE, "center", QUIET)
        for number, hint in enumerate(hints)
    ]
    boxes = []
    for number, row in enumerate(rows):
        x = (picture.width - _row_width(row)) / 2
        y = ROW * (len(rows) - number - 0.5)
        for operation in row:
            boxes.append(Box(f"legend-{operation}", operation, "", x + 8, y, 16, 10))
            labels.append(Label(full_name(operation), x + 20, y))
            x += _row_width([operation]) + SPACE
    legend = Picture(picture.width, height, tuple(boxes), labels=tuple(labels))
    return picture.stack_on(legend)


def hints_width(hints: Sequence[str]) -> float:
    """Return the width in points that lines of text below a picture need."""
    return max((text_width(hint, HINT_SIZE) for hint in hints), default=0.0) + 4


def _fill_evenly(operations: Set[str], width: float) -> list[list[str]]:
    """Return the entries in rows: as few rows as ``width`` allows, of about equal length."""
    rows = _fill(operations, width) if operations else []
    narrower = rows
    while len(narrower) == len(rows) and max(map(len, narrower), default=0) > 1:
        rows = narrower
        narrower = _fill(operations, max(map(_row_width, rows)) - 1)
    return rows


def _row_width(row: list[str]) -> float:
    return sum(20 + text_width(full_name(operation), 8) + SPACE for operation in row) - SPACE


def _fill(operations: Set[str], width: float) -> list[list[str]]:
    known = [name for name in OPERATION_NAMES if name in operations]
    rows: list[list[str]] = [[]]
    for operation in (*known, *sorted(operations - OPERATION_NAMES.keys())):
        if rows[-1] and _row_width([*rows[-1], operation]) > width:
            rows.append([])
        rows[-1].append(operation)
    return rows
