"""Writes a ``Picture`` as SVG, compact and self-contained. It decides no position.

Texts stay text, which can be searched, copied and read aloud, and take a fifth of the room of
outlines. Where DejaVu Sans is missing a browser takes another font of the list: none is wider, so
a text that fits its box does so everywhere. No style sheet, marker or clip path: the only ids are
those of shapes, so several pictures can stand in one page.
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
    arrow_head,
)

FONTS = f"{FONT},Verdana,Helvetica,Arial,sans-serif"
ANCHORS = {"left": "start", "center": "middle", "right": "end"}


def to_svg(picture: Picture, title: str, prefix: str = "") -> str:
    """Return ``picture`` as an ``svg`` element, on white; the ids of shapes are their names.

    The element shrinks with the page that it stands in.

    Args:
        picture: What to write.
        title: Read aloud instead of the picture.
        prefix: Goes before every id: different for each picture of a page.
    """
    return _Writer(picture, prefix).text(title)


class _Writer:
    """Turns shapes into elements: y points down in an SVG, and has its origin at the top."""

    def __init__(self, picture: Picture, prefix: str) -> None:
        self.picture = picture
        self.prefix = escape(prefix)

    def text(self, title: str) -> str:
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
            yield from self._box(box)
        yield from map(self._label, self.picture.labels)

    def _line(self, line: Line) -> Iterator[str]:
        points, head = line.points, ""
        if line.arrow:
            points, corners = arrow_head(line)
            head = f'<path d="M{self._pairs(corners)}Z" fill="{line.colour}" stroke="none"/>'
        way = self._way(points, line.curved)
        if line.bridge:
            yield f'<path d="{way}" stroke="#fff" stroke-width="{_number(line.width + BRIDGE)}"/>'
        dash = "" if line.dash is None else ' stroke-dasharray="{:g} {:g}"'.format(*line.dash)
        yield (
            f'<g id="{self.prefix}{line.name}" stroke="{line.colour}">'
            f'<path d="{way}"{_width(line.width)}{dash}/>{head}</g>'
        )

    def _way(self, points: Sequence[Point], curved: bool) -> str:
        return f"M{self._pairs(points[:1])}{'C' if curved else 'L'}{self._pairs(points[1:])}"

    def _pairs(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self._x(x)},{self._y(y)}" for x, y in points)

    def _x(self, x: float) -> str:
        return _number(x + MARGIN)

    def _y(self, y: float) -> str:
        return _number(self.picture.height + MARGIN - y)

    def _dot(self, dot: Dot) -> str:
        colours = ("#fff", dot.colour) if dot.hollow else (dot.colour, "#fff")
        return (
            f'<circle id="{self.prefix}{dot.name}" cx="{self._x(dot.x)}" cy="{self._y(dot.y)}" '
            f'r="{dot.radius}" fill="{colours[0]}" stroke="{colours[1]}" stroke-width=".6"/>'
        )

    def _box(self, box: Box) -> Iterator[str]:
        left, _, _, top = box.extent
        style = box.style
        yield (
            f'<rect id="{self.prefix}{box.name}" x="{self._x(left)}" y="{self._y(top)}" '
            f'width="{_number(box.width)}" height="{_number(box.height)}" '
            f'rx="{_number(box.rounding)}" fill="{style.face}" stroke="{style.edge}"'
            f"{_width(box.outline)}/>"
        )
        for text, y, size in box.texts:
            yield self._text(text, box.x, y, size, style.text)

    def _label(self, label: Label) -> str:
        more = "" if label.align == "center" else f' text-anchor="{ANCHORS[label.align]}"'
        if label.bold:
            more += ' font-weight="bold"'
        return self._text(label.text, label.x, label.y, label.size, label.colour, more)

    def _text(self, text: str, x: float, y: float, size: float, colour: str, more: str = "") -> str:
        if size != 9:
            more += f' font-size="{size:g}"'
        if colour != INK:
            more += f' fill="{colour}"'
        # centred on the height of its capitals
        return f'<text x="{self._x(x)}" y="{self._y(y - 0.365 * size)}"{more}>{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{round(value, 1):.6g}"


def _width(width: float) -> str:
    return "" if width == 1 else f' stroke-width="{width:g}"'
