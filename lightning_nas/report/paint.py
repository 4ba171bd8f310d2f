"""Paints a ``Picture`` with matplotlib: colours, fonts, files. It decides no position.

Figures are made directly, never through pyplot, so a training's own figures are left alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve
from matplotlib.text import Text

from lightning_nas.report.picture import (
    DARK,
    FONT,
    INK,
    NEWER,
    OLDER,
    Box,
    Dot,
    Label,
    Line,
    Picture,
)

MARGIN = 10.0
DOTS_PER_INCH = 200
SETTINGS: Any = {
    "font.family": FONT,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "lightning_nas",  # the same picture is the same bytes
}


@dataclass(frozen=True)
class Style:
    """How a kind of box is painted: colours of its face, its outline and its text."""

    face: str
    edge: str
    text: str = INK


# Faces keep apart for the colour-blind, and black text is legible on each; kernel sizes are shades
# of a hue. After the "light" scheme of Paul Tol, https://sronpersonalpages.nl/~pault.
STYLES = {
    "conv_1x1": Style("#FFF1E9", "#C77F62"),
    "conv_3x3": Style("#FFD9C7", "#B4532F"),
    "conv_5x5": Style("#F0926F", "#9A3E1C"),
    "conv_1x3_3x1": Style("#F3D3E4", "#93406F"),
    "conv_1x7_7x1": Style("#DE9CC4", "#7E2C5B"),
    "dil_conv_3x3": Style("#D5C9EC", "#5F4696"),
    "sep_conv_3x3": Style("#CFE8FA", "#33729E"),
    "sep_conv_5x5": Style("#86B4E4", "#265A8C"),
    "sep_conv_7x7": Style("#5A8FCB", "#1A426B"),
    "avg_pool_3x3": Style("#F3E39B", "#8F7A12"),
    "max_pool_3x3": Style("#62C3A5", "#1F735A"),
    "max_pool_5x5": Style("#45AC8D", "#185A47"),
    "max_pool_7x7": Style("#359F7F", "#104334"),
    "identity": Style("#E4E4E4", "#777777"),
    "input0": Style(OLDER, OLDER, "#FFFFFF"),
    "input1": Style(NEWER, NEWER, "#FFFFFF"),
    "end": Style(DARK, DARK, "#FFFFFF"),
    "join": Style("#FFFFFF", INK),
}
OTHER = Style("#FFFFFF", "#777777")


def save(picture: Picture, path: Path, file_format: str) -> None:
    """Write ``picture`` to ``path`` as ``"svg"`` or ``"png"``; the same picture, the same bytes."""
    with mpl.rc_context(SETTINGS):
        metadata = {"Date": None} if file_format == "svg" else None
        figure(picture).savefig(
            path, format=file_format, dpi=DOTS_PER_INCH, facecolor="white", metadata=metadata
        )


def figure(picture: Picture) -> Figure:
    """Return ``picture`` at its size, on white; the SVG ids of shapes are their names."""
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
    step = Curve.CURVE4 if line.curved else Curve.LINETO
    path = Curve(line.points, [Curve.MOVETO] + [step] * (len(line.points) - 1))
    common: dict[str, Any] = {
        "path": path,
        "shrinkA": 0,
        "shrinkB": 0,
        "capstyle": "butt",
        "joinstyle": "round",
    }
    if line.bridge:
        yield FancyArrowPatch(arrowstyle="-", color="white", linewidth=line.width + 3, **common)
    yield FancyArrowPatch(
        arrowstyle="-|>,head_length=5,head_width=2.2" if line.arrow else "-",
        mutation_scale=1,
        color=line.colour,
        linewidth=line.width,
        linestyle=(0, (1, 2)) if line.dotted else "solid",
        gid=line.name,
        **common,
    )


def _dot(dot: Dot) -> Artist:
    return Circle(
        (dot.x, dot.y), 2.5, facecolor=dot.colour, edgecolor="white", lw=0.6, gid=dot.name
    )


def _box(box: Box) -> Iterator[Artist]:
    style = STYLES.get(box.kind, OTHER)
    left, bottom, _, _ = box.extent
    rounding = min(5.0, box.height / 2) if box.kind != "join" else box.height / 2
    yield FancyBboxPatch(
        (left, bottom),
        box.width,
        box.height,
        boxstyle=f"round,pad=0,rounding_size={rounding}",
        facecolor=style.face,
        edgecolor=style.edge,
        linewidth=0.9,
        gid=box.name,
    )
    if box.text:
        y = box.y + (4.5 if box.note else 0)
        yield _text(box.text, box.x, y, 9, "center", style.text, gid=f"{box.name}-text")
    if box.note:
        yield _text(box.note, box.x, box.y - 5.5, 6.5, "center", style.text)


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
