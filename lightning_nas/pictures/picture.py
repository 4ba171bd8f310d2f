"""Shapes of a picture as plain data: boxes, lines, dots and labels with their positions.

Layout modules such as ``cell`` create a ``Picture``; ``svg`` and ``paint`` write it to a file. This
module must not know what a shape means. Lengths are in points (1/72 inch); y points up.
"""

from dataclasses import dataclass, replace
from functools import cache
from math import dist, floor
from typing import NamedTuple

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from lightning_nas.pictures.palette import INK, RED, Style, find_style

FONT = "DejaVu Sans"  # comes with matplotlib: text has the same width on every machine
MARGIN = 10.0  # around a picture
BRIDGE = 2.4  # extra width of the gap that a line with ``has_bridge`` cuts into lines below
HEAD = (5.0, 2.2)  # length of an arrow head, and half of its width
CAPITAL = 0.365  # half the height of a capital letter, for a font of size 1
Point = tuple[float, float]


class Extent(NamedTuple):
    """Coordinates of the four sides of a box."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True)
class Label:
    """One line of text.

    Args:
        text: The text.
        x: Position of the side that ``align`` names.
        y: Middle of a capital letter.
        size: Font size.
        align: ``left``, ``center`` or ``right``.
        colour: Colour of the text.
        is_bold: Whether the text is bold.
    """

    text: str
    x: float
    y: float
    size: float = 8.0
    align: str = "left"
    colour: str = INK
    is_bold: bool = False

    @property
    def baseline(self) -> float:
        """Height of the baseline. Painters must not centre: they reserve room for descenders."""
        return self.y - CAPITAL * self.size


@dataclass(frozen=True)
class Box:
    """A rounded box around a short text.

    A box that lies inside another one must come later in ``Picture.boxes``.

    Args:
        name: Name of the shape, its id in an SVG.
        kind: Operation or other key of ``STYLES``, which gives the colours.
        text: One or two lines of text, separated by a line feed.
        x: Horizontal centre.
        y: Vertical centre.
        width: Width.
        height: Height.
        note: A smaller line below a text of one line.
        size: Font size of ``text``. It shrinks if the text is too wide for the box.
        is_chosen: Whether the outline is ``RED``: a chosen option of a search space.
    """

    name: str
    kind: str
    text: str
    x: float
    y: float
    width: float
    height: float
    note: str = ""
    size: float = 9.0
    is_chosen: bool = False

    @property
    def style(self) -> Style:
        """Colours of the box."""
        style = find_style(self.kind)
        return replace(style, edge=RED) if self.is_chosen else style

    @property
    def labels(self) -> list[Label]:
        """Lines of text in the box."""
        if not self.text:
            return []
        first, *more = self.text.split("\n")
        widest = max(text_width(line, self.size) for line in (first, *more))
        size = self.size
        if widest > self.width - 4:
            size = floor(10 * size * (self.width - 4) / widest) / 10
        if more:
            step = size * 0.58
            lines = [(first, step, size), (more[0], -step, size)]
        elif self.note:
            lines = [(first, 4.5, size), (self.note, -5.5, 7.0)]
        else:
            lines = [(first, 0.0, size)]
        colour = self.style.text
        return [Label(text, self.x, self.y + y, size, "center", colour) for text, y, size in lines]

    @property
    def rounding(self) -> float:
        """Radius of the corners."""
        return min(5.0, self.height / 4) if self.kind != "join" else self.height / 2

    @property
    def outline(self) -> float:
        """Width of the outline."""
        return 1.6 if self.is_chosen else 0.9

    @property
    def extent(self) -> Extent:
        """Coordinates of the four sides."""
        w, h = self.width / 2, self.height / 2
        return Extent(self.x - w, self.y - h, self.x + w, self.y + h)


@dataclass(frozen=True)
class Line:
    """A polyline, or a chain of cubic splines.

    Args:
        name: Name of the shape, its id in an SVG.
        points: Corners of a polyline, or the 3n + 1 control points of n splines.
        colour: Colour of the line and of its arrow head.
        width: Width of the line.
        is_curved: Whether ``points`` are control points of splines.
        has_arrow: Whether the line ends in an arrow head.
        dash: Lengths of a dash and of the gap after it; None for a solid line.
        has_bridge: Whether the line interrupts the lines that it crosses: no junction there.
    """

    name: str
    points: tuple[Point, ...]
    colour: str = INK
    width: float = 1.0
    is_curved: bool = False
    has_arrow: bool = False
    dash: tuple[float, float] | None = None
    has_bridge: bool = False

    def split_arrow(self) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
        """Return the points of the line without its arrow head, and the three corners of the head.

        The line ends inside the head. Without an arrow there are no corners.
        """
        if not self.has_arrow:
            return self.points, ()
        *rest, end = self.points
        start = next(point for point in reversed(rest) if dist(point, end) > 0.01)
        a, b = ((e - s) / dist(start, end) for s, e in zip(start, end, strict=True))  # of length 1
        length, half = HEAD
        x, y = end[0] - a * length, end[1] - b * length
        inside = end[0] - a * (length - 1), end[1] - b * (length - 1)
        return (*rest, inside), (end, (x - b * half, y + a * half), (x + b * half, y - a * half))


@dataclass(frozen=True)
class Dot:
    """A junction of two lines: a disc of ``colour``, or a ring if ``is_hollow``."""

    name: str
    x: float
    y: float
    colour: str
    is_hollow: bool = False

    @property
    def radius(self) -> float:
        """Radius."""
        return 1.6 if self.is_hollow else 2.5

    @property
    def colours(self) -> tuple[str, str]:
        """Colours of the face and of the outline."""
        return ("#fff", self.colour) if self.is_hollow else (self.colour, "#fff")


@dataclass(frozen=True)
class Picture:
    """Shapes on a sheet of ``width`` by ``height``: lines below, then dots, boxes and labels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    labels: tuple[Label, ...] = ()

    def move(self, x: float, y: float) -> "Picture":
        """Return the picture with all shapes moved, on a sheet of the same size."""
        return replace(
            self,
            boxes=tuple(replace(box, x=box.x + x, y=box.y + y) for box in self.boxes),
            lines=tuple(
                replace(line, points=tuple((a + x, b + y) for a, b in line.points))
                for line in self.lines
            ),
            dots=tuple(replace(dot, x=dot.x + x, y=dot.y + y) for dot in self.dots),
            labels=tuple(replace(label, x=label.x + x, y=label.y + y) for label in self.labels),
        )

    def centre_on(self, width: float, height: float | None = None) -> "Picture":
        """Return the picture on a larger sheet, in the middle of its width and at its top."""
        height = self.height if height is None else height
        moved = self.move((width - self.width) / 2, height - self.height)
        return replace(moved, width=width, height=height)

    def stack_on(self, lower: "Picture") -> "Picture":
        """Return one picture with this one above ``lower``, which has the same width."""
        sheet = replace(self, height=self.height + lower.height)
        return sheet.move(0, lower.height)._add(lower)

    def put_beside(self, right: "Picture", gap: float) -> "Picture":
        """Return one picture with this one to the left of ``right``, their top edges aligned."""
        width, height = self.width + gap + right.width, max(self.height, right.height)
        moved = replace(self, width=width, height=height).move(0, height - self.height)
        return moved._add(right.move(self.width + gap, height - right.height))

    def _add(self, other: "Picture") -> "Picture":
        names = ("boxes", "lines", "dots", "labels")
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in names})


@cache  # pictures repeat a few texts
def text_width(text: str, size: float) -> float:
    """Return the width of ``text`` in points for a font of the given size."""
    font = FontProperties(family=FONT, size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0])
