"""Tests of pictures of search spaces: complete, the architecture in red, no collisions."""

import xml.etree.ElementTree as ET
from functools import cache
from itertools import combinations, pairwise

import pytest

from lightning_nas.architecture import (
    CELL_RULES,
    EDGE_OPERATIONS,
    EDGES,
    MACRO_OPERATIONS,
    CellArchitecture,
    ChainArchitecture,
    ChainLayer,
    MacroArchitecture,
    find_loose_layers,
)
from lightning_nas.pictures.palette import RED
from lightning_nas.pictures.picture import text_width
from lightning_nas.pictures.svg import to_svg
from lightning_nas.published import PUBLISHED
from lightning_nas.report.draw import draw, layout_architecture, main
from tests.report.architectures import (
    ARCHITECTURES,
    do_overlap,
    is_within,
    passes_through_a_box,
)

each = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)


@cache
def layout_space(architecture):
    return layout_architecture(architecture, is_space=True)


# The expected id of every option, and whether the option is chosen, from the rules of the spaces.


def cell_space(cell, rules):
    states = ["input0", "input1", *(f"block{index}" for index in range(len(cell.blocks)))]
    for index, block in enumerate(cell.blocks):
        for side, source, chosen in zip(
            ("left", "right"), block.inputs, block.operations, strict=True
        ):
            for state in range(index + 2):
                yield f"edge-{states[state]}-block{index}-{side}", state == source
            for operation in rules.operations:
                yield f"block{index}-{side}-{operation}", operation == chosen
        for combination in rules.combinations:
            yield f"block{index}-{combination}", combination == block.combination
    for number, state in enumerate(states):
        yield f"edge-{state}-output", number in cell.outputs


def macro_space(architecture):
    for index, layer in enumerate(architecture.layers):
        for operation in MACRO_OPERATIONS:
            yield f"layer{index}-{operation}", operation == layer.operation
        for source in range(index):
            yield f"skip-{source}-{index}", source in layer.skips


def chain_space(architecture):
    """Yield the paper's numbers, and all inputs but the row above; output 0 is the image."""
    strided = any(layer.stride != (1, 1) for layer in architecture.layers)
    last = len(architecture.layers) - 1
    for index, layer in enumerate(architecture.layers):
        fields = [("height", layer.kernel[0]), ("width", layer.kernel[1])]
        if strided:
            fields += [("down", layer.stride[0]), ("across", layer.stride[1])]
        for field, number in (*fields, ("filters", layer.filters)):
            legal = {"filters": (24, 36, 48, 64), "down": (1, 2, 3), "across": (1, 2, 3)}
            for value in legal.get(field, (1, 3, 5, 7)):
                yield f"layer{index}-{field}-{value}", value == number
        inputs = [source + 1 for source in layer.inputs] or [0]
        for output in range(index):
            yield f"skip-{output}-{index}", output in inputs
        if index < last:
            yield f"skip-{index + 1}-classifier", index in find_loose_layers(architecture.layers)


def edge_cell_space(architecture):
    for (source, target), chosen in zip(EDGES, architecture.operations, strict=True):
        edge = f"edge-{source}-{target}"
        yield f"node{source}-{edge}", chosen != "none"
        yield f"{edge}-node{target}", chosen != "none"
        for operation in EDGE_OPERATIONS:
            yield f"{edge}-{operation}", operation == chosen


def expected_options(architecture):
    if isinstance(architecture, CellArchitecture):
        for name in ("normal", "reduction"):
            cell = cell_space(getattr(architecture, name), CELL_RULES[architecture.rules])
            yield from ((f"{name}-{part}", chosen) for part, chosen in cell)
    elif isinstance(architecture, ChainArchitecture):
        yield from chain_space(architecture)
    elif isinstance(architecture, MacroArchitecture):
        yield from macro_space(architecture)
    else:
        yield from edge_cell_space(architecture)


def options_in_svg(architecture):
    """Yield the id of every option in the SVG, and whether the option is red."""
    frames = {box.name for box in layout_space(architecture).boxes if box.kind not in OPTIONS}
    for element in ET.fromstring(to_svg(layout_space(architecture), "")).iter():
        name = element.get("id", "legend-")
        if "-" in name and name not in frames and not name.startswith(OTHER):
            yield name, RED in (element.get("stroke"), element.get("fill"))


OTHER = ("legend-", "lane-", "rail-", "pooling")
NUMBERS = {"number", "join", "option", "none"}
OPTIONS = {*NUMBERS, *MACRO_OPERATIONS, *EDGE_OPERATIONS, *CELL_RULES["nasnet"].operations}
OPTIONS |= set(CELL_RULES["darts"].operations)


