"""A picture as plain data: boxes, lines, dots and labels, each where it will be painted.

``draw_cell`` and ``draw_macro`` lay an architecture out as a ``Picture``, ``paint`` puts it on
paper. This file knows shapes and the names of operations; it lays out the legend and nothing else.
Lengths are in points, 1/72 inch; y points up.
"""

from collections.abc import Set
from dataclasses import dataclass

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FONT = "DejaVu Sans"  # comes with matplotlib, so a picture is the same on every machine
INK, QUIET, FAINT = "#222222", "#666666", "#B5B5B5"
DARK, OLDER, NEWER = "#3B4252", "#A3541A", "#1F6FA8"  # where data enters and leaves
ROW, SPACE = 16.0, 16.0  # of the legend: the height of a row, the space between entries
Point = tuple[float, float]

OPERATION_NAMES = {
    "conv_1x1": "convolution 1x1",
    "conv_3x3": "convolution 3x3",
    "conv_5x5": "convolution 5x5",
    "conv_1x3_3x1": "convolutions 1x3 and 3x1",
    "conv_1x7_7x1": "convolutions 1x7 and 7x1",
    "dil_conv_3x3": "dilated convolution 3x3",
    "sep_conv_3x3": "separable convolution 3x3",
    "sep_conv_5x5": "separable convolution 5x5",
    "sep_conv_7x7": "separable convolution 7x7",
    "avg_pool_3x3": "average pooling 3x3",
    "max_pool_3x3": "max pooling 3x3",
    "max_pool_5x5": "max pooling 5x5",
    "max_pool_7x7": "max pooling 7x7",
    "identity": "identity",
}
SHORT_NAMES = {"identity": "id", "conv_1x3_3x1": "1x3 3x1", "conv_1x7_7x1": "1x7 7x1"}


@dataclass(frozen=True)
class Box:
    """A rounded box around a short text; ``x`` and ``y`` are its centre, ``kind`` its colours.

    ``note`` is a second, smaller line of text.
    """

    name: str
    kind: str
    text: str
    x: float
    y: float
    width: float
    height: float
    note: str = ""

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        w, h = self.width / 2, self.height / 2
        return self.x - w, self.y - h, self.x + w, self.y + h


@dataclass(frozen=True)
class Line:
    """A line through ``points`` or, if ``curved``, the cubic splines that 3n + 1 of them control.

    ``bridge`` interrupts the lines below where this one crosses them: they do not touch.
    """

    name: str
    points: tuple[Point, ...]
    colour: str = INK
    width: float = 1.0
    curved: bool = False
    arrow: bool = False
    dotted: bool = False
    bridge: bool = False


@dataclass(frozen=True)
class Dot:
    """A junction of two lines."""

    name: str
    x: float
    y: float
    colour: str


@dataclass(frozen=True)
class Label:
    """Text outside a box: ``x`` is where its ``align`` side lies, ``y`` its middle."""

    text: str
    x: float
    y: float
    size: float = 8.0
    align: str = "left"
    colour: str = INK
    bold: bool = False


@dataclass(frozen=True)
class Picture:
    """Shapes on a sheet of ``width`` by ``height``: lines below, then dots, boxes and labels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    labels: tuple[Label, ...] = ()


def short_name(operation: str) -> str:
    """Return an operation's name as it fits in a box.

    >>> short_name("sep_conv_5x5"), short_name("max_pool_3x3"), short_name("identity")
    ('sep 5x5', 'max 3x3', 'id')
    """
    if operation in SHORT_NAMES:
        return SHORT_NAMES[operation]
    *kind, window = operation.split("_")
    return f"{kind[0]} {window}"


def text_width(text: str, size: float) -> float:
    """Return how wide ``text`` is when painted."""
    font = FontProperties(family=FONT, size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0])


def legend(operations: Set[str], width: float, top: float) -> tuple[list[Box], list[Label]]:
    """Return boxes and labels that explain ``operations``, centred in a strip below ``top``."""
    boxes, labels = [], []
    for number, row in enumerate(_rows(operations, width)):
        x = (width - sum(map(_entry_width, row)) + SPACE) / 2
        y = top - ROW * (number + 0.5)
        for operation in row:
            boxes.append(Box(f"legend-{operation}", operation, "", x + 8, y, 16, 10))
            labels.append(Label(OPERATION_NAMES[operation], x + 20, y))
            x += _entry_width(operation)
    return boxes, labels


def legend_height(operations: Set[str], width: float) -> float:
    """Return how high the strip of the legend is."""
    return ROW * len(_rows(operations, width))


def _entry_width(operation: str) -> float:
    return 20 + text_width(OPERATION_NAMES[operation], 8) + SPACE


def _rows(operations: Set[str], width: float) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    for operation in (name for name in OPERATION_NAMES if name in operations):
        taken = sum(map(_entry_width, rows[-1]))
        if rows[-1] and taken + _entry_width(operation) - SPACE > width:
            rows.append([])
        rows[-1].append(operation)
    return rows
