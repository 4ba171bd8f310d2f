"""The plot of weight sharing: its markers, its titles, and the same bytes for the same facts."""

import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from lightning_nas.judge.scatter import draw_scatter
from tests.judge.scores import MODES, facts

SVG = "{http://www.w3.org/2000/svg}"


def count_markers(path, name):
    """Return the number of markers in a group of an SVG."""
    (group,) = (g for g in ET.parse(path).iter(f"{SVG}g") if g.get("id") == name)
    return len(list(group.iter(f"{SVG}use")))


@pytest.mark.parametrize("modes", [MODES, ("batch", "recalibrated"), ("batch",)])
def test_every_architecture_is_in_every_panel(modes, tmp_path):
    path = tmp_path / "plot.svg"
    draw_scatter(facts(modes=modes), path)
    for mode in modes:
        counts = {
            arm: count_markers(path, f"{mode}-{arm}") for arm in ("control", "policy", "derived")
        }
        assert counts == {"control": 12, "policy": 4, "derived": 1}


def test_titles_have_tau_with_its_interval(tmp_path):
    content = facts()
    draw_scatter(content, tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    for one in content["correlations"].values():
        assert f"τ = {one['tau']:.2f} [{one['tau_interval'][0]:.2f}" in text


def test_the_same_facts_give_the_same_bytes_and_a_small_file(tmp_path):
    for name in ("one.svg", "two.svg", "plot.png"):
        draw_scatter(facts(random_arm=30), tmp_path / name)
    one, two = ((tmp_path / name).read_bytes() for name in ("one.svg", "two.svg"))
    assert one == two
    assert len(one) < 200_000
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > image.height > 400


def test_a_panel_without_a_correlation_has_a_note(tmp_path):
    content = facts() | {"correlations": {}}
    draw_scatter(content, tmp_path / "plot.svg")
    assert "no order" in (tmp_path / "plot.svg").read_text()
