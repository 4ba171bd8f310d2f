"""Pictures as SVG inside a page: no name of one collides with that of another."""

import re
from io import StringIO
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from lightning_nas.architecture import Architecture
from lightning_nas.pictures.svg import FONTS
from lightning_nas.report.draw import svg_of

SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lightning_nas",
}  # text as text, same bytes
PIXELS = 4 / 3  # a point
PLACES = "d|x|y|points|transform"  # attributes that say where something is


def inline_figure(figure: Figure, prefix: str, title: str) -> Markup:
    """Return a chart as an element that is as wide as its place.

    Args:
        figure: The chart.
        prefix: Of all its ids; unique in the page.
        title: What it shows, for those who do not see it.
    """
    text = StringIO()
    with mpl.rc_context(SETTINGS):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return inline(text.getvalue(), prefix, title, "chart")


def inline_architecture(architecture: Architecture, prefix: str, title: str) -> Markup:
    """Return the picture of an architecture as an element at its own size."""
    return inline(svg_of(architecture), prefix, title, "architecture")


def inline(text: str, prefix: str, title: str, kind: str) -> Markup:
    """Return the text of an SVG file as an element of a page.

    Args:
        text: As matplotlib writes it, or ``svg_of``.
        prefix: Of all its ids; unique in the page.
        title: Its label.
        kind: Its class: ``chart`` is as wide as its place, ``architecture`` as wide as it was.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = text.replace("'DejaVu Sans'", FONTS)
    text = re.sub(rf'\b({PLACES})="[^"]*"', _shortened, text)
    head, rest = text.split(">", 1)
    width, height = (float(size) for size in re.findall(r' (?:width|height)="([\d.]+)pt"', head))
    head = re.sub(r' (?:width|height|style|role|aria-label)="[^"]*"', "", head)
    size = (
        f'width="{width * PIXELS:.0f}" height="{height * PIXELS:.0f}" '
        f'style="--own-width: {width * PIXELS:.0f}px"'
    )
    label = Markup(' role="img" aria-label="{}" class="{}" ').format(title, kind)
    return Markup(f"{head}{label}{size}>{rest}")


def _shortened(attribute: re.Match[str]) -> str:
    """Return an attribute in thousandths of a point, which do."""
    return re.sub(r"(\d\.\d{3})\d+", r"\1", attribute[0])