@each
def test_all_options_are_shown_and_chosen_ones_are_red(architecture):
    assert sorted(options_in_svg(architecture)) == sorted(expected_options(architecture))


@each
def test_boxes_overlap_only_if_one_is_inside_the_other_and_texts_fit(architecture):
    picture = layout_space(architecture)
    sheet = 0, 0, picture.width, picture.height
    for box in picture.boxes:
        assert is_within(box.extent, sheet), box.name
        for label in box.labels:
            assert text_width(label.text, label.size) <= box.width - 4, label.text
            half = label.size / 2
            assert box.extent.bottom <= label.y - half, label.text
            assert label.y + half <= box.extent.top, label.text
    areas = [(box, box.extent) for box in picture.boxes]
    for (outer, a), (inner, b) in combinations(areas, 2):
        if do_overlap(a, b):
            assert outer.kind == "frame", f"{inner.name} lies on {outer.name}"
            assert is_within(b, a), f"{inner.name} leaves {outer.name}"


@each
def test_no_line_passes_through_a_box(architecture):
    picture = layout_space(architecture)
    assert [line.name for line in picture.lines if passes_through_a_box(line, picture)] == []


@pytest.mark.parametrize("name", ["enas_micro", "enas_macro", "nas_2017"])
def test_red_lines_are_above_grey_lines(name):
    lines = layout_space(PUBLISHED[name].architecture).lines
    red = [line.colour == RED for line in lines if "reduction" not in line.name]
    assert red == sorted(red)


def test_red_lines_lead_from_outputs_to_the_rows_that_read_them():
    architecture = PUBLISHED["enas_macro"].architecture
    lines = {line.name: line for line in layout_space(architecture).lines}
    read = {source for layer in architecture.layers for source in layer.skips}
    readers = {index for index, layer in enumerate(architecture.layers) if layer.skips}
    red = {name for name, line in lines.items() if line.colour == RED}
    assert {name for name in red if name.startswith("lane")} == {f"lane-{s}-chosen" for s in read}
    assert {name for name in red if name.startswith("rail")} == {
        f"rail-{index}-chosen" for index in readers
    }
    assert all(f"path{index}" in red for index in range(27))


def test_arrow_between_rows_is_red_if_the_layer_reads_the_row_above():
    chain = ChainArchitecture(tuple(ChainLayer((3, 3), (1, 1), 24, s) for s in ((), (0,), (0,))))
    lines = {line.name: line.colour == RED for line in layout_space(chain).lines}
    assert [lines[f"path{index}"] for index in range(4)] == [True, True, False, True]


def test_numbers_that_the_paper_lacks_are_shown():
    chain = ChainArchitecture((ChainLayer((9, 3), (1, 1), 128),))
    chosen = {box.name for box in layout_space(chain).boxes if box.is_chosen}
    assert chosen == {"layer0-height-9", "layer0-width-3", "layer0-filters-128"}


def test_arrows_into_a_block_do_not_cross_each_other():
    picture = layout_space(PUBLISHED["enas_micro"].architecture)
    into = [line for line in picture.lines if line.name.endswith("-block4-left")][:6]
    heights = sorted((line.points[-1][1], line.points[0][1]) for line in into)
    assert all(a[1] > b[1] for a, b in pairwise(heights))  # nested arrows


@pytest.mark.parametrize("name", ["enas_micro", "nasnet_a", "darts_nasnet_a"])
def test_arrows_end_at_the_box_of_their_input_and_at_no_operation(name):
    picture = layout_space(PUBLISHED[name].architecture)
    areas = {box.name: box.extent for box in picture.boxes}
    for line in picture.lines:
        cell, _, _, *target = line.name.split("-")
        name = "-".join([cell, *target] if target == ["output"] else [cell, *target, "input"])
        left, bottom, right, top = areas[name]
        x, y = line.points[-1]
        assert min(abs(x - left), abs(x - right)) < 1, line.name
        assert bottom < y < top, line.name


@pytest.mark.parametrize("name", PUBLISHED)
def test_same_architecture_gives_same_bytes_and_a_small_file(name, tmp_path):
    paths = [tmp_path / "1.svg", tmp_path / "2.svg"]
    for path in paths:
        draw(PUBLISHED[name].architecture, path, is_space=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size < 100_000


def test_command_draws_a_space(tmp_path):
    assert main(["enas_micro", "--space", "-o", str(tmp_path / "space.svg")]) == 0
    draw(PUBLISHED["enas_micro"].architecture, tmp_path / "same.svg", is_space=True)
    assert (tmp_path / "space.svg").read_bytes() == (tmp_path / "same.svg").read_bytes()
