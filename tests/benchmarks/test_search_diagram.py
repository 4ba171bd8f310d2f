"""Tests of the diagram of a search."""

from pathlib import Path

from benchmarks.search_diagram import DESCRIPTION, layout_search
from lightning_nas.pictures.curves import meets
from lightning_nas.pictures.picture import MARGIN, text_width
from lightning_nas.pictures.svg import to_svg

DIAGRAM = Path(__file__).parents[2] / "docs" / "search.svg"


def test_diagram_in_docs_is_up_to_date():
    assert to_svg(layout_search(), DESCRIPTION) == DIAGRAM.read_text()


def test_diagram_is_900_pixels_wide_and_readable():
    picture = layout_search()
    assert picture.width + 2 * MARGIN == 900 * 3 / 4
    assert min(label.size for label in picture.labels) >= 9  # points: 12 pixels


def test_texts_fit_their_boxes_and_lines_avoid_boxes():
    picture = layout_search()
    for label in picture.labels:
        width = text_width(label.text, label.size) * (1.15 if label.is_bold else 1)
        for box in picture.boxes:
            left, bottom, right, top = box.extent
            if bottom < label.y < top and left < label.x < right:
                assert width <= box.width - 8, label.text
    assert [line.name for line in picture.lines if meets(line.points, picture.boxes)] == []
