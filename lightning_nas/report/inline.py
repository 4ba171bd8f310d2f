"""SVG pictures inside an HTML page: the ids of a picture never collide with those of another."""

import re
from io import StringIO
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from lightning_nas.architecture import Architecture, CellArchitecture
from lightning_nas.pictures.svg import FONTS
from lightning_nas.report.draw import architecture_svg

# text stays text, and the same figure gives the same ids
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "lightning_nas"}
PIXELS = 4 / 3  # CSS pixels per point
PHONE = 345 / 0.85  # CSS pixels of a picture that fits a phone, shrunk by the style sheet
POSITIONS = "d|x|y|points|transform"  # attributes with coordinates


def inline_figure(figure: Figure, prefix: str, title: str) -> Markup:
    """Return a chart as an SVG element that is as wide as its container.

    Args:
        figure: The chart.
        prefix: Prefix of all its ids, unique in the page.
        title: Label for screen readers.
    """
    text = StringIO()
    with mpl.rc_context(SETTINGS):
        _place_once(figure)
        figure.savefig(text, format="svg", metadata={"Date": None})
    return inline(text.getvalue(), prefix, title, "chart")


def _place_once(figure: Figure) -> None:
    """Place the parts of a figure; with a layout engine, ``savefig`` would draw it twice."""
    engine = figure.get_layout_engine()
    if engine is not None:
        FigureCanvasSVG(figure)  # the sizes of texts are those in an SVG
        engine.execute(figure)
        figure.set_layout_engine(None)


def inline_architecture(architecture: Architecture, prefix: str, title: str) -> Markup:
    """Return the picture of an architecture as an SVG element of its own size.

    For cells a second, narrow picture follows, which the style sheet shows on a phone instead.
    """
    if not isinstance(architecture, CellArchitecture):
        return inline(architecture_svg(architecture), prefix, title, "architecture")
    narrow = architecture_svg(architecture, is_narrow=True)
    return inline(architecture_svg(architecture), prefix, title, "architecture for-desk") + inline(
        narrow, f"{prefix}-narrow", title, "architecture for-phone"
    )


def inline(text: str, prefix: str, title: str, kind: str) -> Markup:
    """Return the text of an SVG file as an element of a page.

    Args:
        text: SVG as matplotlib or ``architecture_svg`` writes it.
        prefix: Prefix of all its ids, unique in the page.
        title: Label for screen readers.
        kind: CSS classes: ``chart`` is as wide as its container, ``architecture`` keeps its width.
            A picture that a phone cannot show whole has the class ``wide`` too.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = text.replace("'DejaVu Sans'", FONTS)
    text = re.sub(rf'\b({POSITIONS})="[^"]*"', _shorten_numbers, text)
    head, rest = text.split(">", 1)
    width, height = (float(size) for size in re.findall(r' (?:width|height)="([\d.]+)pt"', head))
    head = re.sub(r' (?:width|height|style|role|aria-label)="[^"]*"', "", head)
    size = (
        f'width="{width * PIXELS:.0f}" height="{height * PIXELS:.0f}" '
        f'style="--own-width: {width * PIXELS:.0f}px"'
    )
    kind += " wide" * (width * PIXELS > PHONE)
    label = Markup(' role="img" aria-label="{}" class="{}" ').format(title, kind)
    return Markup(f"{head}{label}{size}>{rest}")


def _shorten_numbers(attribute: re.Match[str]) -> str:
    """Return an attribute with three decimals: a thousandth of a point is not visible."""
    return re.sub(r"(\d\.\d{3})\d+", r"\1", attribute[0])
