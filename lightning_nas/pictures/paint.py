"""Paints a ``Picture`` with matplotlib, as PNG and PDF. It decides no position and no colour.

Figures are made directly, never through pyplot, so a training's own figures are left alone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path as Curve
from matplotlib.text import Text

from lightning_nas.pictures.picture import (
    BRIDGE,
    FONT,
    MARGIN,
    Box,
    Dot,
    Label,
    Line,
    Picture,
    arrow_head,
)

DOTS_PER_INCH = 200
SETTINGS: Any = {"font.family": FONT, "pdf.fonttype": 42}  # fonts as conferences ask for them
# the same picture is the same bytes
METADATA: dict[str, dict[str, None]] = {"png": {}, "pdf": {"CreationDate": None}}


def save(picture: Picture, path: Path, file_format: str) -> None:
    """Write ``picture`` to ``path`` as ``"png"`` or ``"pdf"``; the same picture, the same bytes."""
    with mpl.rc_context(SETTINGS):
        figure(picture).savefig(
            path,
            format=file_format,
            dpi=DOTS_PER_INCH,
            facecolor="white",
            metadata=METADATA[file_format],
        )


def figure(picture: Picture) -> Figure:
    """Return ``picture`` at its size, on white."""
    width, height = picture.width + 2 * MARGIN, picture.height + 2 * MARGIN
    sheet = Figure(figsize=(width / 72, height / 72))
    axes = sheet.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-MARGIN, width - MARGIN), ylim=(-MARGIN, height - MARGIN))
    axes.set_axis_off()
    for order, artist in enumerate(_artists(picture)):
        artist.set_zorder(order)
        _add(axes, artist)
    return sheet


def _add(axes: Axes, artist: Artist) -> None:
    axes.add_artist(artist)
    artist.set_clip_on(False)


def _artists(picture: Picture) -> Iterator[Artist]:
    for line in picture.lines:
        yield from _line(line)
    for dot in picture.dots:
        yield _dot(dot)
    for box in picture.boxes:
        yield from _box(box)
    for label in picture.labels:
        yield _label(label)


def _line(line: Line) -> Iterator[Artist]:
    points, corners = arrow_head(line) if line.arrow else (line.points, ())
    step = Curve.CURVE4 if line.curved else Curve.LINETO
    path = Curve(points, [Curve.MOVETO] + [step] * (len(points) - 1))
    common: dict[str, Any] = {"facecolor": "none", "capstyle": "butt", "joinstyle": "round"}
    if line.bridge:
        yield PathPatch(path, edgecolor="white", linewidth=line.width + BRIDGE, **common)
    # matplotlib counts dashes in widths of the line
    dash: Any = "solid" if line.dash is None else (0, [d / line.width for d in line.dash])
    yield PathPatch(path, edgecolor=line.colour, linewidth=line.width, linestyle=dash, **common)
    if corners:
        yield Polygon(corners, facecolor=line.colour, edgecolor="none")


def _dot(dot: Dot) -> Artist:
    face, edge = ("white", dot.colour) if dot.hollow else (dot.colour, "white")
    return Circle((dot.x, dot.y), dot.radius, facecolor=face, edgecolor=edge, lw=0.6)


def _box(box: Box) -> Iterator[Artist]:
    left, bottom, _, _ = box.extent
    yield FancyBboxPatch(
        (left, bottom),
        box.width,
        box.height,
        boxstyle=f"round,pad=0,rounding_size={box.rounding}",
        facecolor=box.style.face,
        edgecolor=box.style.edge,
        linewidth=box.outline,
    )
    for text, y, size in box.texts:
        yield _text(text, box.x, y, size, "center", box.style.text)


def _label(label: Label) -> Artist:
    weight = "bold" if label.bold else "normal"
    return _text(
        label.text, label.x, label.y, label.size, label.align, label.colour, fontweight=weight
    )


def _text(text: str, x: float, y: float, size: float, align: str, colour: str, **more: Any) -> Text:
    # centred on the height of its capitals: the box that matplotlib centres has room for descenders
    return Text(
        x, y - 0.365 * size, text, fontsize=size, ha=align, va="baseline", color=colour, **more
    )
