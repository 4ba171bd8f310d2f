"""The pictures of docs/: each comes from its command, and those that are quick to draw are new."""

import re
import shutil
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from benchmarks.pictures import NOTEBOOKS, PICTURES, PLOTS, WINDOW, main, photograph_report
from benchmarks.tabular.plot import DOCS, STYLES
from tests.report.folders import trial_search

JUDGED = {"weight_sharing_digits.svg", "weight_sharing_cifar.svg"}  # plots of two searches
SVG = "{http://www.w3.org/2000/svg}"


def read_chart(path):
    """Return the texts and the rounded coordinates of a chart that matplotlib wrote."""
    root = ET.parse(path).getroot()
    texts = [element.text for element in root.iter(f"{SVG}text")]
    paths = [element.get("d") for element in root.iter(f"{SVG}path")]
    return texts, [float(number) for d in paths for number in re.findall(r"-?\d+\.?\d*", d)]


def test_every_picture_of_docs_has_a_command():
    pictures = {path.name for path in DOCS.iterdir() if path.suffix in {".svg", ".png"}}
    assert pictures == {*PICTURES, *PLOTS, *JUDGED, "report.png"}


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_of_a_notebook_is_found_in_one_cell(name):
    notebook, text = PLOTS[name]
    cells = nbformat.read(NOTEBOOKS / notebook, as_version=4).cells
    (cell,) = (cell for cell in cells if text in cell.source)
    assert "plt.subplots" in cell.source


def test_pictures_of_notebooks_are_small():
    assert sum((DOCS / name).stat().st_size for name in PLOTS) < 300_000


@pytest.mark.parametrize("name", sorted(PICTURES.keys() - {"nas_bench_201.svg"}))
def test_a_picture_in_docs_is_up_to_date(name, tmp_path):
    PICTURES[name](tmp_path / name)
    assert (tmp_path / name).read_text() == (DOCS / name).read_text(), "run make pictures"


def test_the_curves_in_docs_are_up_to_date(tmp_path):
    path = tmp_path / "nas_bench_201.svg"
    PICTURES[path.name](path)
    texts, places = read_chart(path)
    docs_texts, docs_places = read_chart(DOCS / path.name)
    assert texts == docs_texts
    assert places == pytest.approx(docs_places, abs=0.5)  # points; fonts may differ a little


def test_curves_differ_without_their_colours():
    for one, other in combinations(STYLES.values(), 2):
        assert (one.marker, one.dashes) != (other.marker, other.dashes), one.label
    dashed = [style.dashes for style in STYLES.values() if style.dashes != "-"]
    assert len(set(dashed)) == len(dashed)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium: apt-get install chromium")
def test_the_picture_of_a_report_is_the_top_of_its_page(tmp_path):
    run = trial_search(tmp_path / "run")
    photograph_report(run, tmp_path / "report.png")
    assert (run / "report.html").exists()
    with Image.open(tmp_path / "report.png") as image:
        assert image.size == WINDOW
        assert len(image.convert("RGB").getcolors(10_000)) > 20  # not a blank page


def test_a_missing_browser_or_run_is_one_line(tmp_path, monkeypatch, capsys):
    for name in list(PICTURES):
        monkeypatch.delitem(PICTURES, name)
    assert main([str(tmp_path / "nowhere"), "-o", str(tmp_path)]) == 2
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([str(tmp_path / "nowhere"), "-o", str(tmp_path)]) == 2
    missing_run, missing_browser = capsys.readouterr().err.splitlines()
    assert missing_run.startswith("error: ")
    assert missing_browser.startswith("error: ")
    assert "apt-get install chromium" in missing_browser
    assert not Path(tmp_path / "report.png").exists()
