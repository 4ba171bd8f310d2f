"""Writer of a ``Picture`` as a compact SVG without references to other files.

matplotlib would write two to four times as much, without attributes that name the colours.
Text stays text, which can be searched, copied and read aloud. Without DejaVu Sans a browser takes
the next font of ``FONTS``: none is wider, so all texts still fit their boxes. There is no style
sheet, marker or clip path: ids are the names of shapes only, so a page can hold several pictures.
"""

from collections.abc import Iterator, Sequence
from html import escape

from lightning_nas.pictures.palette import INK
from lightning_nas.pictures.picture import (
    BRIDGE,
    FONT,
    MARGIN,
    Box,
    Dot,
    Label,
    Line,
    Picture,
    Point,
)

FONTS = f"{FONT},Verdana,Helvetica,Arial,sans-serif"
ANCHORS = {"left": ' text-anchor="start"', "center": "", "right": ' text-anchor="end"'}


def to_svg(picture: Picture, title: str, prefix: str = "") -> str:
    """Return ``picture`` as an ``svg`` element on white, as wide as its page at most.

    Args:
        picture: Picture to write.
        title: Text for screen readers.
        prefix: Start of every id; different for each picture of a page.
    """
    return _SvgWriter(picture, prefix).write(title)


class _SvgWriter:
    """Writer of shapes as elements. In an SVG the origin is at the top and y points down."""

    def __init__(self, picture: Picture, prefix: str) -> None:
        self.picture = picture
        self.prefix = escape(prefix)

    def write(self, title: str) -> str:
        width = _number(self.picture.width + 2 * MARGIN)
        height = _number(self.picture.height + 2 * MARGIN)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt" '
            f'viewBox="0 0 {width} {height}" style="max-width:100%;height:auto" role="img" '
            f'aria-label="{escape(title)}" font-family="{FONTS}" font-size="9" '
            f'text-anchor="middle" fill="{INK}" stroke-linejoin="round">'
        )
        ground = f'<rect width="{width}" height="{height}" fill="#fff"/>'
        return "\n".join((head, ground, *self._elements(), "</svg>")) + "\n"

    def _elements(self) -> Iterator[str]:
        yield '<g fill="none">'
        for line in self.picture.lines:
            yield from self._line(line)
        yield "</g>"
        yield from map(self._dot, self.picture.dots)
        for box in self.picture.boxes:
            yield self._box(box)
            yield from map(self._label, box.labels)
        yield from map(self._label, self.picture.labels)

    def _line(self, line: Line) -> Iterator[str]:
        points, corners = line.split_arrow()
        way = f"M{self._pairs(points[:1])}{'C' if line.is_curved else 'L'}{self._pairs(points[1:])}"
        if line.has_bridge:
            yield f'<path d="{way}" stroke="#fff" stroke-width="{_number(line.width + BRIDGE)}"/>'
        dash = "" if line.dash is None else ' stroke-dasharray="{:g} {:g}"'.format(*line.dash)
        head = ""
        if corners:
            head = f'<path d="M{self._pairs(corners)}Z" fill="{line.colour}" stroke="none"/>'
        yield (
            f'<g id="{self.prefix}{line.name}" stroke="{line.colour}">'
            f'<path d="{way}"{_width(line.width)}{dash}/>{head}</g>'
        )

    def _dot(self, dot: Dot) -> str:
        face, edge = dot.colours
        return (
            f'<circle id="{self.prefix}{dot.name}" cx="{self._x(dot.x)}" cy="{self._y(dot.y)}" '
            f'r="{dot.radius}" fill="{face}" stroke="{edge}" stroke-width=".6"/>'
        )

    def _box(self, box: Box) -> str:
        return (
            f'<rect id="{self.prefix}{box.name}" x="{self._x(box.extent.left)}" '
            f'y="{self._y(box.extent.top)}" width="{_number(box.width)}" '
            f'height="{_number(box.height)}" rx="{_number(box.rounding)}" '
            f'fill="{box.style.face}" stroke="{box.style.edge}"{_width(box.outline)}/>'
        )

    def _label(self, label: Label) -> str:
        more = ANCHORS[label.align] + (' font-weight="bold"' if label.is_bold else "")
        if label.size != 9:
            more += f' font-size="{label.size:g}"'
        if label.colour != INK:
            more += f' fill="{label.colour}"'
        x, y = self._x(label.x), self._y(label.baseline)
        return f'<text x="{x}" y="{y}"{more}>{escape(label.text)}</text>'

    def _pairs(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self._x(x)},{self._y(y)}" for x, y in points)

    def _x(self, x: float) -> str:
        return _number(x + MARGIN)

    def _y(self, y: float) -> str:
        return _number(self.picture.height + MARGIN - y)


def _number(value: float) -> str:
    return f"{round(value, 1):.6g}"


def _width(width: float) -> str:
    return "" if width == 1 else f' stroke-width="{width:g}"'
