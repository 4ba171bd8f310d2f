"""A picture as plain data, its colours, and the one function that paints it.

Layouts (``draw_cell``, ``draw_macro``) make a ``Picture``, tests inspect it, ``figure`` paints it. This
file knows shapes, not architectures. Lengths are in points, 1/72 inch; y points up.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path as Curve
from matplotlib.textpath import text_to_path

FONT = "DejaVu Sans"  # comes with matplotlib, so a picture is the same on every machine
INK, QUIET = "#222222", "#707070"
Point = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """How a kind of box is painted: colours of its face, its outline and its text."""

    face: str
    edge: str
    text: str = INK


# Black text is legible on every face, and no two faces are confused by the colour-blind.
# Source: Paul Tol, Introduction to colour schemes, https://sronpersonalpages.nl/~pault, "light" scheme.
STYLES = {
    "conv_3x3": Style("#FFD3BD", "#B4532F"),
    "conv_5x5": Style("#EE8866", "#9A3E1C"),
    "sep_conv_3x3": Style("#CDE9FB", "#33729E"),
    "sep_conv_5x5": Style("#86B4E4", "#265A8C"),
    "avg_pool_3x3": Style("#F1DF92", "#8F7A12"),
    "max_pool_3x3": Style("#62C3A5", "#1F735A"),
    "identity": Style("#E4E4E4", "#777777"),
    "input": Style("#3B4252", "#3B4252", "#FFFFFF"),
    "output": Style("#3B4252", "#3B4252", "#FFFFFF"),
    "concat": Style("#FFFFFF", INK),
    "add": Style("#FFFFFF", INK),
    "pooling": Style("#FFFFFF", "#777777"),
}
OTHER = Style("#FFFFFF", "#777777")  # an operation that got no colour yet
OPERATION_NAMES = {
    "conv_3x3": "convolution 3x3",
    "conv_5x5": "convolution 5x5",
    "sep_conv_3x3": "separable convolution 3x3",
    "sep_conv_5x5": "separable convolution 5x5",
    "avg_pool_3x3": "average pooling 3x3",
    "max_pool_3x3": "max pooling 3x3",
    "identity": "identity",
}


@dataclass(frozen=True)
class Box:
    """A rounded box with a short text; ``x`` and ``y`` are its centre, ``kind`` its style."""

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
    """A line through ``points``, or if ``curved`` the cubic splines that they control (3n + 1)."""

    name: str
    points: tuple[Point, ...]
    colour: str = INK
    curved: bool = False
    arrow: bool = True
    width: float = 1.0
    gap: bool = False  # lines below are interrupted where it passes: a crossing, not a junction


@dataclass(frozen=True)
class Dot:
    """A junction of two lines."""

    name: str
    x: float
    y: float
    colour: str


@dataclass(frozen=True)
class Label:
    """Text outside a box; ``x`` is its ``align`` side and ``y`` its middle."""

    text: str
    x: float
    y: float
    size: float = 8.0
    align: str = "left"
    colour: str = INK
    bold: bool = False
    name: str = ""


@dataclass(frozen=True)
class Band:
    """A pale rectangle behind everything: left, bottom, right, top."""

    extent: tuple[float, float, float, float]
    colour: str


@dataclass(frozen=True)
class Picture:
    """What is painted, in this order: bands, lines, dots, boxes, labels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    labels: tuple[Label, ...] = ()
    bands: tuple[Band, ...] = ()


def short_name(operation: str) -> str:
    """Return an operation's name as it fits in a box.

    >>> short_name("sep_conv_5x5"), short_name("max_pool_3x3"), short_name("identity")
    ('sep 5x5', 'max 3x3', 'id')
    """
    if operation == "identity":
        return "id"
    return operation.replace("sep_conv", "sep").replace("_pool", "").replace("_", " ")


def text_width(text: str, size: float) -> float:
    """Return how wide ``text`` is when painted."""
    font = FontProperties(family=FONT, size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0])


def legend(kinds: Iterable[str], width: float, top: float) -> Iterator[Box | Label]:
    """Yield a centred legend of the operations among ``kinds``, wrapped to ``width``, below ``top``."""
    present = set(kinds)
    rows: list[list[tuple[str, float]]] = [[]]
    for kind in (kind for kind in OPERATION_NAMES if kind in present):
        entry = kind, 36 + text_width(OPERATION_NAMES[kind], 8)
        if rows[-1] and sum(w for _, w in rows[-1]) + entry[1] > width:
            rows.append([])
        rows[-1].append(entry)
    for number, row in enumerate(rows):
        x, y = (width - sum(w for _, w in row) + 16) / 2, top - 8 - 16 * number
        for kind, entry_width in row:
            yield Box(f"legend-{kind}", kind, "", x + 7, y, 14, 10)
            yield Label(OPERATION_NAMES[kind], x + 18, y)
            x += entry_width


# ---- painting -----------------------------------------------------------------------------------


def figure(picture: Picture, margin: float = 10.0) -> Figure:
    """Return ``picture`` as a figure of its size, on white. Element ids are the shapes' names."""
    width, height = picture.width + 2 * margin, picture.height + 2 * margin
    painted = Figure(figsize=(width / 72, height / 72), facecolor="white")
    FigureCanvasAgg(painted)
    axes = painted.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-margin, width - margin), ylim=(-margin, height - margin))
    axes.set_axis_off()
    for shape in (*picture.bands, *picture.lines, *picture.dots, *picture.boxes, *picture.labels):
        for order, artist in enumerate(_artists(shape)):
            artist.set_clip_on(False)
    return painted
