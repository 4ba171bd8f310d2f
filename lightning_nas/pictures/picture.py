"""A picture as plain data: boxes, lines, dots and labels, each where it will be painted.

``draw_cell`` and its neighbours lay an architecture out as a ``Picture``; ``svg`` and ``paint``
put it on paper. This file knows shapes and nothing else. Lengths are in points, 1/72 inch; y points
up.
"""

from dataclasses import dataclass, replace
from functools import cache
from math import dist

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from lightning_nas.pictures.palette import DEFAULT_STYLE, INK, RED, STYLES, Style

FONT = "DejaVu Sans"  # comes with matplotlib, so texts are measured alike on every machine
MARGIN = 10.0  # around a picture
BRIDGE = 2.4  # how much wider than a line its gap in others is
HEAD = (5.0, 2.2)  # of an arrow: length, and half the width
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rounded box around a short text; ``x`` and ``y`` are its centre, ``kind`` its colours.

    ``text`` is one line or two, ``note`` a smaller line below it, ``size`` the font's. An outline
    in ``RED`` says that the box is ``chosen``. A box that stands in another is drawn after it.
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
    chosen: bool = False

    @property
    def style(self) -> Style:
        """Its colours."""
        style = STYLES.get(self.kind, DEFAULT_STYLE)
        return replace(style, edge=RED) if self.chosen else style

    @property
    def texts(self) -> list[tuple[str, float, float]]:
        """Its lines of text, each with the height of its middle and the size of its font."""
        first, *more = self.text.split("\n") if self.text else [""]
        if more:
            step = self.size * 0.58
            return [(first, self.y + step, self.size), (more[0], self.y - step, self.size)]
        if self.note:
            return [(first, self.y + 4.5, self.size), (self.note, self.y - 5.5, 7.0)]
        return [(first, self.y, self.size)] if first else []

    @property
    def rounding(self) -> float:
        """The radius of its corners."""
        return min(5.0, self.height / 4) if self.kind != "join" else self.height / 2

    @property
    def outline(self) -> float:
        """How wide its outline is."""
        return 1.6 if self.chosen else 0.9

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        w, h = self.width / 2, self.height / 2
        return self.x - w, self.y - h, self.x + w, self.y + h


@dataclass(frozen=True)
class Line:
    """A line through ``points`` or, if ``curved``, the cubic splines that 3n + 1 of them control.

    ``bridge`` interrupts the lines below where this one crosses them: they do not touch. ``dash``:
    lengths of a dash and of the gap after it; none = solid.
    """

    name: str
    points: tuple[Point, ...]
    colour: str = INK
    width: float = 1.0
    curved: bool = False
    arrow: bool = False
    dash: tuple[float, float] | None = None
    bridge: bool = False


@dataclass(frozen=True)
class Dot:
    """A junction of two lines, filled with ``colour``, or a ring of it if it is ``hollow``."""

    name: str
    x: float
    y: float
    colour: str
    hollow: bool = False

    @property
    def radius(self) -> float:
        """How large it is."""
        return 1.6 if self.hollow else 2.5


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

    def moved(self, x: float, y: float) -> "Picture":
        """Return the shapes elsewhere, on a sheet of the same size."""
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

    def above(self, other: "Picture") -> "Picture":
        """Return this picture on top of one of the same width."""
        upper = self.moved(0, other.height)
        return Picture(
            self.width,
            self.height + other.height,
            upper.boxes + other.boxes,
            upper.lines + other.lines,
            upper.dots + other.dots,
            upper.labels + other.labels,
        )


@cache  # the same few texts, again and again
def text_width(text: str, size: float) -> float:
    """Return how wide ``text`` is when painted."""
    font = FontProperties(family=FONT, size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0])


def arrow_head(line: Line) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """Return the points of an arrow's line, which ends within the head, and the head's corners."""
    *rest, end = line.points
    start = next(point for point in reversed(rest) if dist(point, end) > 0.01)
    a, b = ((e - s) / dist(start, end) for s, e in zip(start, end, strict=True))  # of length 1
    length, half = HEAD
    x, y = end[0] - a * length, end[1] - b * length
    within = end[0] - a * (length - 1), end[1] - b * (length - 1)
    return (*rest, within), (end, (x - b * half, y + a * half), (x + b * half, y - a * half))
