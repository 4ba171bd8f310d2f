"""Writer of a ``Picture`` as PNG or PDF with matplotlib.

Figures are created directly, never with pyplot, which keeps global state that a training may use.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path as Curve
from matplotlib.text import Text

from lightning_nas.pictures.picture import BRIDGE, FONT, MARGIN, Box, Dot, Label, Line, Picture

DOTS_PER_INCH = 200
SETTINGS: Any = {"font.family": FONT, "pdf.fonttype": 42}  # conferences ask for TrueType fonts
METADATA: dict[str, dict[str, None]] = {"png": {}, "pdf": {"CreationDate": None}}


def save_picture(picture: Picture, path: Path, file_format: str) -> None:
    """Write ``picture`` to ``path``; the same picture gives the same bytes.

    Args:
        picture: Picture to write.
        path: File to write.
        file_format: ``png`` or ``pdf``.
    """
    width, height = picture.width + 2 * MARGIN, picture.height + 2 * MARGIN
    with mpl.rc_context(SETTINGS):
        sheet = Figure(figsize=(width / 72, height / 72))
        axes = sheet.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-MARGIN, width - MARGIN), ylim=(-MARGIN, height - MARGIN))
        axes.set_axis_off()
        for order, artist in enumerate(_artists(picture)):
            artist.set_zorder(order)
            axes.add_artist(artist)
            artist.set_clip_on(False)
        sheet.savefig(
            path,
            format=file_format,
            dpi=DOTS_PER_INCH,
            facecolor="white",
            metadata=METADATA[file_format],
        )


def _artists(picture: Picture) -> Iterator[Artist]:
    for line in picture.lines:
        yield from _line(line)
    yield from map(_dot, picture.dots)
    for box in picture.boxes:
        yield _box(box)
        yield from map(_label, box.labels)
    yield from map(_label, picture.labels)


def _line(line: Line) -> Iterator[Artist]:
    points, corners = line.split_arrow()
    step = Curve.CURVE4 if line.is_curved else Curve.LINETO
    path = Curve(points, [Curve.MOVETO] + [step] * (len(points) - 1))
    common: dict[str, Any] = {"facecolor": "none", "capstyle": "butt", "joinstyle": "round"}
    if line.has_bridge:
        yield PathPatch(path, edgecolor="white", linewidth=line.width + BRIDGE, **common)
    # matplotlib's unit of dashes is the width of the line
    dash: Any = "solid" if line.dash is None else (0, [d / line.width for d in line.dash])
    yield PathPatch(path, edgecolor=line.colour, linewidth=line.width, linestyle=dash, **common)
    if corners:
        yield Polygon(corners, facecolor=line.colour, edgecolor="none")


def _dot(dot: Dot) -> Artist:
    face, edge = dot.colours
    return Circle((dot.x, dot.y), dot.radius, facecolor=face, edgecolor=edge, lw=0.6)


def _box(box: Box) -> Artist:
    return FancyBboxPatch(
        (box.extent.left, box.extent.bottom),
        box.width,
        box.height,
        boxstyle=f"round,pad=0,rounding_size={box.rounding}",
        facecolor=box.style.face,
        edgecolor=box.style.edge,
        linewidth=box.outline,
    )


def _label(label: Label) -> Artist:
    return Text(
        label.x,
        label.baseline,
        label.text,
        fontsize=label.size,
        fontweight="bold" if label.is_bold else "normal",
        ha=label.align,
        va="baseline",
        color=label.colour,
    )
